"""Products with weights of a few bits, in blocks that have a scale each, of ``com.microsoft``.

Such weights are constants; they become floats while importing.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.frontend.onnx.converters.contraction import dense
from relay.frontend.onnx.converters.contrib_common import DOMAIN, plus
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Constant, Expr

#: Values of 4 bits between -1 and 1: as floats, and at quantiles of the normal distribution.
#: T. Dettmers et al., QLoRA, 2023.
_FLOAT4: Final = (0.0, 1 / 192, 2 / 3, 1.0, 1 / 3, 1 / 2, 1 / 6, 1 / 4)
_NORMAL4: Final = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)


def _unpacked(packed: npt.NDArray[np.uint8], bits: int) -> npt.NDArray[np.uint8]:
    """The numbers of `bits` bits in the last axis, those in the low bits of a byte first."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    spread = (packed[..., None] >> shifts) & np.uint8((1 << bits) - 1)
    return spread.reshape(*packed.shape[:-1], -1)


def _bytes(node: Node, index: int, what: str, shape: Sequence[int]) -> npt.NDArray[np.uint8]:
    value = node.static(index, what)
    if value.dtype != np.uint8 or value.size != np.prod(shape):
        node.fail(
            f"its {what} must be uint8 of {tuple(shape)}, found {value.dtype} of {value.shape}"
        )
    return value.reshape(shape)


def _weights(node: Node, bits: int, rows: int, depth: int, block: int) -> Constant:
    """The matrix (rows, depth): ``(number - zero point) * scale``."""
    blocks = -(-depth // block)
    data, dtype = node.arg(0), node.dtype(node.arg(0))
    node.spend((rows, depth), "float32")
    packed = _bytes(node, 1, "weights", (rows, blocks, block * bits // 8))
    numbers = _unpacked(packed.reshape(rows, -1), bits)[:, :depth]
    scales = node.static(2, "scales").astype(np.float32).reshape(rows, blocks)
    zeros: npt.NDArray[np.float32] = np.full((rows, blocks), 1 << (bits - 1), np.float32)
    given = node.optional(3)
    if given is not None and dtypes.is_float(node.dtype(given)):
        zeros = node.static(3, "zero points").astype(np.float32).reshape(rows, blocks)
    elif given is not None:
        points = _bytes(node, 3, "zero points", (rows, -(-blocks * bits // 8)))
        zeros = _unpacked(points, bits)[:, :blocks].astype(np.float32)
    places = np.arange(depth) // block
    if node.optional(4) is not None:
        places = node.static(4, "groups").reshape(-1)[:depth].astype(np.int64)
        if places.size != depth or places.min() < 0 or places.max() >= blocks:
            node.fail(f"its groups must be {depth} numbers below {blocks}")
    weights = numbers.astype(np.float32)
    weights -= zeros[:, places]
    weights *= scales[:, places]
    if node.dims(data)[-1] != depth:
        node.fail(f"its input of shape {node.dims(data)} does not have {depth} columns")
    return node.constant(weights, dtype)


@onnx_op(DOMAIN, "MatMulNBits")
def matmul_of_few_bits(node: Node) -> Expr:
    """A product with a matrix of 2, 4 or 8 bits, whose rows are quantized in blocks."""
    bits, block = node.integer("bits", 4), node.integer("block_size")
    rows, depth = node.integer("N"), node.integer("K")
    if bits not in (2, 4, 8) or block < 1 or block * bits % 8 or min(rows, depth) < 1:
        node.unsupported(
            f"blocks of {block} numbers of {bits} bits in a matrix of {rows} x {depth} are not "
            "supported; 2, 4 and 8 bits in blocks of whole bytes are"
        )
    if node.integer("weight_prepacked", 0):
        node.unsupported("its weights are in the order that one kind of device wants")
    product = dense(node, node.arg(0), _weights(node, bits, rows, depth, block))
    return plus(node, product, node.optional(5))


@onnx_op(DOMAIN, "MatMulBnb4")
def matmul_of_float4(node: Node) -> Expr:
    """A product with a matrix of 4 bits, quantized in blocks of its elements in order."""
    rows, depth, block = node.integer("N"), node.integer("K"), node.integer("block_size")
    if not node.integer("transB", 1):
        node.unsupported("a matrix that is not transposed is not supported")
    if min(rows, depth, block) < 1:
        node.fail(f"a matrix of {rows} x {depth} in blocks of {block} has no elements")
    table = np.array(_NORMAL4 if node.integer("quant_type") else (*_FLOAT4, *np.negative(_FLOAT4)))
    count = rows * depth
    node.spend((rows, depth), "float32")
    packed = _bytes(node, 1, "weights", (-(-count // 2),))
    numbers = np.stack([packed >> 4, packed & 15], -1).reshape(-1)[:count]  # high bits first
    scales = node.static(2, "scales").astype(np.float32).reshape(-1)
    if scales.size != -(-count // block):
        node.fail(f"it needs {-(-count // block)} scales, found {scales.size}")
    values = table.astype(np.float32)[numbers] * np.repeat(scales, block)[:count]
    weight = node.constant(values.reshape(rows, depth), node.dtype(node.arg(0)))
    return dense(node, node.arg(0), weight)
