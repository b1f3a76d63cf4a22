"""Quantized operators of ``com.microsoft``, and weights of a few bits in blocks."""

import numpy as np
import pytest

from frontend.onnx.contrib_models import contrib, same
from onnx_models import floats, runtime, single
from relay.frontend.onnx import from_onnx
from relay.support.errors import ImportModelError, UnsupportedError


def bytes_of(dtype: type, *shape: int, seed: int = 0) -> np.ndarray:
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(low, high, shape, dtype, endpoint=True)


DTYPES = pytest.mark.parametrize("dtype", [np.uint8, np.int8])
#: Numbers that fall between two integers may be rounded either way.
ONE_OFF = {"rtol": 0, "atol": 1}


@DTYPES
def test_quantize_and_back(dtype: type) -> None:
    x, zero = floats(3, 4) * 40, dtype(5)
    same("QuantizeLinear", [x, np.float32(0.7), zero])
    same("DequantizeLinear", [bytes_of(dtype, 3, 4), np.float32(0.7), zero])
    scales, zeros = floats(4, low=0.3, high=0.9), bytes_of(dtype, 4)
    same("QuantizeLinear", [x, scales, zeros], axis=1)
    same("DequantizeLinear", [bytes_of(dtype, 3, 4), scales, zeros], axis=1)


