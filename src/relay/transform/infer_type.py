"""`InferType`: find the types that a program leaves out."""

from dataclasses import dataclass

from relay.infer import infer_type_local, infer_types
from relay.ir.expr import Expr
from relay.ir.module import IRModule
from relay.ir.types import Type
from relay.transform.base import Pass, PassContext


@dataclass(frozen=True)
class InferType(Pass):
    """Annotate every variable and function with its type.

    Raises one `TypeInferenceError` that shows all errors inside the text of the program. ::

        fn (%x: Tensor[(2), float32], %y) { add(%x, %y) }
        ->
        fn (%x: Tensor[(2), float32], %y: Tensor[(2), float32]) -> Tensor[(2), float32] { .. }
    """

    opt_level = 0

    def run(self, module: IRModule, context: PassContext) -> IRModule:
        return infer_types(module)


def InferTypeLocal(expr: Expr) -> Type:  # noqa: N802 - Relay's name
    """The type of `expr` alone, from the annotations in it.

    Raises `TypeInferenceError` when it is ill typed, or too little is annotated.
    """
    return infer_type_local(expr)
