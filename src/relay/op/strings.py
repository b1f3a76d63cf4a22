"""Operators on text: tensors of the data type ``string``.

They run on the host. Operators that only move elements or compare them, such as `reshape`,
`concatenate`, `take`, `where` and `equal`, work on text as they do on numbers, and `cast` makes
numbers of text and text of numbers.
"""

import functools
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from relay import dtypes
from relay.ir.expr import Expr
from relay.ir.op import Array, Pattern, expect_tensor, operator
from relay.ir.types import Any, TensorType, TupleType, Type
from relay.op.functions import TupleWrapper, function
from relay.op.host import ON_HOST, HostOperator
from relay.op.shapes import broadcast_shape, put
from relay.op.tensor.tf_idf import TfIdfVectorize
from relay.support.errors import TypeInferenceError
from relay.support.packages import optional_package


class StringOperator(HostOperator):
    """Base of the operators on text."""

    missing: ClassVar[dict[str, str]] = {
        "compute": ON_HOST,
        "gradient": "there are no small changes of text",
    }

    def expect_text(self, argument: str, type_: Type) -> TensorType:
        """`type_` as that of a tensor of text."""
        tensor = expect_tensor(self.name, argument, type_)
        if tensor.dtype != dtypes.STRING:
            raise TypeInferenceError(
                f"{self.name}: expected text for {argument}, found {tensor}; "
                'relay.cast(x, "string") makes text of numbers'
            )
        return tensor


@operator("strings.concat", inputs=("lhs", "rhs"), pattern=Pattern.OPAQUE, level=10)
class Concat(StringOperator):
    """Each element of `lhs` with that of `rhs` behind it; shapes broadcast.

    (ONNX: StringConcat.)
    """

    def infer(self, lhs: Type, rhs: Type) -> Type:
        a, b = self.expect_text("lhs", lhs), self.expect_text("rhs", rhs)
        return TensorType(broadcast_shape(self.name, a.shape, b.shape), dtypes.STRING)

    def reference(self, lhs: Array, rhs: Array) -> Array:
        return np.asarray(np.add(lhs, rhs), object)


