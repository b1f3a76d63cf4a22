"""Text, and numbers of words."""

from relay.frontend.onnx.node import Node, Result
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr


@onnx_op("", "StringConcat")
def string_concat(node: Node) -> Expr:
    """One text behind the other."""
    return node.call("strings.concat", node.arg(0), node.arg(1))


@onnx_op("", "StringSplit")
def string_split(node: Node) -> Result:
    """The parts of texts between delimiters, and how many there are."""
    most = node.integer("maxsplit") if node.has("maxsplit") else None
    delimiter = node.text("delimiter", "")
    found = node.call("strings.split", node.arg(0), delimiter=delimiter, maxsplit=most)
    return node.field(found, 0), node.field(found, 1)


@onnx_op("", "RegexFullMatch")
def regex_full_match(node: Node) -> Expr:
    """Whether all of a text matches a regular expression."""
    return node.call("strings.regex_full_match", node.arg(0), expression=node.text("pattern", ""))


@onnx_op("", "StringNormalizer")
def string_normalizer(node: Node) -> Expr:
    """Texts without stop words, in upper or lower case."""
    case = node.text("case_change_action", "NONE")
    if case not in ("NONE", "UPPER", "LOWER"):
        node.fail(f"its case_change_action must be NONE, UPPER or LOWER, found {case!r}")
    return node.call(
        "strings.normalize",
        node.arg(0),
        case=case.lower(),
        stopwords=tuple(node.texts("stopwords") or ()),
        case_sensitive=bool(node.integer("is_case_sensitive", 0)),
        locale=node.text("locale", "en_US"),
    )


@onnx_op("", "TfIdfVectorizer")
def tf_idf_vectorizer(node: Node) -> Expr:
    """How often sequences of words occur in texts, weighted."""
    value, pool = _words(node)
    coordinates = node.integers("ngram_indexes") or []
    if not coordinates or min(coordinates) < 0:
        node.fail("its ngram_indexes must be positions in the result, one at least")
    size = max(coordinates) + 1
    node.spend((size,), "float32")
    weights = node.numbers("weights") or [1.0] * size
    if len(weights) < size:
        node.fail(f"its result has {size} elements, but there are {len(weights)} weights")
    if node.rank(value) == 0:
        value = node.reshape(value, (1,))
    return node.call(
        "tf_idf_vectorize",
        value,
        pool,
        node.constant(coordinates, "int64"),
        # As in other implementations, weights go with elements of the result, not with n-grams.
        node.constant(weights[:size], "float32"),
        begins=tuple(node.integers("ngram_counts") or ()),
        min_length=node.integer("min_gram_length"),
        max_length=node.integer("max_gram_length"),
        max_skip=node.integer("max_skip_count"),
        mode=node.text("mode", "").lower(),
    )


def _words(node: Node) -> tuple[Expr, Expr]:
    """The words to look at, and those of the n-grams to look for, as one data type."""
    value = node.arg(0)
    numbers, texts = node.integers("pool_int64s"), node.texts("pool_strings")
    if (numbers is None) == (texts is None):
        node.fail("it needs one of pool_int64s and pool_strings")
    if (node.dtype(value) == "string") != (texts is not None):
        node.fail(f"its pool is of another kind than its input, {node.type_of(value)}")
    if texts is not None:
        return value, node.constant(texts, "string")
    return node.cast(value, "int64"), node.constant(numbers or [], "int64")
