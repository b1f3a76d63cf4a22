"""Sizes that are known at run time only, as far as a model lets them be computed with.

Models compute the sizes of what they make: ``Shape``, a few of its elements, products, joined to a
vector again. Here such vectors are computed while importing, with symbols for the sizes that are
open, so that it shows which sizes are the same, and which are known after all.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

import numpy as np

from relay import dtypes
from relay.ir.expr import Call, Constant, Expr, Tuple
from relay.ir.op import Array, Operator
from relay.ir.types import Any, Dim, SizeVar, TensorType

#: Vectors of more numbers than this are no sizes.
_MAX_ELEMENTS = 64


@dataclass(frozen=True)
class Open:
    """Something that is not known, but always the same: size or element `index` of `expr`."""

    expr: Expr
    index: int
    is_element: bool = False

    def __str__(self) -> str:
        return "?"


Atom: TypeAlias = SizeVar | Open
_Product: TypeAlias = frozenset[tuple[Atom, int]]


@dataclass(frozen=True)
class Size:
    """A number that depends on open sizes: a sum of products of them, each with its power."""

    terms: frozenset[tuple[_Product, int]]

    def __add__(self, other: "Extent") -> "Extent":
        total = Counter(dict(self.terms))
        for product, factor in _terms(other):
            total[product] += factor
        return _made(total)

    __radd__ = __add__

    def __neg__(self) -> "Extent":
        return self * -1

    def __sub__(self, other: "Extent") -> "Extent":
        return self + other * -1

    def __rsub__(self, other: "Extent") -> "Extent":
        return other + self * -1

    def __mul__(self, other: "Extent") -> "Extent":
        total: Counter[_Product] = Counter()
        for a, x in self.terms:
            for b, y in _terms(other):
                total[frozenset((Counter(dict(a)) + Counter(dict(b))).items())] += x * y
        return _made(total)

    __rmul__ = __mul__

    def __repr__(self) -> str:
        """As formulas are written: ``2*batch*seq + 1``."""
        parts = [
            "*".join([*[str(f)] * (f != 1 or not p), *(str(a) for a, n in p for _ in range(n))])
            for p, f in self.terms
        ]
        return " + ".join(sorted(parts, key=lambda part: (part.isdecimal(), part)))

    def dim(self) -> Dim:
        """As a dimension of a type: a name, where it is one open size that has a name."""
        (product, factor), *more = self.terms
        if not more and factor == 1 and len(product) == 1:
            ((atom, power),) = product
            if power == 1 and isinstance(atom, SizeVar):
                return atom
        return Any()

    def atoms(self) -> set[Atom]:
        """What it depends on."""
        return {atom for product, _ in self.terms for atom, _ in product}


Extent: TypeAlias = int | Size


def _terms(value: Extent) -> frozenset[tuple[_Product, int]]:
    return value.terms if isinstance(value, Size) else frozenset([(frozenset(), value)])


def _made(total: Mapping[_Product, int]) -> Extent:
    left = {product: factor for product, factor in total.items() if factor}
    if left.keys() <= {frozenset()}:
        return left.get(frozenset(), 0)
    return Size(frozenset(left.items()))


def symbol(atom: Atom) -> Size:
    """The open size `atom`."""
    return Size(frozenset([(frozenset([(atom, 1)]), 1)]))


def as_dim(value: Extent) -> Dim:
    """`value` as a dimension of a type."""
    return value.dim() if isinstance(value, Size) else value


def quotient(whole: Extent, part: Extent) -> Extent | None:
    """``whole / part`` where it is seen to be a whole number for all sizes, else None."""
    if isinstance(part, int) and isinstance(whole, int):
        return whole // part if part and whole % part == 0 else None
    (product, factor), *more = _terms(part)
    if more or not factor:
        return None
    total: Counter[_Product] = Counter()
    for found, times in _terms(whole):
        rest = Counter(dict(found))
        rest.subtract(dict(product))
        if times % factor or any(power < 0 for power in rest.values()):
            return None
        total[frozenset((+rest).items())] += times // factor
    return _made(total)


def least(value: Extent) -> int | None:
    """What `value` is at least, sizes being 0 or more; None where that is not seen."""
    terms = dict(_terms(value))
    constant = terms.pop(frozenset(), 0)
    elements = isinstance(value, Size) and any(
        isinstance(atom, Open) and atom.is_element for atom in value.atoms()
    )
    return None if elements or any(f < 0 for f in terms.values()) else constant


def compared(a: Extent, b: Extent) -> int | None:
    """-1, 0 or 1 as `a` is less than, equal to or more than `b` for all sizes, else None."""
    if a == b:
        return 0
    above, below = least(a - b), least(b - a)
    if above is not None and above > 0:
        return 1
    return -1 if below is not None and below > 0 else None


def broadcast(*shapes: Sequence[Extent]) -> tuple[Extent, ...] | None:
    """The shape that `shapes` broadcast to; None where that depends on open sizes."""
    rank = max(map(len, shapes))
    result: list[Extent] = []
    for sizes in zip(*[(1,) * (rank - len(s)) + tuple(s) for s in shapes], strict=True):
        wide = set(sizes) - {1}
        known = {d for d in wide if isinstance(d, int)}
        if len(wide) > 1 and len(known) != 1:
            return None
        result.append(next(iter(known or wide), 1))
    return tuple(result)


# ---------------------------------------------------------------- values of vectors

#: What moves numbers about does so with symbols, too.
_MOVES: Final = frozenset(
    "broadcast_to concatenate copy expand_dims gather reshape reverse squeeze stack strided_slice "
    "take tile transpose".split()
)


def evaluated(
    call: Call,
    found: TensorType,
    value_of: Callable[[Expr], Array | None],
    shape_of: Callable[[Expr], Sequence[Extent]],
) -> Array | None:
    """The value of a `call` of type `found` that computes sizes, as an array of `Extent`.

    `value_of` gives the value of an argument that has one, as an array of objects; `shape_of` the
    sizes of one. None where it is no such call.
    """
    operator = call.attrs
    if (
        not isinstance(operator, Operator)
        or not found.is_static
        or len(found.shape) > 2
        or np.prod(found.concrete_shape, dtype=int) > _MAX_ELEMENTS
        or found.dtype not in ("int32", "int64", "bool")
    ):
        return None
    if operator.name == "shape_of":
        return _objects(list(shape_of(call.args[0])))
    if operator.name == "ndarray_size":
        return _objects(np.prod(_objects(list(shape_of(call.args[0])))))
    arguments: list[Array | tuple[Array, ...]] = []
    for argument in call.args:
        fields = argument.fields if isinstance(argument, Tuple) else (argument,)
        values = [value for value in map(value_of, fields) if value is not None]
        if len(values) != len(fields):
            return None
        arguments.append(tuple(values) if isinstance(argument, Tuple) else values[0])
    return _applied(call, operator, arguments)


def _applied(
    call: Call, operator: Operator, arguments: list[Array | tuple[Array, ...]]
) -> Array | None:
    if operator.name in _MOVES:
        if len(arguments) > 1:  # places are whole numbers
            places = arguments[1]
            if not isinstance(places, np.ndarray) or not _all_known(places):
                return None
            arguments[1] = places.astype(np.int64)
        moved = operator.reference(*arguments)
        return moved if isinstance(moved, np.ndarray) else _objects(moved)
    arrays = [a for a in arguments if isinstance(a, np.ndarray)]
    if operator.name == "cast":
        return arrays[0]
    compute = _ELEMENTWISE.get(operator.name)
    if compute is None:
        return None
    around = np.broadcast(*arrays)
    values = [
        symbol(Open(call, k, True)) if value is None else value
        for k, value in enumerate(compute(*elements) for elements in around)
    ]
    return _objects(values).reshape(around.shape)


def _objects(values: object) -> Array:
    """`values`, numbers or symbols, as an array of objects."""
    if not isinstance(values, list):
        return _objects([values]).reshape(())
    result: Array = np.empty(len(values), object)
    result[:] = values
    return result


def _all_known(values: Array) -> bool:
    return all(isinstance(v, int) for v in values.flat)


def _divided(a: Extent, b: Extent) -> Extent | None:
    if isinstance(a, int) and isinstance(b, int):
        return None if b == 0 or a < 0 or b < 0 else a // b
    return quotient(a, b)


def _comparison(*holds: int) -> Callable[[Extent, Extent], Extent | None]:
    def compare(a: Extent, b: Extent) -> Extent | None:
        order = compared(a, b)
        return None if order is None else int(order in holds)

    return compare


def _chosen(condition: Extent, a: Extent, b: Extent) -> Extent | None:
    if a == b:
        return a
    return (a if condition else b) if isinstance(condition, int) else None


def _larger(a: Extent, b: Extent) -> Extent | None:
    return _chosen(order >= 0, a, b) if (order := compared(a, b)) is not None else None


def _smaller(a: Extent, b: Extent) -> Extent | None:
    return _chosen(order <= 0, a, b) if (order := compared(a, b)) is not None else None


_ELEMENTWISE: Final[Mapping[str, Callable[..., Extent | None]]] = {
    "add": lambda a, b: cast(Extent, a + b),
    "subtract": lambda a, b: cast(Extent, a - b),
    "multiply": lambda a, b: cast(Extent, a * b),
    "trunc_divide": _divided,
    "floor_divide": _divided,
    "equal": _comparison(0),
    "not_equal": _comparison(-1, 1),
    "less": _comparison(-1),
    "less_equal": _comparison(-1, 0),
    "greater": _comparison(1),
    "greater_equal": _comparison(0, 1),
    "where": _chosen,
    "maximum": _larger,
    "minimum": _smaller,
}


def constant_value(constant: Constant) -> Array | None:
    """The value of a `constant` of few whole numbers, as an array of objects."""
    data = constant.data
    if np.prod(data.shape, dtype=int) > _MAX_ELEMENTS or not (
        data.dtype == "bool" or dtypes.is_integer(data.dtype)
    ):
        return None
    values = data.numpy()
    return _objects([int(v) for v in values.reshape(-1)]).reshape(values.shape)
