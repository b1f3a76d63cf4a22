"""Operators of ``com.microsoft``: activations, normalizations, products, shapes, images."""

import math

import numpy as np
import pytest

from frontend.onnx.contrib_models import contrib, same
from onnx_models import floats, ints, runtime, single
from relay.frontend.onnx import from_onnx
from relay.support.errors import ImportModelError, UnsupportedError

# ---------------------------------------------------------------------- activations


def gelu(x: np.ndarray) -> np.ndarray:
    return (0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))).astype(np.float32)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("shape", [(7,), (2, 3, 4)])
def test_activations(shape: tuple[int, ...]) -> None:
    x, bias = floats(*shape), floats(shape[-1], seed=1)
    same("Gelu", [x])
    same("FastGelu", [x])
    same("FastGelu", [x, bias])
    same("BiasGelu", [x, bias])
    same("QuickGelu", [x])
    same("QuickGelu", [x], alpha=-0.5)
    same("ScaledSiLU", [x], alpha=2.0)
    same("ScaledSiLU", [x, np.float32(0.5)], alpha=2.0)


def test_halves_that_gate_each_other() -> None:
    x, bias = floats(2, 3, 8), floats(8, seed=1)
    left, right = np.split(x + bias, 2, -1)
    same("BiasSplitGelu", [x, bias], expected=[left * gelu(right)])


def test_sums_before_softmax_and_dropout() -> None:
    x, bias, rest = floats(2, 3, 4), floats(4, seed=1), floats(2, 3, 4, seed=2)
    same("BiasAdd", [x, bias, rest], expected=[x + bias + rest])
    for axis, axes in ((2, 2), (1, (1, 2)), (-1, 2)):
        powers = np.exp(x + bias)
        wanted = powers / powers.sum(axes, keepdims=True)
        same("BiasSoftmax", [x, bias], expected=[wanted], axis=axis, is_inner_broadcast=1)
    mask = np.ones(x.shape, bool)
    same("BiasDropout", [x, bias], (0, 1), expected=[x + bias, mask])
    ratio = np.float32(0.3)
    same("BiasDropout", [x, bias, rest, ratio], expected=[x + bias + rest])
    off = np.array(False)
    same("BiasDropout", [x, bias, rest, ratio, off], fixed=[4], expected=[x + bias + rest])
    model, _ = contrib("BiasDropout", [x, bias, rest, ratio, np.array(True)], fixed=[4])
    with pytest.raises(UnsupportedError, match="at random"):
        from_onnx(model)


# ---------------------------------------------------------------------- normalizations


def test_simplified_layer_normalization() -> None:
    x = floats(2, 3, 4)
    same("SimplifiedLayerNormalization", [x, floats(4, seed=1)], domain="", epsilon=1e-2)
    same("SimplifiedLayerNormalization", [x, floats(4, seed=1)], domain="")
    same("SimplifiedLayerNormalization", [x, floats(3, 4, seed=1)], domain="", axis=1)


@pytest.mark.parametrize("skip", [(2, 3, 8), (1, 3, 8), (3, 8)])
@pytest.mark.parametrize("bias", [False, True])
def test_skip_layer_normalization(skip: tuple[int, ...], bias: bool) -> None:
    x, rest = floats(2, 3, 8), floats(*skip, seed=1)
    scale, shift = floats(8, seed=2), floats(8, seed=3)
    own = floats(8, seed=4) if bias else None
    same("SkipLayerNormalization", [x, rest, scale, shift, own], (0, 3))
    same("SkipLayerNormalization", [x, rest, scale, None, own], epsilon=0.1)
    same("SkipSimplifiedLayerNormalization", [x, rest, scale, own], (0, 3))
    same("SkipSimplifiedLayerNormalization", [x, rest, scale, own], epsilon=0.1)


