"""Scalar expressions: what one element of a tensor is, as a function of its indices.

The same grammar serves tensor expressions (`Read` of a tensor) and loop programs (`Load` of a
buffer, in `relay.loop.ir`). The whole of it::

    e ::= Var | Const | Unary(op, e) | Binary(op, e, e) | Compare(op, e, e) | Select(e, e, e)
        | Cast(dtype, e) | Read(tensor, e...) | Reduce(kind, axes, e)

Contract
- Nodes are immutable and compared by identity; `same` compares structure.
- Index arithmetic has dtype ``int64`` and never overflows (sizes are checked at allocation).
  Integer arithmetic on data wraps around. `floordiv`/`floormod` round towards minus infinity,
  `truncdiv`/`truncmod` towards zero; division of an integer by zero gives an unspecified value.
- Floating-point operations are not reassociated. A multiplication feeding an addition of a sum
  reduction may be contracted to one fused multiply-add.
- `Select` evaluates only the chosen side as far as memory is concerned: a read on the side that is
  not chosen never touches memory, so it may be out of bounds there.
- `min`/`max` propagate NaN.
- `asint` is the bits of a float as a signed integer of its width (``int4`` for a
  ``float4_e2m1fn``), `asfloat` a ``float16``, ``float32`` or ``float64`` the other way round, and
  `as` with the name of another float (``asbfloat16``) is that one.
- A `Cast` to a float rounds to the nearest, ties to even (``float8_e8m0fnu``: up). What is too
  large becomes infinity, NaN where the type has none, and the largest ``float4_e2m1fn``, which has
  neither. Small types (`dtypes.SMALL`) are read, compared, chosen, converted and reinterpreted; no
  other operation is defined on them.
"""

from collections.abc import Sequence
from typing import ClassVar, TypeAlias, final

from relay import dtypes

INDEX = "int64"
BOOL = "bool"

#: The bits of a number taken for those of another one.
REINTERPRETS = frozenset(
    ["asint", "asfloat"]
    + [f"as{name}" for name in dtypes.NAMES if dtypes.is_float(name) and not dtypes.is_native(name)]
)
UNARY = REINTERPRETS | frozenset(
    "neg abs exp log log2 log10 sqrt rsqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh "
    "atanh erf sigmoid floor ceil round trunc sign not bitnot isnan isinf isfinite".split()
)
BINARY = frozenset(
    "add sub mul div floordiv floormod truncdiv truncmod min max pow and or xor shl shr".split()
)
COMPARE = frozenset("lt le gt ge eq ne".split())
REDUCE = frozenset("sum prod min max any all".split())


class Expr:
    """Base of scalar expressions; `dtype` is the type of the value."""

    __slots__ = ("dtype",)
    dtype: str
    _fields: ClassVar[tuple[str, ...]] = ()

    def children(self) -> "tuple[Expr, ...]":
        """The expressions directly inside this one."""
        return ()

    def rebuild(self, children: "Sequence[Expr]") -> "Expr":
        """This node with other children (simplified as by the constructors' helpers)."""
        return self

    @property
    def place(self) -> object:
        """The tensor or buffer that this node reads; the node itself where it reads none."""
        return self

    def __add__(self, other: "Operand") -> "Expr":
        return binary("add", self, other)

    def __radd__(self, other: "Operand") -> "Expr":
        return binary("add", other, self)

    def __sub__(self, other: "Operand") -> "Expr":
        return binary("sub", self, other)

    def __rsub__(self, other: "Operand") -> "Expr":
        return binary("sub", other, self)

    def __mul__(self, other: "Operand") -> "Expr":
        return binary("mul", self, other)

    def __rmul__(self, other: "Operand") -> "Expr":
        return binary("mul", other, self)

    def __truediv__(self, other: "Operand") -> "Expr":
        return binary("div", self, other)

    def __rtruediv__(self, other: "Operand") -> "Expr":
        return binary("div", other, self)

    def __floordiv__(self, other: "Operand") -> "Expr":
        return binary("floordiv", self, other)

    def __mod__(self, other: "Operand") -> "Expr":
        return binary("floormod", self, other)

    def __neg__(self) -> "Expr":
        return unary("neg", self)

    def __lt__(self, other: "Operand") -> "Expr":
        return compare("lt", self, other)

    def __le__(self, other: "Operand") -> "Expr":
        return compare("le", self, other)

    def __gt__(self, other: "Operand") -> "Expr":
        return compare("gt", self, other)

    def __ge__(self, other: "Operand") -> "Expr":
        return compare("ge", self, other)

    def astype(self, dtype: str) -> "Expr":
        """This value converted to `dtype`."""
        return cast(self, dtype)


Operand: TypeAlias = Expr | bool | int | float