@DTYPES
@pytest.mark.parametrize("op_type", ["QLinearAdd", "QLinearMul"])
def test_arithmetic(op_type: str, dtype: type) -> None:
    scales = [np.float32(s) for s in (0.02, 0.03, 0.04)]
    zeros = [dtype(z) for z in (3, 100, 60)]
    for shapes in (((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (3, 1)), ((4,), (2, 4))):
        a, b = (bytes_of(dtype, *shape, seed=k) for k, shape in enumerate(shapes))
        inputs = [a, scales[0], zeros[0], b, scales[1], zeros[1], scales[2], zeros[2]]
        same(op_type, inputs, **ONE_OFF)
        same(op_type, inputs, fixed=[3], **ONE_OFF)
    same(op_type, inputs[:7], **ONE_OFF)


@DTYPES
def test_functions(dtype: type) -> None:
    x, zero = bytes_of(dtype, 5, 6), dtype(20)
    inputs = [x, np.float32(0.05), zero, np.float32(1 / 256), dtype(0)]
    same("QLinearSigmoid", inputs, fixed=[1, 2, 3, 4], **ONE_OFF)
    same("QLinearSigmoid", inputs, **ONE_OFF)
    inputs = [x, np.float32(0.05), zero, np.float32(0.04), dtype(50)]
    same("QLinearLeakyRelu", inputs, **ONE_OFF)
    same("QLinearLeakyRelu", inputs, fixed=[1, 2, 3, 4], alpha=0.4, **ONE_OFF)


@DTYPES
@pytest.mark.parametrize(("opset", "axis"), [(13, -1), (13, 1), (12, 1), (12, 2)])
def test_softmax(dtype: type, opset: int, axis: int) -> None:
    x = bytes_of(dtype, 2, 3, 4)
    inputs = [x, np.float32(0.05), dtype(20), np.float32(1 / 256), dtype(0)]
    same("QLinearSoftmax", inputs, opset=opset, axis=axis, **ONE_OFF)


@DTYPES
@pytest.mark.parametrize("last", [0, 1])
def test_pooling(dtype: type, last: int) -> None:
    x = bytes_of(dtype, 2, 6, 7, 4)
    inputs = [x, np.float32(0.05), dtype(20), np.float32(0.04), dtype(30)]
    same("QLinearGlobalAveragePool", inputs, channels_last=last, **ONE_OFF)
    for more in (
        {},
        {"pads": [1, 1, 0, 1], "strides": [2, 2]},
        {"pads": [1, 1, 1, 1], "count_include_pad": 1},
        {"strides": [2, 2], "ceil_mode": 1},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    ):
        options = {"kernel_shape": [3, 2], "channels_last": last, **more}
        same("QLinearAveragePool", inputs, **ONE_OFF, **options)


def test_mean() -> None:
    x = bytes_of(np.uint8, 2, 3, 4)
    inputs = [x, np.float32(0.05), np.uint8(20), np.float32(0.04), np.uint8(30)]
    numbers = (x.astype(np.float32) - 20) * np.float32(0.05)
    for keep in (0, 1):
        mean = numbers.mean((0, 2), keepdims=bool(keep))
        wanted = np.clip(np.rint(mean / np.float32(0.04)) + 30, 0, 255).astype(np.uint8)
        options = {"axes": [0, -1], "keepdims": keep}
        same("QLinearReduceMean", inputs, expected=[wanted], **ONE_OFF, **options)


@DTYPES
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concatenation(dtype: type, axis: int) -> None:
    parts = [bytes_of(dtype, 2, 3, seed=k) for k in range(3)]
    inputs = [np.float32(0.05), dtype(20)]
    for k, part in enumerate(parts):
        inputs += [part, np.float32(0.05 + 0.02 * k), dtype(20 - k)]
    same("QLinearConcat", inputs, axis=axis, **ONE_OFF)
    same("QLinearConcat", inputs, fixed=[0, 1, 3, 4, 6, 7, 9, 10], axis=axis, **ONE_OFF)
    model, _ = contrib("QLinearConcat", inputs[:6], axis=axis)
    with pytest.raises(ImportModelError, match="a scale and a zero point for each"):
        from_onnx(model)


@DTYPES
def test_choice(dtype: type) -> None:
    condition = np.array([[True], [False]])
    x, y = bytes_of(dtype, 2, 3), bytes_of(dtype, 3, seed=1)
    numbers = [np.float32(0.05), dtype(3), np.float32(0.03), dtype(9), np.float32(0.06), dtype(1)]
    inputs = [condition, x, *numbers[:2], y, *numbers[2:]]
    same("QLinearWhere", inputs, fixed=[2, 3, 5, 6, 7, 8], **ONE_OFF)


# ---------------------------------------------------------------------- products


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("fixed", [False, True])
def test_products(dtype: type, columns: bool, fixed: bool) -> None:
    a, b = bytes_of(np.uint8, 2, 3, 8), bytes_of(dtype, 8, 5, seed=1)
    scale = floats(5, low=0.01, high=0.02) if columns else np.float32(0.015)
    zero = bytes_of(dtype, 5, seed=2) if columns else dtype(7)
    bias = floats(5, seed=3)
    inputs = [a, b, np.float32(0.02), scale, np.uint8(100), zero, bias]
    same("MatMulIntegerToFloat", inputs, fixed=[1, 3, 5] if fixed else [], atol=1e-4)
    same("MatMulIntegerToFloat", [a, b, np.float32(0.02), scale, None, zero], atol=1e-4)
    same("MatMulIntegerToFloat", [a, b, np.float32(0.02), scale], atol=1e-4)
    x = floats(2, 3, 8)
    inputs = [x, b, scale, zero, bias]
    same("DynamicQuantizeMatMul", inputs, fixed=[1, 2, 3] if fixed else [], atol=1e-4)
    same("DynamicQuantizeMatMul", [x, b, scale], atol=1e-4)


def test_integer_products() -> None:
    a = bytes_of(np.int16, 3, 4) // 64
    b = bytes_of(np.int16, 4, 5, seed=1) // 64
    same("MatMulInteger16", [a, b])
    x, y = bytes_of(np.uint8, 3, 4), bytes_of(np.uint8, 4, seed=1)
    wanted = (x.astype(np.int32) - 3) * (y.astype(np.int32) - 200)
    same("MulInteger", [x, np.uint8(3), y, np.uint8(200)], expected=[wanted])
    wanted = x.astype(np.int32) * y.astype(np.int32)
    same("MulInteger", [x, None, y, None], expected=[wanted])


@pytest.mark.parametrize("turned", [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("columns", [False, True])
def test_gemm(turned: tuple[int, int], columns: bool) -> None:
    a, b = bytes_of(np.uint8, 3, 8), bytes_of(np.int8, 8, 5, seed=1)
    a = a.T.copy() if turned[0] else a
    b = b.T.copy() if turned[1] else b
    scale = floats(5, low=0.01, high=0.02) if columns else np.float32(0.015)
    zero = bytes_of(np.int8, 5, seed=2) if columns else np.int8(7)
    bias = np.random.default_rng(3).integers(-999, 999, 5).astype(np.int32)
    options = {"transA": turned[0], "transB": turned[1], "alpha": 0.5}
    inputs = [a, np.float32(0.02), np.uint8(100), b, scale, zero]
    same("QGemm", inputs, atol=1e-4, **options)
    same("QGemm", [*inputs, bias], atol=1e-4, **options)
    out = [np.float32(0.3), np.uint8(90)]
    same("QGemm", [*inputs, bias, *out], fixed=[3, 4, 5, 6], **ONE_OFF, **options)
    same("QGemm", [*inputs, None, *out], **ONE_OFF, **options)


@pytest.mark.parametrize("last", [0, 1])
def test_convolution(last: int) -> None:
    x, weight = bytes_of(np.uint8, 2, 4, 7, 6), bytes_of(np.int8, 6, 4, 3, 3, seed=1)
    bias = np.random.default_rng(3).integers(-999, 999, 6).astype(np.int32)
    scale = floats(6, low=0.01, high=0.02)
    rest = [weight, scale, np.zeros(6, np.int8), np.float32(0.5), np.uint8(90), bias]
    inputs = [x, np.float32(0.02), np.uint8(100), *rest]
    options = {"pads": [1, 0, 1, 2], "strides": [2, 1]}
    (wanted,) = runtime(*single("QLinearConv", inputs_of(inputs), **options))
    if last:
        inputs[0] = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
        wanted = np.ascontiguousarray(wanted.transpose(0, 2, 3, 1))
    same("QLinearConv", inputs, expected=[wanted], channels_last=last, **ONE_OFF, **options)


def inputs_of(values: list[np.ndarray]) -> list[np.ndarray]:
    return [np.asarray(v) for v in values]


# ---------------------------------------------------------------------- a few bits


def packed(numbers: np.ndarray, bits: int) -> np.ndarray:
    """Numbers of a few bits in bytes, along the last axis."""
    count = 8 // bits
    missing = -numbers.shape[-1] % count
    whole = np.pad(numbers, [(0, 0)] * (numbers.ndim - 1) + [(0, missing)])
    parts = whole.reshape(*whole.shape[:-1], -1, count).astype(np.uint32)
    return (parts << (np.arange(count) * bits)).sum(-1).astype(np.uint8)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(("depth", "block"), [(32, 16), (40, 16), (64, 32), (48, 64)])
@pytest.mark.parametrize("zeros", ["", "packed", "floats"])
def test_few_bits(bits: int, depth: int, block: int, zeros: str) -> None:
    rows, blocks = 7, -(-depth // block)
    numbers = np.random.default_rng(0).integers(0, 1 << bits, (rows, blocks * block))
    numbers[:, depth:] = 0
    weights = packed(numbers, bits).reshape(rows, blocks, block * bits // 8)
    scales = floats(rows, blocks, low=0.01, high=0.02)
    points = np.random.default_rng(1).integers(0, 1 << bits, (rows, blocks))
    given: np.ndarray | None = None
    if zeros == "packed":
        given = packed(points, bits)
    elif zeros == "floats":
        given = points.astype(np.float32) + np.float32(0.25)
    options = {"K": depth, "N": rows, "bits": bits, "block_size": block}
    x = floats(2, 3, depth)
    inputs = [x, weights, scales, given]
    offsets = np.repeat(points if given is None else given, block, 1)[:, :depth]
    offsets = {"": 1 << (bits - 1), "packed": np.repeat(points, block, 1)[:, :depth]}.get(
        zeros, offsets
    )
    values = (numbers[:, :depth] - offsets) * np.repeat(scales, block, 1)[:, :depth]
    wanted = (x @ values.T).astype(np.float32)
    same("MatMulNBits", inputs, fixed=[1, 2, 3], expected=[wanted], atol=1e-4, **options)
    bias = floats(rows, seed=4)
    same(
        "MatMulNBits",
        [*inputs, None, bias],
        fixed=[1, 2, 3],
        expected=[wanted + bias],
        atol=1e-4,
        **options,
    )
    if zeros != "floats":
        same("MatMulNBits", inputs, fixed=[1, 2, 3], atol=1e-3, rtol=1e-3, **options)


def test_few_bits_in_groups() -> None:
    weights = bytes_of(np.uint8, 3, 2, 8)
    places = np.random.default_rng(1).integers(0, 2, 32).astype(np.int32)
    scales, x = floats(3, 2, low=0.01, high=0.02), floats(4, 32)
    options = {"K": 32, "N": 3, "bits": 4, "block_size": 16}
    inputs = [x, weights, scales, None, places]
    same("MatMulNBits", inputs, fixed=[1, 2, 4], atol=1e-4, **options)


def test_what_few_bits_refuse() -> None:
    weights, scales, x = bytes_of(np.uint8, 3, 2, 8), floats(3, 2), floats(4, 32)
    options = {"K": 32, "N": 3, "block_size": 16}
    model, _ = contrib("MatMulNBits", [x, weights, scales], fixed=[1, 2], bits=3, **options)
    with pytest.raises(UnsupportedError, match="2, 4 and 8 bits"):
        from_onnx(model)
    model, _ = contrib("MatMulNBits", [x, weights[:2], scales], fixed=[1, 2], bits=4, **options)
    with pytest.raises(ImportModelError, match=r"weights must be uint8 of \(3, 2, 8\)"):
        from_onnx(model)


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize(("rows", "depth", "block"), [(5, 32, 16), (3, 24, 16)])
def test_four_bit_floats(kind: int, rows: int, depth: int, block: int) -> None:
    count = rows * depth
    weights = bytes_of(np.uint8, -(-count // 2))
    scales = floats(-(-count // block), low=0.5, high=2)
    options = {"K": depth, "N": rows, "block_size": block, "quant_type": kind}
    same("MatMulBnb4", [floats(2, 3, depth), weights, scales], fixed=[1, 2], **options)
