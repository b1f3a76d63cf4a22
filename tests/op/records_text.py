"""Records of the operators on text, and of those that find as much as there is."""

from op.record import In, Record

EXEMPT: dict[str, str] = {}


def _texts(*values: str) -> In:
    """A vector of texts."""
    return In((len(values),), "string", values=list(values))


_WORDS = _texts("relay", "", "Stra\u00dfe, \u0130", "a b  c")
_FOUND = {"infer": "the size of the result is known only at run time"}
_ONE = In(values=2, dtype="int32")
_POOL = In(values=[0, 1, 2, 1, 1, 0, 2, 2], dtype="int64")
_PLACES = In(values=[4, 0, 2, 1, 3], dtype="int64")
_TF_IDF = (In((3, 7), "int64", 0, 2), _POOL, _PLACES, In((5,)))
_TEXT = (_texts("a", "b", "a", "c"), _texts("a", "b"), In(values=[1, 0], dtype="int64"), In((2,)))

RECORDS: list[Record] = [
    Record("strings.concat", (_WORDS, _WORDS)),
    Record("strings.concat", (_WORDS, In(values="!", dtype="string")), note="scalar"),
    Record("strings.upper", (_WORDS,)),
    Record("strings.lower", (_WORDS,)),
    Record("strings.split", (_WORDS,), skip=_FOUND),
    Record("strings.split", (_WORDS,), {"delimiter": " ", "maxsplit": 1}, note="one", skip=_FOUND),
    Record("strings.split", (_texts("a,b"),), {"delimiter": ","}, note="comma", skip=_FOUND),
    Record("strings.regex_full_match", (_WORDS,), {"expression": "[a-z ]*"}),
    Record("strings.normalize", (_WORDS,), {"case": "upper", "stopwords": ("RELAY",)}, skip=_FOUND),
    Record(
        "strings.normalize",
        (_WORDS,),
        {"case": "lower", "locale": "tr_TR", "case_sensitive": True, "stopwords": ("RELAY",)},
        note="turkish",
        skip=_FOUND,
    ),
    Record("cast", (_texts("1", " -2.5e1", "nan", "+INF"),), {"dtype": "float32"}, note="read"),
    Record("cast", (_texts("1", "100.5"),), {"dtype": "int16"}, note="read-int16"),
    Record("cast", (In((3, 2), "float64"),), {"dtype": "string"}, note="written"),
    Record("equal", (_WORDS, _texts("relay", "a", "b", "a b  c")), note="text"),
    Record("less", (_WORDS, In(values="b", dtype="string")), note="text"),
    Record("reshape", (_WORDS,), {"newshape": (2, 2)}, note="text"),
    Record("concatenate", ((_WORDS, _WORDS),), note="text"),
    Record("take", (_WORDS, In(values=[2, 0], dtype="int32")), {"axis": 0}, note="text"),
    Record("where", (In((4,), "bool"), _WORDS, In(values="?", dtype="string")), note="text"),
    Record("unique", (_texts("b", "a", "b", ""),), {"return_counts": True}, note="text"),
    Record("unique_rows", (In((6, 2), "int32", 0, 1),)),
    Record("unique_rows", (In((6, 3), "bool"),), {"sorted": False}, note="bool"),
    Record("unique_rows", (In((130, 2), "int64", -1, 1),), note="many"),
    Record("nonzero", (In((3, 4), "int32", 0, 1),)),
    Record("nonzero", (In((3, 4), "int32", 0, 1),), {"by_rows": True, "dtype": "int32"}, note="r"),
    Record("nonzero", (In((2, 3, 5), "bool"),), note="bool"),
    Record("nonzero", (In((), "float32"),), note="scalar"),
    Record("vm.first", (In((4, 3)), _ONE), skip=_FOUND),
    Record("vm.first", (_WORDS, In(values=[3], dtype="int64")), note="text", skip=_FOUND),
    Record("vm.first", (In((4, 3)), _ONE), {"axis": -1}, note="axis", skip=_FOUND),
    Record("tf_idf_vectorize", _TF_IDF, {"begins": (0, 2)}, note="tf"),
    Record(
        "tf_idf_vectorize",
        _TF_IDF,
        {"begins": (0, 2), "max_length": 2, "max_skip": 3, "mode": "tfidf"},
        note="skip",
    ),
    Record(
        "tf_idf_vectorize",
        _TF_IDF,
        {"begins": (0, 2), "min_length": 2, "max_length": 2, "mode": "idf"},
        note="idf",
    ),
    Record("tf_idf_vectorize", _TEXT, {"begins": (0,)}, note="text"),
]
