"""`ChangeBatch`: the same network for another batch size."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from relay.ir.expr import Expr, Function, Var
from relay.ir.module import IRModule
from relay.ir.types import Dim, TensorType
from relay.ir.visit import substitute
from relay.support.errors import RelayError
from relay.transform.base import FunctionPass, PassContext


@dataclass(frozen=True)
class ChangeBatch(FunctionPass):
    """Give the parameters in `data` (variables or their names) a batch of `batch_size`.

    `data` maps each to its batch dimension. Raises `RelayError` where a parameter is no tensor or
    has no such dimension; sizes that attributes spell out (a reshape to ``(1, 1000)``) do not
    follow and are found by type checking. With ``data={"x": 0}`` and ``batch_size=16``::

        fn (%x: Tensor[(1, 3), float32]) { .. }   ->   fn (%x: Tensor[(16, 3), float32]) { .. }
    """

    data: Mapping[Var | str, int] = field(default_factory=dict)
    batch_size: int = 16

    opt_level = 1

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        changed: dict[Var, Expr] = {}
        for parameter in func.params:
            axis = self.data.get(parameter, self.data.get(parameter.name_hint))
            if axis is not None:
                resized = self._resized(parameter, axis)
                if resized is not parameter:
                    changed[parameter] = resized
        if not changed:
            return func
        result = substitute(func, changed)
        assert isinstance(result, Function)
        return Function(result.params, result.body, None, func.type_params, func.attrs, func.span)

    def _resized(self, parameter: Var, axis: int) -> Var:
        found = parameter.type_annotation
        if not isinstance(found, TensorType) or not -len(found.shape) <= axis < len(found.shape):
            raise RelayError(
                f"ChangeBatch: %{parameter.name_hint} needs a tensor type with a dimension {axis}, "
                f"found {found}"
            )
        shape: list[Dim] = list(found.shape)
        if shape[axis] == self.batch_size:
            return parameter
        shape[axis] = self.batch_size
        return Var(parameter.name_hint, TensorType(shape, found.dtype), parameter.span)
