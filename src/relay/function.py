"""Functions by the name that Relay's users know the module by."""

from relay.ir.change import FunctionWithFields
from relay.ir.expr import Function

__all__ = ["Function", "FunctionWithFields"]
