"""How to say in Relay that a tensor takes another shape, where some sizes are open."""

import math
from collections.abc import Iterable, Sequence

from relay.frontend.onnx.sizes import Extent, quotient
from relay.ir.expr import Expr


def reshape_codes(
    old: Sequence[Extent], new: Sequence[Extent]
) -> tuple[str, tuple[int, ...]] | None:
    """An operator and its ``newshape`` that make `new` of `old`, which has no size 0.

    A -1 in `new` is what is left. None where special values do not say it, or where it does not
    show that both have as many elements.
    """
    found = _from_left(old, new)
    if found is not None:
        return "reshape", found
    if len(new) >= 2 and len(old) == len(new) + 1 and new[0] == old[0] * old[1]:
        if list(old[2:]) == list(new[1:]):
            return "reshape", (-3, -2)
    found = _from_left(old[::-1], new[::-1])
    return None if found is None else ("contrib_reverse_reshape", found[::-1])


def _from_left(old: Sequence[Extent], new: Sequence[Extent]) -> tuple[int, ...] | None:
    codes: list[int] = []
    for k, size in enumerate(new):
        if isinstance(size, int):
            codes.append(size)
        else:
            codes.append(0 if k < len(old) and old[k] == size else -1)
    if codes.count(-1) > 1:
        return None
    if -1 not in codes:
        return tuple(codes) if math.prod(old) == math.prod(new) else None
    place = codes.index(-1)
    rest = quotient(math.prod(old), math.prod(d for k, d in enumerate(new) if k != place))
    return tuple(codes) if new[place] in (-1, rest) else None


def like_range(
    old: Sequence[Extent],
    new: Sequence[Extent],
    others: Iterable[tuple[Expr, Sequence[Extent]]],
) -> tuple[Expr, dict[str, int]] | None:
    """One of `others` and what of its shape replaces which part of `old` to make `new`.

    The attributes are those of ``reshape_like``. None where none of them has such a part.
    """
    least = min(len(old), len(new))
    front = next((k for k in range(least) if old[k] != new[k]), least)
    behind = least - front
    back = next((k for k in range(behind) if old[-1 - k] != new[-1 - k]), behind)
    wanted = list(new[front : len(new) - back])
    for other, shape in others:
        for k in range(len(shape) - len(wanted) + 1 if wanted else 0):
            if list(shape[k : k + len(wanted)]) == wanted:
                return other, {
                    "lhs_begin": front,
                    "lhs_end": len(old) - back,
                    "rhs_begin": k,
                    "rhs_end": k + len(wanted),
                }
    return None
