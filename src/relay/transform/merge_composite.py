"""`MergeComposite`: what an external compiler knows as one operation becomes one function."""

from dataclasses import dataclass

from relay.dataflow_pattern.groups import accept
from relay.ir.expr import Function
from relay.ir.module import IRModule
from relay.op.contrib.register import PatternTable
from relay.support.errors import RelayError
from relay.transform.base import FunctionPass, PassContext

COMPOSITE = "Composite"
"""The attribute that names a function made of a pattern: ``compiler.name``."""


@dataclass(frozen=True)
class MergeComposite(FunctionPass):
    """Make each match of the patterns a call of a function with the attribute ``Composite``.

    `pattern_table` holds tuples of a name, a pattern of `relay.dataflow_pattern` and, if more than
    the pattern has to hold, a function that is given the last node of a match and says so. The
    patterns are tried in order; what one has taken is left alone by the others. ::

        nn.relu(nn.conv2d(%x, %w))
        ->
        (fn (%FunctionVar_0_0, %FunctionVar_0_1, Composite="toy.conv2d_relu",
             PartitionedFromPattern="nn.conv2d_nn.relu_") {
          nn.relu(nn.conv2d(%FunctionVar_0_0, %FunctionVar_0_1))
        })(%x, %w)

    Raises `RelayError` for an entry of another form.
    """

    pattern_table: PatternTable

    opt_level = 0
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        if "Primitive" in func.attrs:
            return func
        body = func.body
        for entry in self.pattern_table:
            if not 2 <= len(entry) <= 3:
                raise RelayError(f"expected (name, pattern) or (name, pattern, check), got {entry}")
            check = entry[2] if len(entry) == 3 else accept
            body = entry[1].partition(body, {COMPOSITE: entry[0]}, check)
        result = func.rebuild((*func.params, body))
        assert isinstance(result, Function)
        return result
