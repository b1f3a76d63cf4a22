"""Conversions between data types, by value and by bits."""

from onnx import TensorProto

from relay import dtypes
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr


def converted(node: Node, value: Expr, dtype: str) -> Expr:
    """`value` as `dtype`, rounded as the attributes of `node` say.

    Only float 8 types ask for `saturate`, from version 19 on, and ``FLOAT8E8M0`` for `round_mode`.
    """
    if dtype not in dtypes.SMALL_FLOATS:
        return node.cast(value, dtype)
    round_mode = node.text("round_mode", "up")
    if round_mode not in ("up", "down", "nearest"):
        node.fail(f"its round_mode {round_mode!r} is not one of up, down, nearest")
    saturate = bool(node.integer("saturate", 1))
    return node.call("cast", value, dtype=dtype, saturate=saturate, round_mode=round_mode)


@onnx_op("", "Cast")
def cast_by_name(node: Node) -> Expr:
    """Conversion to the data type of a name, such as ``FLOAT``."""
    name = node.text("to", "")
    if name not in TensorProto.DataType.keys():  # noqa: SIM118 - it is no mapping
        node.fail(f"there is no data type {name!r}")
    return converted(node, node.arg(0), node.element_type(TensorProto.DataType.Value(name)))


@onnx_op("", "Cast", since=6)
def cast(node: Node) -> Expr:
    """Conversion to another data type."""
    return converted(node, node.arg(0), node.element_type(node.integer("to")))


@onnx_op("", "CastLike")
def cast_like(node: Node) -> Expr:
    """Conversion to the data type of another tensor."""
    return converted(node, node.arg(0), node.dtype(node.arg(1)))


@onnx_op("", "BitCast", since=26)
def bit_cast(node: Node) -> Expr:
    """The bits of numbers, taken for those of another type of the same width."""
    value = node.arg(0)
    dtype, found = node.element_type(node.integer("to")), node.dtype(value)
    # A bool is stored as a byte.
    width = {d: 8 if d == "bool" else dtypes.width(d) for d in (dtype, found)}
    if width[dtype] != width[found]:
        node.fail(f"{found} has {width[found]} bits and {dtype} {width[dtype]}: not as many")
    if "bool" not in (dtype, found):
        return value if dtype == found else node.call("reinterpret", value, dtype=dtype)
    if found == "bool":
        byte = node.cast(value, "uint8")
        return byte if dtype == "uint8" else node.call("reinterpret", byte, dtype=dtype)
    byte = value if found == "uint8" else node.call("reinterpret", value, dtype="uint8")
    return node.cast(byte, "bool")
