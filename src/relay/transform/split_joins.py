"""`SplitJoins`: no call joins more tensors than a kernel can well take."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from relay.ir.expr import Call, Expr, Function, Tuple
from relay.ir.module import IRModule
from relay.ir.types import TensorType
from relay.ir.visit import rewrite
from relay.transform.base import FunctionPass, PassContext
from relay.transform.calls import attribute, is_call_of, make, normalize_axis, operator_name

MAX_JOINED: Final = 64
"""How many tensors one kernel joins at most. Fusion keeps to that too."""


@dataclass(frozen=True)
class SplitJoins(FunctionPass):
    """Join the tensors of a long ``concatenate`` or ``stack`` in several steps.

    A kernel asks for every element which of its arguments it comes from, and the time to compile
    it grows faster than their number. No call joins more than `limit` tensors afterwards; `n`
    tensors are copied ``log(n) / log(limit)`` times. With `limit` 2::

        concatenate((%a, %b, %c))   ->   concatenate((concatenate((%a, %b)), %c))
        stack((%a, %b, %c))         ->   concatenate((stack((%a, %b)), stack((%c,))))
    """

    limit: int = MAX_JOINED

    opt_level = 0
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        result = rewrite(func, self._split, enter_primitive=False)
        assert isinstance(result, Function)
        return result

    def _split(self, expr: Expr) -> Expr:
        if not is_call_of(expr, "concatenate", "stack") or not isinstance(expr.args[0], Tuple):
            return expr
        parts: Sequence[Expr] = expr.args[0].fields
        if len(parts) <= self.limit:
            return expr
        axis = self._axis(expr)
        if is_call_of(expr, "stack"):
            parts = [make("stack", Tuple(p), axis=axis) for p in self._groups(parts)]
        while len(parts) > 1:
            parts = [
                make("concatenate", Tuple(p), axis=axis) if len(p) > 1 else p[0]
                for p in self._groups(parts)
            ]
        return parts[0]

    def _axis(self, call: Call) -> int:
        result = call.checked_type
        assert isinstance(result, TensorType)
        return normalize_axis(attribute(call, "axis"), len(result.shape), operator_name(call))

    def _groups(self, parts: Sequence[Expr]) -> Iterator[tuple[Expr, ...]]:
        step = max(2, self.limit)
        return (tuple(parts[k : k + step]) for k in range(0, len(parts), step))
