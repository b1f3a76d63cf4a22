"""What the special values of a reshape's ``newshape`` stand for, sizes known or not.

A size is an integer times symbols: the unknown sizes of the data. Inference gives every unknown
dimension a symbol, and those of one name the same; a tensor expression gives its symbolic size. So
that one algorithm serves both, it multiplies and cancels symbols without knowing what they are.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from relay import te
from relay.ir.types import Any, Dim, SizeVar
from relay.op.shapes import show, te_size
from relay.support.errors import TypeInferenceError


@dataclass(frozen=True)
class Size:
    """``factor`` times the product of ``symbols`` (compared by identity)."""

    factor: int
    symbols: tuple[object, ...] = ()

    def over(self, other: "Size") -> "Size | None":
        """The exact quotient, or None where it is not seen to be one."""
        rest = list(self.symbols)
        for symbol in other.symbols:
            place = next((k for k, s in enumerate(rest) if s is symbol), None)
            if place is None:
                return None
            del rest[place]
        if other.factor == 0 or self.factor % other.factor:
            return None
        return Size(self.factor // other.factor, tuple(rest))


def _product(sizes: Sequence[Size]) -> Size:
    factor = math.prod(s.factor for s in sizes)
    return Size(factor, () if factor == 0 else tuple(x for s in sizes for x in s.symbols))


class _Resolver:
    """Walks over ``newshape`` and the dimensions of the data side by side."""

    def __init__(
        self,
        operator_name: str,
        shape: Sequence[Size],
        newshape: Sequence[int],
        quotient: Callable[[Size, Size], object],
    ) -> None:
        self.operator_name = operator_name
        self.shape = shape
        self.newshape = newshape
        self.quotient = quotient
        self.position = 0

    def wrong(self, why: str) -> TypeInferenceError:
        """The error that says why ``newshape`` does not fit."""
        shown = show([Any() if s.symbols else s.factor for s in self.shape])
        return TypeInferenceError(
            f"{self.operator_name}: newshape {tuple(self.newshape)} does not fit {shown}: {why}"
        )

    def take(self) -> Size:
        """The next dimension of the data."""
        if self.position >= len(self.shape):
            raise self.wrong("it refers to a dimension that is not there")
        self.position += 1
        return self.shape[self.position - 1]

    def divide(self, whole: Size, part: Size, why: str) -> Size:
        """``whole / part``; raises where it is seen not to be exact."""
        exact = whole.over(part)
        if exact is not None:
            return exact
        if part.factor == 0 or not (whole.symbols or part.symbols):
            raise self.wrong(why)
        return Size(1, (self.quotient(whole, part),))

    def split(self, items: Iterator[int]) -> tuple[Size, Size]:
        """The two sizes after -4, of which one may be -1."""
        whole = self.take()
        left, right = next(items, None), next(items, None)
        if left is None or right is None:
            raise self.wrong("-4 must be followed by two sizes")
        if left == -1 and right == -1:
            raise self.wrong("of the two sizes after -4 only one may be -1")
        why = f"{whole.factor} cannot be split into {left} and {right}"
        if left == -1:
            return self.divide(whole, Size(right), why), Size(right)
        if right == -1:
            return Size(left), self.divide(whole, Size(left), why)
        if not whole.symbols and left * right != whole.factor:
            raise self.wrong(why)
        return Size(left), Size(right)

    def run(self, allowzero: bool) -> list[Size]:
        """The sizes of the result."""
        result: list[Size] = []
        inferred: int | None = None
        items = iter(self.newshape)
        for item in items:
            if item > 0 or (item == 0 and allowzero):
                result.append(Size(item))
                self.position += 1
            elif item == 0:
                result.append(self.take())
            elif item == -1:
                if inferred is not None:
                    raise self.wrong("-1 may appear once")
                inferred = len(result)
                result.append(Size(1))
                self.position += 1
            elif item == -2:
                result.extend(self.shape[self.position :])
                self.position = len(self.shape)
            elif item == -3:
                result.append(_product([self.take(), self.take()]))
            elif item == -4:
                result.extend(self.split(items))
            else:
                raise self.wrong(f"{item} has no meaning")
        before, after = _product(self.shape), _product(result)
        if inferred is not None:
            why = f"{before.factor} elements cannot be divided into parts of {after.factor}"
            result[inferred] = self.divide(before, after, why)
        elif not before.symbols and not after.symbols and before.factor != after.factor:
            raise self.wrong(f"it has {after.factor} elements, the tensor has {before.factor}")
        return result


def resolve_shape(
    operator_name: str, shape: Sequence[Dim], newshape: Sequence[int], allowzero: bool = False
) -> tuple[Dim, ...]:
    """The shape that `newshape` stands for when applied to a tensor of `shape`.

    0 copies a dimension (with `allowzero`: is a size), -1 is inferred from the rest (once at most),
    -2 copies all remaining dimensions, -3 multiplies the next two, -4 splits one into the two sizes
    that follow, of which one may be -1.

    Raises `TypeInferenceError` when `newshape` does not fit.
    """
    named = {d: d for d in shape if isinstance(d, SizeVar)}  # equal names are one symbol
    symbols = [named[d] if isinstance(d, SizeVar) else object() for d in shape]
    sizes = [
        Size(d) if isinstance(d, int) else Size(1, (symbol,))
        for d, symbol in zip(shape, symbols, strict=True)
    ]
    found = _Resolver(operator_name, sizes, newshape, lambda *_: object()).run(allowzero)
    return tuple(_dim(s) for s in found)


def _dim(size: Size) -> Dim:
    """A number, or a name where the size is one that has a name."""
    if not size.symbols:
        return size.factor
    symbol = size.symbols[0]
    one = size.factor == 1 and len(size.symbols) == 1
    return symbol if one and isinstance(symbol, SizeVar) else Any()


def resolve_te_shape(
    operator_name: str, shape: Sequence[te.Dim], newshape: Sequence[int], allowzero: bool = False
) -> tuple[te.Dim, ...]:
    """`resolve_shape` for tensor expressions: unknown sizes of the result are expressions."""

    def dim(size: Size) -> te.Dim:
        symbols = [s for s in size.symbols if isinstance(s, te.Expr)]
        if len(symbols) == 1 and size.factor == 1:
            return symbols[0]
        return te_size([size.factor, *symbols]) if symbols else size.factor

    def quotient(whole: Size, part: Size) -> te.Expr:
        return te.as_expr(dim(whole), te.INDEX) // dim(part)

    sizes = [Size(d) if isinstance(d, int) else Size(1, (d,)) for d in shape]
    found = _Resolver(operator_name, sizes, newshape, quotient).run(allowzero)
    return tuple(dim(s) for s in found)
