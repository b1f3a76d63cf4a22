"""Branches that make values of no common type: what follows from these belongs to both of them."""

from collections.abc import Sequence

from relay.frontend.onnx.containers import coerced, joined
from relay.ir.expr import Expr, If, Tuple, TupleGetItem
from relay.support.source import Span


class Divided(Exception):  # noqa: N818 - not an error: what follows is converted for each branch
    """The branches of an If make values of no common type, as `message` says.

    `sides` are the values where `condition` holds, and those where it does not; None where nobody
    reads a value, and a division instead of values where a branch has branches itself.
    """

    def __init__(
        self,
        message: str,
        condition: Expr,
        sides: "Sequence[Sequence[Expr | None] | Divided]",
        span: Span | None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.condition = condition
        self.sides = sides
        self.span = span


def chosen(
    condition: Expr, then: Sequence[Expr], other: Sequence[Expr], span: Span | None
) -> list[Expr] | int:
    """The values `then` where `condition` holds, else those of `other`.

    The number of the first pair of values that have no common type, where there is one.
    """
    sides: tuple[list[Expr], list[Expr]] = [], []
    for number, pair in enumerate(zip(then, other, strict=True)):
        common = joined(pair[0].checked_type, pair[1].checked_type)
        for side, value in zip(sides, pair, strict=True):
            made = None if common is None else coerced(value, common)
            if made is None:
                return number
            side.append(made)
    if len(then) == 1:
        return [If(condition, sides[0][0], sides[1][0], span)]
    both = If(condition, Tuple(sides[0], span), Tuple(sides[1], span), span)
    return [TupleGetItem(both, k, span) for k in range(len(then))]