def test_skip_layer_normalization_of_rows() -> None:
    x, rest, scale = floats(5, 8), floats(5, 8, seed=1), floats(8, seed=2)
    same("SkipLayerNormalization", [x, rest, scale, floats(8)], (0, 3))
    same("SkipSimplifiedLayerNormalization", [x, rest, scale], (0, 3))
    half = [a.astype(np.float16) for a in (x, rest, scale)]
    same("SkipSimplifiedLayerNormalization", half, (0, 3), rtol=4e-3, atol=4e-3)


def embedding(segments: bool, mask: bool) -> list[np.ndarray | None]:
    numbers = np.random.default_rng(5)
    words = numbers.integers(0, 9, (2, 5)).astype(np.int32)
    return [
        words,
        numbers.integers(0, 2, (2, 5)).astype(np.int32) if segments else None,
        floats(9, 8),
        floats(6, 8, seed=1),
        floats(2, 8, seed=2) if segments else None,
        floats(8, seed=3),
        floats(8, seed=4),
        np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]], np.int32) if mask else None,
    ]


@pytest.mark.parametrize("segments", [False, True])
@pytest.mark.parametrize("mask", [False, True])
def test_embed_layer_normalization(segments: bool, mask: bool) -> None:
    inputs = embedding(segments, mask)
    same("EmbedLayerNormalization", inputs, (0, 1, 2))
    places = np.array([[3, 1, 0, 2, 4], [0, 1, 5, 5, 2]], np.int32)
    same("EmbedLayerNormalization", [*inputs, places], (0, 1, 2), epsilon=0.1)
    same("EmbedLayerNormalization", [*inputs, places[:1]], (0, 1))


@pytest.mark.parametrize("segments", [False, True])
def test_quantized_embed_layer_normalization(segments: bool) -> None:
    inputs = embedding(segments, True)
    numbers = np.random.default_rng(7)
    for k in (2, 3, 4, 5, 6):
        found = inputs[k]
        if found is not None:
            inputs[k] = numbers.integers(0, 255, found.shape, np.uint8)
    none = [1, 1, segments, 1, 1]
    scales = [np.float32(0.01 * k + 0.01) if n else None for k, n in enumerate(none)]
    zeros = [np.uint8(100 + k) if n else None for k, n in enumerate(none)]
    same("QEmbedLayerNormalization", [*inputs, *scales, *zeros], (0, 1))


def group_normalized(x: np.ndarray, groups: int) -> np.ndarray:
    flat = x.reshape(len(x), groups, -1)
    mean, spread = flat.mean(-1, keepdims=True), flat.var(-1, keepdims=True)
    return ((flat - mean) / np.sqrt(spread + 1e-5)).reshape(x.shape)


