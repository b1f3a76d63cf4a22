"""ONNX models: guarded loading, and import into Relay."""

from relay.frontend.onnx.graph import from_onnx, supported_operators
from relay.frontend.onnx.load import load
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op

__all__ = ["Node", "from_onnx", "load", "onnx_op", "supported_operators"]
