"""Operators whose meaning is in another system: they are known, typed as far as can be, not run."""

from collections.abc import Sequence
from typing import ClassVar

from relay.ir.op import Operator, Pattern, operator
from relay.ir.types import FuncType, TupleType, Type
from relay.support.errors import TypeInferenceError

_LOWERED = "a lowered function is code of the compiler that made it"


@operator("call_lowered", inputs=("func", "call_args"), pattern=Pattern.OPAQUE, level=10)
class CallLowered(Operator):
    """The result of a function that is compiled already, on the tuple `call_args`."""

    takes_small = True
    missing: ClassVar[dict[str, str]] = {
        "compute": _LOWERED,
        "reference": _LOWERED,
        "gradient": _LOWERED,
    }

    def infer(self, func: Type, call_args: Type) -> Type:
        if not isinstance(func, FuncType):
            raise TypeInferenceError(f"{self.name}: expected a function, found {func}")
        if not isinstance(call_args, TupleType) or len(call_args.fields) != len(func.arg_types):
            raise TypeInferenceError(
                f"{self.name}: expected a tuple of {len(func.arg_types)} arguments, "
                f"found {call_args}"
            )
        return func.ret_type


@operator("torch_op", inputs=(), pattern=Pattern.OPAQUE, level=10)
class TorchOp(Operator):
    """A function of PyTorch, serialised: it takes what it takes, and gives what it gives."""

    serialized_function: str = ""
    len: int = -1

    missing: ClassVar[dict[str, str]] = {
        "compute": "only PyTorch knows what the function does",
        "reference": "only PyTorch knows what the function does",
        "gradient": "only PyTorch knows what the function does",
    }

    def call_type(self, types: Sequence[Type]) -> Type:
        raise TypeInferenceError(
            f"{self.name}: the type of a serialised function of PyTorch is known to PyTorch only; "
            "export the model as ONNX and import it with relay.frontend.from_onnx"
        )


@operator("parser.MetaRef", inputs=(), pattern=Pattern.OPAQUE, level=10)
class MetaRef(Operator):
    """An entry of the section ``#[metadata]``, while a program is being read."""

    node_type_key: str
    node_index: int

    missing: ClassVar[dict[str, str]] = {
        "compute": "the parser puts the entry itself in its place",
        "reference": "the parser puts the entry itself in its place",
        "gradient": "the parser puts the entry itself in its place",
    }

    def infer(self) -> Type:
        raise TypeInferenceError(
            f"{self.name}: the entry {self.node_index} of {self.node_type_key} has not been found "
            "in the metadata"
        )


__all__ = ["CallLowered", "MetaRef", "TorchOp"]
