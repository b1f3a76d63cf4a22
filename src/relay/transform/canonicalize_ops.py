"""`CanonicalizeOps`: say with basic operators what only looks special."""

from dataclasses import dataclass

from relay.ir.expr import Call, Expr, Function
from relay.ir.module import IRModule
from relay.ir.types import TensorType
from relay.ir.visit import rewrite
from relay.transform.base import FunctionPass, PassContext
from relay.transform.calls import (
    attribute,
    constant,
    constant_array,
    is_call_of,
    make,
    normalize_axis,
)
from relay.transform.simplify_inference import along_axis


@dataclass(frozen=True)
class CanonicalizeOps(FunctionPass):
    """Write ``nn.bias_add`` as an addition that broadcasts; a constant bias is reshaped here. ::

    nn.bias_add(%x, %bias, axis=1)   ->   add(%x, expand_dims(%bias, axis=1, num_newaxis=2))
    """

    opt_level = 3
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        result = rewrite(func, _canonicalize, enter_primitive=False)
        assert isinstance(result, Function)
        return result


def _canonicalize(expr: Expr) -> Expr:
    return _expand_bias(expr) if is_call_of(expr, "nn.bias_add") else expr


def _expand_bias(call: Call) -> Expr:
    data, bias = call.args
    type_ = data.checked_type
    assert isinstance(type_, TensorType)
    rank = len(type_.shape)
    axis = normalize_axis(attribute(call, "axis"), rank, "nn.bias_add")
    values = constant_array(bias)
    if values is None:
        return make("add", data, along_axis(bias, axis, rank))
    shape = (values.size, *(1,) * (rank - 1 - axis))
    return make("add", data, constant(values.reshape(shape), type_.dtype))