@final
class Var(Expr):
    """A variable: a loop index or a size. Its identity is the object."""

    __slots__ = ("name",)

    def __init__(self, name: str, dtype: str = INDEX) -> None:
        self.name = name
        self.dtype = dtype


@final
class Const(Expr):
    """A literal of `dtype`."""

    __slots__ = ("value",)

    def __init__(self, value: bool | int | float, dtype: str) -> None:
        self.value: bool | int | float = float(value) if dtypes.is_float(dtype) else int(value)
        self.dtype = dtype


@final
class Unary(Expr):
    """`op` of one value; see `UNARY` for the names."""

    __slots__ = ("op", "value")

    def __init__(self, op: str, value: Expr) -> None:
        assert op in UNARY, op
        self.op = op
        self.value = value
        if op in ("asint", "asfloat"):
            self.dtype = f"{op[2:]}{dtypes.width(value.dtype)}"
        elif op in REINTERPRETS:
            self.dtype = op[2:]
        else:
            self.dtype = BOOL if op in ("isnan", "isinf", "isfinite", "not") else value.dtype

    def children(self) -> tuple[Expr, ...]:
        return (self.value,)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        return self if children[0] is self.value else unary(self.op, children[0])


@final
class Binary(Expr):
    """`op` of two values of one dtype; see `BINARY` for the names. On ``bool``: logic."""

    __slots__ = ("a", "b", "op")

    def __init__(self, op: str, a: Expr, b: Expr) -> None:
        assert op in BINARY, op
        assert a.dtype == b.dtype, f"{op} of {a.dtype} and {b.dtype}"
        self.op = op
        self.a = a
        self.b = b
        self.dtype = a.dtype

    def children(self) -> tuple[Expr, ...]:
        return (self.a, self.b)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        a, b = children
        return self if a is self.a and b is self.b else binary(self.op, a, b)


@final
class Compare(Expr):
    """A comparison of two values of one dtype, a ``bool``; see `COMPARE` for the names."""

    __slots__ = ("a", "b", "op")

    def __init__(self, op: str, a: Expr, b: Expr) -> None:
        assert op in COMPARE, op
        assert a.dtype == b.dtype, f"{op} of {a.dtype} and {b.dtype}"
        self.op = op
        self.a = a
        self.b = b
        self.dtype = BOOL

    def children(self) -> tuple[Expr, ...]:
        return (self.a, self.b)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        a, b = children
        return self if a is self.a and b is self.b else compare(self.op, a, b)


@final
class Select(Expr):
    """`then` where `cond` holds, else `otherwise`."""

    __slots__ = ("cond", "otherwise", "then")

    def __init__(self, cond: Expr, then: Expr, otherwise: Expr) -> None:
        assert cond.dtype == BOOL
        assert then.dtype == otherwise.dtype, f"select of {then.dtype} and {otherwise.dtype}"
        self.cond = cond
        self.then = then
        self.otherwise = otherwise
        self.dtype = then.dtype

    def children(self) -> tuple[Expr, ...]:
        return (self.cond, self.then, self.otherwise)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        cond, then, otherwise = children
        if cond is self.cond and then is self.then and otherwise is self.otherwise:
            return self
        return select(cond, then, otherwise)


@final
class Cast(Expr):
    """`value` converted to `dtype`; float to integer rounds towards zero."""

    __slots__ = ("value",)

    def __init__(self, dtype: str, value: Expr) -> None:
        self.dtype = dtypes.check(dtype)
        self.value = value

    def children(self) -> tuple[Expr, ...]:
        return (self.value,)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        return self if children[0] is self.value else cast(children[0], self.dtype)


@final
class Axis:
    """An iteration variable together with its extent: it runs over ``0 .. extent-1``."""

    __slots__ = ("extent", "var")

    def __init__(self, var: Var, extent: "Operand") -> None:
        self.var = var
        known = constant_value(extent)
        self.extent: int | Expr = as_expr(extent, INDEX) if known is None else known


@final
class Reduce(Expr):
    """`kind` over all values of `axes`; only at the top of a tensor's body. See `REDUCE`."""

    __slots__ = ("axes", "body", "kind")

    def __init__(self, kind: str, body: Expr, axes: Sequence[Axis]) -> None:
        assert kind in REDUCE, kind
        self.kind = kind
        self.body = body
        self.axes = tuple(axes)
        self.dtype = body.dtype

    def children(self) -> tuple[Expr, ...]:
        return (self.body,)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        return self if children[0] is self.body else Reduce(self.kind, children[0], self.axes)


def identity(kind: str, dtype: str) -> Const:
    """The value that a reduction of `kind` starts from."""
    values: dict[str, bool | int | float] = {"sum": 0, "prod": 1, "any": 0, "all": 1}
    if kind in values:
        return Const(values[kind], dtype)
    return Const(dtypes.minimum(dtype) if kind == "max" else dtypes.maximum(dtype), dtype)


