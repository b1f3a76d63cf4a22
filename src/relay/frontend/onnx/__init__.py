"""ONNX models: guarded loading, and import into Relay."""

from relay.frontend.onnx.graph import from_onnx, supported_operators
from relay.frontend.onnx.load import load

__all__ = ["from_onnx", "load", "supported_operators"]