@operator("strings.upper", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class Upper(StringOperator):
    """Each element in upper case, as Unicode says: ``"stra\u00dfe"`` becomes ``"STRASSE"``."""

    def infer(self, data: Type) -> Type:
        return self.expect_text("data", data)

    def reference(self, data: Array) -> Array:
        return _each(data, [text.upper() for text in data.flat])


@operator("strings.lower", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class Lower(StringOperator):
    """Each element in lower case, as Unicode says."""

    def infer(self, data: Type) -> Type:
        return self.expect_text("data", data)

    def reference(self, data: Array) -> Array:
        return _each(data, [text.lower() for text in data.flat])


def _each(data: Array, texts: list[str]) -> Array:
    """`texts`, one for each element of `data`."""
    return np.array(texts, object).reshape(data.shape)


@operator("strings.split", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class Split(StringOperator):
    """The parts of each element between `delimiter`, and how many there are.

    The result is a tuple: text with one more dimension than `data`, as long as the largest number
    of parts, ``""`` standing behind fewer; and the numbers, ``int64``, of the shape of `data`.
    Without a `delimiter` parts are what stands between white space, and none is empty. With
    `maxsplit`, only so many delimiters are looked for, from the left; what is behind them is the
    last part. (ONNX: StringSplit.)
    """

    delimiter: str = ""
    maxsplit: int | None = None

    def infer(self, data: Type) -> Type:
        tensor = self.expect_text("data", data)
        parts = TensorType((*tensor.shape, Any()), dtypes.STRING)
        return TupleType([parts, TensorType(tensor.shape, "int64")])

    def reference(self, data: Array) -> tuple[Array, Array]:
        most = -1 if self.maxsplit is None else self.maxsplit
        parts = [text.split(self.delimiter or None, most) for text in data.flat]
        counts = np.array([len(p) for p in parts], "int64")
        width = int(counts.max(initial=0))
        result = np.full((len(parts), width), "", object)
        for row, found in zip(result, parts, strict=True):
            row[: len(found)] = found
        return result.reshape(*data.shape, width), counts.reshape(data.shape)


@operator("strings.regex_full_match", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class RegexFullMatch(StringOperator):
    """Whether all of each element matches the regular expression `pattern`, ``bool``.

    Expressions come with models, which nobody vouches for: the package google-re2 matches them, in
    time linear in the text. Raises `ValueError` for one that is none, and `UnsupportedError`
    without the package. (ONNX: RegexFullMatch.)
    """

    # `pattern` is the name of the class variable that tells how operators are fused.
    expression: str

    def __post_init__(self) -> None:
        put(self, "expression", str(self.expression))
        _full_match(self.expression)  # an expression that is none is refused here

    def infer(self, data: Type) -> Type:
        return TensorType(self.expect_text("data", data).shape, "bool")

    def reference(self, data: Array) -> Array:
        full_match = _full_match(self.expression)
        found = [full_match(text) is not None for text in data.flat]
        return np.array(found, "bool").reshape(data.shape)


@functools.lru_cache(64)
def _full_match(expression: str) -> Callable[[str], object | None]:
    re2 = optional_package("re2", "google-re2", "text", "matching regular expressions")
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True  # a hundred thousand groups would take gigabytes
    try:
        regex = re2.compile(expression, options=options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
        raise ValueError(f"{expression!r} is no regular expression: {reason}") from None
    full_match: Callable[[str], object | None] = regex.fullmatch
    return full_match


#: Languages in which the two letters i, with a dot and without, are upper and lower case.
_DOTTED = ("tr", "az")


@operator("strings.normalize", inputs=("data",), pattern=Pattern.OPAQUE, level=10)
class Normalize(StringOperator):
    """`data` without the texts in `stopwords`, then in the case that `case` says.

    `data` has the shape ``(n,)`` or ``(1, n)``; where nothing is left, the result is one empty
    text. `case` is ``"none"``, ``"upper"`` or ``"lower"``. Unless `case_sensitive`, stop words
    go in whatever case they are written. Case is that of Unicode, which is the same for all
    `locale` but those of Turkish and Azerbaijani. (ONNX: StringNormalizer.)
    """

    case: str = "none"
    stopwords: tuple[str, ...] = ()
    case_sensitive: bool = False
    locale: str = "en_US"

    def __post_init__(self) -> None:
        put(self, "stopwords", tuple(map(str, self.stopwords)))
        put(self, "case_sensitive", bool(self.case_sensitive))
        if self.case not in ("none", "upper", "lower"):
            raise ValueError(f"case must be none, upper or lower, found {self.case!r}")

    def infer(self, data: Type) -> Type:
        tensor = self.expect_text("data", data)
        rank = len(tensor.shape)
        if rank not in (1, 2) or (rank == 2 and tensor.shape[0] not in (1, Any())):
            raise TypeInferenceError(
                f"{self.name}: expected texts in the shape (n,) or (1, n), found {tensor}"
            )
        return TensorType((*(1,) * (rank - 1), Any()), dtypes.STRING)

    def reference(self, data: Array) -> Array:
        texts = [str(text) for text in data.flat]
        if self.case_sensitive:
            kept = [t for t in texts if t not in self.stopwords]
        else:
            stopwords = frozenset(map(self._lower, self.stopwords))
            kept = [t for t in texts if self._lower(t) not in stopwords]
        if self.case != "none":
            change = self._upper if self.case == "upper" else self._lower
            kept = [change(t) for t in kept]
        found = np.array(kept or [""], object)
        return found.reshape(1, -1) if data.ndim == 2 else found

    def _upper(self, text: str) -> str:
        return (text.replace("i", "\u0130") if self._is_dotted() else text).upper()

    def _lower(self, text: str) -> str:
        if self._is_dotted():
            text = text.replace("\u0130", "i").replace("I", "\u0131")
        return text.lower()

    def _is_dotted(self) -> bool:
        return self.locale.lower().startswith(_DOTTED)


concat = function(Concat)
upper = function(Upper)
lower = function(Lower)
regex_full_match = function(RegexFullMatch)
normalize = function(Normalize)
tf_idf_vectorize = function(TfIdfVectorize, own_dtype=("coordinates", "weights"))


def split(data: Expr, delimiter: str = "", maxsplit: int | None = None) -> TupleWrapper:
    """The parts of each text, and how many there are; see `Split`."""
    return TupleWrapper(Split.call(data, delimiter=delimiter, maxsplit=maxsplit), 2)


__all__ = ["concat", "lower", "normalize", "regex_full_match", "split", "tf_idf_vectorize", "upper"]
