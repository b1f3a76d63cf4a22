"""`SplitArgs`: no kernel takes more arguments than a target allows."""

from dataclasses import dataclass

from relay.ir.expr import Function
from relay.ir.module import IRModule
from relay.support.errors import RelayError
from relay.transform.base import FunctionPass, PassContext
from relay.transform.split_joins import SplitJoins


@dataclass(frozen=True)
class SplitArgs(FunctionPass):
    """Join tensors in several steps where one call would take more than `max_function_args`.

    0 is no limit. Raises `RelayError` for a limit below 3: two tensors to join and the result have
    to be arguments at least. See `SplitJoins`, which this is for a target's limit. With 3::

        concatenate((%a, %b, %c))   ->   concatenate((concatenate((%a, %b)), %c))
    """

    max_function_args: int

    opt_level = 1
    required = ("InferType",)

    def __post_init__(self) -> None:
        if self.max_function_args != 0 and self.max_function_args < 3:
            raise RelayError(
                "SplitArgs: max_function_args must be 0 (no limit) or 3 at least, "
                f"found {self.max_function_args}"
            )

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        if self.max_function_args == 0:
            return func
        # One argument of a kernel is its result.
        return SplitJoins(self.max_function_args - 1).run_function(func, module, context)