@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("activation", [0, 1])
def test_group_normalization(last: int, activation: int) -> None:
    x, scale, shift = floats(2, 6, 3, 4), floats(6, seed=1), floats(6, seed=2)
    skip, bias = floats(2, 6, seed=3), floats(6, seed=4)

    def wanted(value: np.ndarray) -> np.ndarray:
        found = group_normalized(value, 3) * scale[:, None, None] + shift[:, None, None]
        return seen(found * sigmoid(found) if activation else found)

    def seen(value: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(value.transpose(0, 2, 3, 1)) if last else value

    options = {"groups": 3, "activation": activation, "channels_last": last}
    same("GroupNorm", [seen(x), scale, shift], expected=[wanted(x)], **options)
    total = x + skip[:, :, None, None]
    inputs = [seen(x), scale, shift, skip]
    same("SkipGroupNorm", inputs, (0, 1), expected=[wanted(total), seen(total)], **options)
    total = total + bias[:, None, None]
    inputs.append(bias)
    same("SkipGroupNorm", inputs, (0, 1), expected=[wanted(total), seen(total)], **options)


# ---------------------------------------------------------------------- products


@pytest.mark.parametrize("fixed", [(), (1,)])
@pytest.mark.parametrize("turned", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_fused_matmul(turned: tuple[int, int], fixed: tuple[int, ...]) -> None:
    a, b = floats(2, 3, 4, 5), floats(2, 3, 5, 6, seed=1)
    a = a.swapaxes(2, 3).copy() if turned[0] else a
    b = b.swapaxes(2, 3).copy() if turned[1] else b
    options = {"transA": turned[0], "transB": turned[1], "alpha": 0.5}
    same("FusedMatMul", [a, b], fixed=fixed, **options)
    same("TransposeMatMul", [a, b], fixed=fixed, **options)
    same("FusedMatMul", [a[0, 0], b[0, 0]], fixed=fixed, **options)
    same("FusedMatMul", [a, b[0, 0]], fixed=fixed, **options)


@pytest.mark.parametrize("turned", [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("batches", [(1, 0), (0, 1), (1, 1)])
def test_fused_matmul_of_moved_batches(turned: tuple[int, int], batches: tuple[int, int]) -> None:
    shapes = [[2, 3, 4, 5], [2, 3, 5, 6]]
    for shape, last, batch in zip(shapes, turned, batches, strict=True):
        if last:
            shape[2:] = shape[:1:-1]
        if batch:
            shape[:3] = [shape[2], *shape[:2]]
    a, b = floats(*shapes[0]), floats(*shapes[1], seed=1)
    options = {"transA": turned[0], "transB": turned[1]}
    options |= {"transBatchA": batches[0], "transBatchB": batches[1]}
    same("FusedMatMul", [a, b], **options)


def test_fused_matmul_of_vectors() -> None:
    same("FusedMatMul", [floats(5), floats(5, 3)], transA=1)
    same("FusedMatMul", [floats(4, 5), floats(5)], transB=1)


ACTIVATIONS = {
    "Relu": (),
    "Tanh": (),
    "Sigmoid": (),
    "LeakyRelu": (0.3,),
    "Clip": (-0.5, 0.7),
    "HardSigmoid": (0.3, 0.4),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_fused_convolution(name: str) -> None:
    x, weight, bias = floats(2, 3, 8, 8), floats(4, 3, 3, 3, seed=1), floats(4, seed=2)
    numbers = ACTIVATIONS[name]
    options = {"activation": name, "pads": [1, 1, 1, 1], "strides": [2, 2]}
    if numbers:
        options["activation_params"] = numbers
    same("FusedConv", [x, weight, bias], fixed=[1, 2], **options)
    same("FusedConv", [x, weight], **options)


def test_fused_convolution_of_a_sum() -> None:
    x, weight, bias = floats(2, 4, 5, 5), floats(4, 2, 3, 3, seed=1), floats(4, seed=2)
    more = floats(2, 4, 3, 3, seed=3)
    for activation in ({}, {"activation": "Relu"}):
        same("FusedConv", [x, weight, bias, more], group=2, **activation)


def test_an_activation_that_is_not_known() -> None:
    x, weight = floats(2, 3, 8, 8), floats(4, 3, 3, 3, seed=1)
    with pytest.raises(UnsupportedError, match="'Bump' is not supported; Affine, Clip"):
        from_onnx(contrib("FusedConv", [x, weight], activation="Bump")[0])


@pytest.mark.parametrize("name", ["Relu", "Tanh", "Sigmoid", "LeakyRelu", "Elu", "HardSigmoid"])
def test_fused_gemm(name: str) -> None:
    a, b, c = floats(3, 4), floats(5, 4, seed=1), floats(5, seed=2)
    count = {"LeakyRelu": 1, "Elu": 1, "HardSigmoid": 2}.get(name, 0)
    options = dict([("activation_alpha", 0.3), ("activation_beta", 0.6)][:count])
    options["activation"] = name
    same("FusedGemm", [a, b, c], fixed=[1, 2], transB=1, alpha=0.5, beta=2.0, **options)
    same("FusedGemm", [a.T.copy(), b.T.copy()], transA=1, **options)


def test_products_without_a_kernel() -> None:
    a, b, bias = floats(2, 3, 4), floats(4, 5, seed=1), floats(5, seed=2)
    total = a @ b + bias
    inner = np.tanh(math.sqrt(2 / math.pi) * (total + 0.044715 * total**3))
    same("GemmFastGelu", [a, b, bias], expected=[0.5 * total * (1 + inner)])
    wanted = np.maximum(a @ b, 0)
    same("FusedMatMulActivation", [a, b], expected=[wanted], activation="Relu")


@pytest.mark.parametrize("group", [1, 2])
def test_convolution_with_channels_last(group: int) -> None:
    x, weight, bias = floats(2, 4, 8, 7), floats(6, 4 // group, 3, 3, seed=1), floats(6, seed=2)
    options = {"pads": [1, 0, 1, 2], "strides": [2, 1], "group": group}
    (wanted,) = runtime(*single("Conv", [x, weight, bias], **options))
    wanted = np.ascontiguousarray(wanted.transpose(0, 2, 3, 1))
    turned = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    same("NhwcConv", [turned, weight, bias], expected=[wanted], **options)
    more = floats(*wanted.shape, seed=3)
    same(
        "NhwcFusedConv",
        [turned, weight, bias, more],
        expected=[np.maximum(wanted + more, 0)],
        activation="Relu",
        **options,
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_max_pool_with_channels_last(dtype: type) -> None:
    x = (floats(2, 8, 7, 5) * 40).astype(np.int8).view(dtype)
    same("NhwcMaxPool", [x], kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1])
    same("NhwcMaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    same("NhwcMaxPool", [x], kernel_shape=[2, 2], dilations=[2, 1], auto_pad="VALID")


# ---------------------------------------------------------------------- shapes and images


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_expand_dims(axis: int) -> None:
    same("ExpandDims", [floats(2, 3), np.array(axis, np.int32)], fixed=[1])


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_pad(mode: str) -> None:
    x, widths = floats(3, 4), ints(1, 0, 0, 2)
    same("Pad", [x, widths], fixed=[1], mode=mode)
    same("Pad", [x, widths[None]], fixed=[1], mode=mode)
    if mode == "constant":
        same("Pad", [x, widths, np.array([3.0], np.float32)], fixed=[1], mode=mode)


def test_triangle() -> None:
    x = floats(2, 4, 5)
    same("Trilu", [x])
    same("Trilu", [x, np.array(1)], fixed=[1], upper=0)


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_crop_and_resize(mode: str) -> None:
    x = floats(2, 3, 6, 7)
    boxes = np.array([[0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], [-0.25, 0.6, 0.65, 1.4]], np.float32)
    which, size = np.array([0, 1, 0], np.int32), np.array([4, 5], np.int32)
    options = {"mode": mode, "extrapolation_value": 7.0}
    same("CropAndResize", [x, boxes, which, size], fixed=[3], **options)


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_grid_sample(mode: str, padding: str) -> None:
    grid = floats(2, 3, 4, 2, seed=1, low=-1.3, high=1.3)
    same("GridSample", [floats(2, 3, 6, 7), grid], mode=mode, padding_mode=padding)
    same("GridSample", [floats(2, 3, 6, 7), grid], align_corners=1)


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean"])
def test_distances(metric: str) -> None:
    same("CDist", [floats(5, 3), floats(4, 3, seed=1)], metric=metric)
    model, _ = contrib("CDist", [floats(5, 3), floats(4, 3)], metric="cosine")
    with pytest.raises(UnsupportedError, match="cosine"):
        from_onnx(model)


@pytest.mark.parametrize("length", [2, 8, 90])
def test_real_fourier(length: int) -> None:
    x = floats(2, 3, length)
    found = np.fft.rfft(x)
    parts = np.stack([found.real, found.imag], -1).astype(np.float32)
    same("Rfft", [x], expected=[parts], signal_ndim=1, atol=1e-4)
    same("Irfft", [parts], expected=[x], signal_ndim=1, atol=1e-4)


def test_errors_name_the_node() -> None:
    with pytest.raises(ImportModelError, match=r"'tested' \(SkipGroupNorm\).*needs an input 3"):
        from_onnx(contrib("SkipGroupNorm", [floats(1, 2, 2, 4)] + [floats(4)] * 2, groups=2)[0])