#: The binary operation that combines two partial results of a reduction.
COMBINE = {"sum": "add", "prod": "mul", "min": "min", "max": "max", "any": "or", "all": "and"}


def const(value: bool | int | float, dtype: str = INDEX) -> Const:
    """A literal."""
    return Const(value, dtype)


def as_expr(value: Operand, dtype: str) -> Expr:
    """`value` as an expression; a Python number becomes a literal of `dtype`."""
    return value if isinstance(value, Expr) else Const(value, dtype)


def constant_value(value: Operand) -> int | None:
    """The integer that `value` is, or None where it is not an integer literal."""
    if isinstance(value, Const):
        value = value.value
    return int(value) if isinstance(value, int) else None


def _pair(a: Operand, b: Operand) -> tuple[Expr, Expr]:
    if isinstance(a, Expr):
        return a, as_expr(b, a.dtype)
    if isinstance(b, Expr):
        return as_expr(a, b.dtype), b
    return Const(a, INDEX), Const(b, INDEX)


def _fold_integers(op: str, a: int, b: int) -> int | None:
    match op:
        case "add":
            return a + b
        case "sub":
            return a - b
        case "mul":
            return a * b
        case "floordiv" if b:
            return a // b
        case "floormod" if b:
            return a % b
        case "min":
            return min(a, b)
        case "max":
            return max(a, b)
        case _:
            return None


def binary(op: str, a: Operand, b: Operand) -> Expr:
    """`op` of two values, with integer literals folded and units dropped."""
    x, y = _pair(a, b)
    if x.dtype == INDEX:
        p = x.value if isinstance(x, Const) else None
        q = y.value if isinstance(y, Const) else None
        if p is not None and q is not None:
            folded = _fold_integers(op, int(p), int(q))
            if folded is not None:
                return Const(folded, INDEX)
        if (op == "add" and p == 0) or (op == "mul" and p == 1):
            return y
        if (op in ("add", "sub") and q == 0) or (op in ("mul", "floordiv") and q == 1):
            return x
        if (op == "mul" and 0 in (p, q)) or (op == "floormod" and q == 1):
            return Const(0, INDEX)
    elif x.dtype == BOOL and op in ("and", "or"):
        for one, other in ((x, y), (y, x)):
            if isinstance(one, Const):
                return other if bool(one.value) == (op == "and") else one
    return Binary(op, x, y)


def unary(op: str, a: Expr) -> Expr:
    """`op` of one value."""
    if isinstance(a, Const) and op == "not":
        return Const(not a.value, BOOL)
    if isinstance(a, Const) and op == "neg" and a.dtype == INDEX:
        return Const(-a.value, INDEX)
    return Unary(op, a)


_COMPARE_INTEGERS = {
    "lt": int.__lt__,
    "le": int.__le__,
    "gt": int.__gt__,
    "ge": int.__ge__,
    "eq": int.__eq__,
    "ne": int.__ne__,
}


def compare(op: str, a: Operand, b: Operand) -> Expr:
    """A comparison, decided at once where both sides are index literals."""
    x, y = _pair(a, b)
    if isinstance(x, Const) and isinstance(y, Const) and x.dtype == INDEX:
        return Const(_COMPARE_INTEGERS[op](int(x.value), int(y.value)), BOOL)
    return Compare(op, x, y)


def equal(a: Operand, b: Operand) -> Expr:
    """``a == b``."""
    return compare("eq", a, b)


def both(*conditions: Expr) -> Expr:
    """The conjunction of `conditions`; true where there are none."""
    result: Expr = Const(True, BOOL)
    for condition in conditions:
        result = binary("and", result, condition)
    return result


def either(a: Expr, b: Expr) -> Expr:
    """The disjunction of two conditions."""
    return binary("or", a, b)


def select(cond: Expr, then: Operand, otherwise: Operand) -> Expr:
    """`then` where `cond` holds, else `otherwise`."""
    x, y = _pair(then, otherwise)
    if isinstance(cond, Const):
        return x if cond.value else y
    return Select(cond, x, y)


def cast(value: Expr, dtype: str) -> Expr:
    """`value` converted to `dtype`."""
    if value.dtype == dtype:
        return value
    if isinstance(value, Const) and dtype != BOOL and dtypes.is_float(dtype):
        return Const(float(value.value), dtype)
    return Cast(dtype, value)


def minimum(a: Operand, b: Operand) -> Expr:
    """The smaller of two values."""
    return binary("min", a, b)


def maximum(a: Operand, b: Operand) -> Expr:
    """The larger of two values."""
    return binary("max", a, b)


def power(a: Operand, b: Operand) -> Expr:
    """``a`` to the power ``b``."""
    return binary("pow", a, b)


def clamp(value: Expr, low: Operand, high: Operand) -> Expr:
    """`value` kept within ``low .. high``, both inclusive."""
    return minimum(maximum(value, low), high)
