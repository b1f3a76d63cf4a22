"""Quantized numbers: ``value = scale * (number - zero point)``, and products of them.

Everything is spelled out in ordinary operators, rounded where the standard rounds: a quotient in
the precision that it asks for, then to the nearest integer with ties to even, and only then the
zero point is added. Integers are multiplied and added up in ``int32``.
"""

from relay import dtypes
from relay.frontend.onnx.converters.casting import converted
from relay.frontend.onnx.converters.contraction import matrix_product
from relay.frontend.onnx.converters.convolution import add_bias, convolve
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Constant, Expr

_NARROW = ("float16", "bfloat16")


def _rounded(node: Node, operator: str, a: Expr, b: Expr, dtype: str) -> Expr:
    """A product or quotient as `dtype` has it.

    The narrow types are computed in ``float32``, which leaves no trace once it is rounded.
    """
    wide = "float32" if dtype in _NARROW else dtype
    result = node.call(operator, node.cast(a, wide), node.cast(b, wide))
    return node.cast(result, dtype)


class _Granularity:
    """How scales and zero points lie along a tensor: for all of it, an axis, or blocks of one.

    Blocks get an axis of their own: `spread` makes it, `gather` undoes it. Only they need sizes
    that are known.
    """

    def __init__(self, node: Node, value: Expr, scale: Expr) -> None:
        self._node = node
        self._given = node.shape(scale)
        self._shape: tuple[int, ...] | None = None
        self._inside: tuple[int, ...] | None = None
        self._axis = 0
        self._block = 0
        rank = node.rank(value)
        if self._given in ((), (1,)):
            self._wanted: tuple[int, ...] = ()
        elif len(self._given) == 1:
            axis = node.axis("axis", rank, 1)
            self._wanted = (*self._given, *(1,) * (rank - 1 - axis))
            found = node.type_of(value)
            if isinstance(size := found.shape[axis], int) and self._given[0] != size:
                node.fail(f"its scale has {self._given[0]} elements for axis {axis} of {found}")
        else:
            self._shape = node.shape(value)
            self._in_blocks(self._shape)

    def _in_blocks(self, shape: tuple[int, ...]) -> None:
        node = self._node
        self._axis = axis = node.axis("axis", len(shape), 1)
        self._block = block = node.integer("block_size", 0)
        count = -(-shape[axis] // block) if block > 0 else 0
        wanted = (*shape[:axis], count, *shape[axis + 1 :])
        if block < 1 or self._given != wanted:
            node.fail(
                f"its scale of shape {self._given} fits neither {shape} nor blocks of "
                f"{block} along axis {axis}, which take {wanted}"
            )
        self._wanted = wanted
        if shape[axis] % block == 0:
            self._wanted = (*wanted[: axis + 1], 1, *wanted[axis + 1 :])
            self._inside = (*wanted[: axis + 1], block, *wanted[axis + 1 :])
            self._block = 0

    def spread(self, value: Expr) -> Expr:
        """The tensor, with an axis of its own for what is inside of a block."""
        return value if self._inside is None else self._node.reshape(value, self._inside)

    def gather(self, value: Expr) -> Expr:
        """The tensor in its own shape."""
        if self._inside is None or self._shape is None:
            return value
        return self._node.reshape(value, self._shape)

    def fit(self, numbers: Expr, what: str) -> Expr:
        """Scales or zero points (not of a small type), so that they broadcast."""
        node = self._node
        found = node.shape(numbers)
        if found != self._given and {found, self._given} != {(), (1,)}:
            node.fail(f"its {what} has the shape {found}, but its scale {self._given}")
        numbers = node.reshape(numbers, self._wanted)
        if not self._block or self._shape is None:
            return numbers
        # The last block is not full.
        whole = node.call("repeat", numbers, repeats=self._block, axis=self._axis)
        return node.slice_axis(whole, self._axis, 0, self._shape[self._axis])


def _is_zero(expr: Expr | None) -> bool:
    """Whether a zero point is left out, or known to be zero."""
    return expr is None or (isinstance(expr, Constant) and not expr.data.values().any())


def _saturated(node: Node, value: Expr, zero: Expr | None, dtype: str) -> Expr:
    """Integers held by floats, plus their zero point, in the range of `dtype`."""
    low, high = dtypes.integer_range(dtype)
    if zero is not None and not _is_zero(zero):
        value = node.call("add", value, node.cast(zero, node.dtype(value)))
    return node.cast(node.call("clip", value, a_min=float(low), a_max=float(high)), dtype)


# ---------------------------------------------------------------------- one tensor


@onnx_op("", "QuantizeLinear")
def quantize_linear(node: Node) -> Expr:
    """``saturate(round(x / scale) + zero point)``: for a tensor, along an axis or in blocks."""
    value, scale, zero = node.arg(0), node.arg(1), node.optional(2)
    dtype = "uint8" if zero is None else node.dtype(zero)
    if node.integer("output_dtype", 0):
        asked = node.element_type(node.integer("output_dtype"))
        if zero is not None and asked != dtype:
            node.fail(f"its output_dtype is {asked}, but its zero point is {dtype}")
        dtype = asked
    precision = node.dtype(scale)
    if node.integer("precision", 0):
        precision = node.element_type(node.integer("precision"))
    if not dtypes.is_float(precision) or precision in dtypes.SMALL:
        scale, precision = node.cast(scale, "float32"), "float32"
    places = _Granularity(node, value, scale)
    quotient = _rounded(node, "divide", places.spread(value), places.fit(scale, "scale"), precision)
    wide = "float32" if precision in _NARROW else precision
    # A zero point of float 8 is zero; that of float 4 also makes -0 zero.
    if dtypes.is_float(dtype):
        if zero is not None and not (_is_zero(zero) and dtype != "float4_e2m1fn"):
            offset = places.fit(node.cast(zero, wide), "zero point")
            quotient = node.call("add", node.cast(quotient, wide), offset)
        return places.gather(converted(node, quotient, dtype))
    if zero is not None:
        zero = None if _is_zero(zero) else places.fit(node.cast(zero, wide), "zero point")
    whole = node.call("round", node.cast(quotient, wide))
    return places.gather(_saturated(node, whole, zero, dtype))


@onnx_op("", "DequantizeLinear")
def dequantize_linear(node: Node) -> Expr:
    """``(x - zero point) * scale``: for a tensor, along an axis or in blocks."""
    value, scale, zero = node.arg(0), node.arg(1), node.optional(2)
    dtype = node.dtype(scale)
    if node.integer("output_dtype", 0):
        dtype = node.element_type(node.integer("output_dtype"))
    wide = "float64" if "float64" in (dtype, node.dtype(scale)) else "float32"
    places = _Granularity(node, value, scale)
    result = node.cast(places.spread(value), wide)
    if zero is not None and not _is_zero(zero):
        offset = places.fit(node.cast(zero, wide), "zero point")
        result = node.call("subtract", result, offset)
    result = node.call("multiply", result, places.fit(node.cast(scale, wide), "scale"))
    return places.gather(node.cast(result, dtype))


@onnx_op("", "DynamicQuantizeLinear", since=11)
def dynamic_quantize_linear(node: Node) -> list[Expr]:
    """``float32`` to ``uint8`` by the smallest range that holds all elements and zero."""
    value = node.arg(0)
    zero, one = node.like(0.0, value), node.like(1.0, value)
    high = node.call("maximum", node.call("max", value), zero)
    low = node.call("minimum", node.call("min", value), zero)
    extent = node.call("subtract", high, low)
    extent = node.call("where", node.call("equal", high, low), one, extent)
    scale = node.call("divide", extent, node.like(255.0, value))
    start = node.call("divide", node.call("negative", low), scale)
    point = node.call("round", node.call("clip", start, a_min=0.0, a_max=255.0))
    whole = node.call("round", node.call("divide", value, scale))
    result = _saturated(node, whole, point, "uint8")
    return [result, scale, node.cast(point, "uint8")]


# ---------------------------------------------------------------------- products


def _centred(node: Node, value: Expr, zero: Expr | None, shape: tuple[int, ...]) -> Expr:
    """``value - zero point`` as ``int32``; a zero point that is a vector takes `shape`."""
    value = node.cast(value, "int32")
    if zero is None or _is_zero(zero):
        return value
    zero = node.cast(zero, "int32")
    return node.call("subtract", value, _along(node, zero, shape))


def _along(node: Node, numbers: Expr, shape: tuple[int, ...]) -> Expr:
    """A scalar as it is, a vector of several numbers in `shape`, others as they are."""
    found = node.shape(numbers)
    if found == (1,):
        return node.reshape(numbers, ())
    if len(found) != 1:
        return numbers
    return node.reshape(numbers, [found[0] if d == -1 else d for d in shape])


def _requantized(node: Node, total: Expr, factor: Expr, zero: Expr | None, dtype: str) -> Expr:
    """``saturate(round(total * factor) + zero point)``: exact, but for the factor."""
    exact = node.call("multiply", node.cast(total, "float64"), node.cast(factor, "float64"))
    whole = node.call("round", exact)
    return _saturated(node, whole, zero, dtype)


def _factor(node: Node, left: Expr, right: Expr, result: Expr) -> Expr:
    """``left scale * right scale / result scale``, each step in the precision of the scales."""
    dtype = node.dtype(left)
    product = _rounded(node, "multiply", left, right, dtype)
    return _rounded(node, "divide", product, result, dtype)


@onnx_op("", "MatMulInteger", since=10)
def matmul_integer(node: Node) -> Expr:
    """NumPy's ``(a - zero point) @ (b - zero point)``, in ``int32``."""
    left = _centred(node, node.arg(0), node.optional(2), (-1, 1))
    return matrix_product(node, left, _centred(node, node.arg(1), node.optional(3), (-1,)))


@onnx_op("", "QLinearMatMul", since=10)
def qlinear_matmul(node: Node) -> Expr:
    """NumPy's ``a @ b`` on quantized matrices: by rows of a and columns of b, or as a whole."""
    (a, a_scale, a_zero), (b, b_scale, b_zero) = (
        (node.arg(k), node.arg(k + 1), node.optional(k + 2)) for k in (0, 3)
    )
    left = _centred(node, a, a_zero, (-1, 1))
    total = matrix_product(node, left, _centred(node, b, b_zero, (-1,)))
    factor = _factor(
        node,
        _along(node, a_scale, (-1, 1)),
        _along(node, b_scale, (-1,)),
        _along(node, node.arg(6), (-1, 1)),
    )
    zero = node.optional(7)
    dtype = node.dtype(a if zero is None else zero)
    zero = None if zero is None else _along(node, zero, (-1, 1))
    return _requantized(node, total, factor, zero, dtype)


@onnx_op("", "ConvInteger", since=10)
def conv_integer(node: Node) -> Expr:
    """A convolution of integers in ``int32``, around their zero points."""
    return _integer_convolution(node, node.arg(0), node.optional(2), node.arg(1), node.optional(3))


def _integer_convolution(
    node: Node, value: Expr, value_zero: Expr | None, weight: Expr, weight_zero: Expr | None
) -> Expr:
    channels = (-1, *(1,) * (node.rank(weight) - 1))
    left = _centred(node, value, value_zero, (1, -1, *(1,) * (node.rank(value) - 2)))
    return convolve(node, left, _centred(node, weight, weight_zero, channels))


@onnx_op("", "QLinearConv", since=10)
def qlinear_conv(node: Node) -> Expr:
    """A convolution of quantized numbers, with weights quantized as a whole or by channels."""
    value, weight = node.arg(0), node.arg(3)
    total = _integer_convolution(node, value, node.optional(2), weight, node.optional(5))
    total = add_bias(node, total, node.optional(8))
    channels = (-1, *(1,) * (node.rank(value) - 2))
    factor = _factor(
        node,
        _along(node, node.arg(1), ()),
        _along(node, node.arg(4), channels),
        _along(node, node.arg(6), ()),
    )
    zero = node.optional(7)
    dtype = node.dtype(value if zero is None else zero)
    zero = None if zero is None else _along(node, zero, ())
    return _requantized(node, total, factor, zero, dtype)
