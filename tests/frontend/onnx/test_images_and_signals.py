"""Operators on images and signals, and layers with options that networks seldom use."""

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

import relay.backend.onnx as backend
from onnx_models import check, floats, ints, model_of, single


def by_reference(model: onnx.ModelProto, inputs: dict[str, np.ndarray], tolerance: float = 1e-5):
    """Compiled code against the standard's own evaluator."""
    expected = ReferenceEvaluator(model).run(None, inputs)
    found = backend.prepare(model).run(list(inputs.values()))
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# ---------------------------------------------------------------- pooling


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((2, 3, 9), {"kernel_shape": [3], "strides": [2], "pads": [1, 1]}),
        ((1, 2, 7, 8), {"kernel_shape": [2, 3], "dilations": [2, 2]}),
        ((2, 1, 5, 6), {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1}),
        ((1, 2, 4, 5, 3), {"kernel_shape": [2, 2, 2], "pads": [1, 0, 1, 0, 1, 0]}),
    ],
)
def test_where_the_largest_is(shape, options, order):
    check(*single("MaxPool", [floats(*shape)], outputs=2, storage_order=order, **options))


def test_ties_and_lowest_values():
    image = np.full((1, 1, 4, 4), -np.inf, np.float32)
    image[0, 0, 1:3, 1:3] = 2
    check(*single("MaxPool", [image], outputs=2, kernel_shape=[2, 2], pads=[1, 1, 1, 1]))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_norms_of_windows(order):
    x = floats(2, 3, 8, 9)
    check(*single("LpPool", [x], opset=18, kernel_shape=[3, 2], strides=[2, 1], p=order))
    check(*single("GlobalLpPool", [x], p=order))


def test_back_to_where_it_was():
    x = floats(2, 3, 6, 8)
    nodes = [
        helper.make_node("MaxPool", ["x"], ["y", "i"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("MaxUnpool", ["y", "i"], ["z"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    check(model_of(nodes, {"x": x}, ["z"]), {"x": x})


# ---------------------------------------------------------------- resizing


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("scale", [0.3, 0.6, 1.7])
def test_resizing_against_aliasing(mode, scale):
    scales = np.array([1, 1, scale, scale], np.float32)
    model, inputs = single(
        "Resize", [floats(1, 2, 11, 12), None, scales], opset=18, fixed=[2], mode=mode, antialias=1
    )
    by_reference(model, inputs)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_a_region_of_an_image(mode):
    region = np.array([0, 0, 0.1, -0.2, 1, 1, 0.9, 1.1], np.float32)
    options = {"coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 5.0}
    inputs = [floats(1, 2, 6, 7), region, None, ints(1, 2, 4, 5)]
    model, given = single("Resize", inputs, opset=13, fixed=[1, 3], mode=mode, **options)
    check(model, given)


# ---------------------------------------------------------------- recurrent layers


LENGTHS = np.array([3, 5, 1], np.int32)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("layer", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("known", [True, False])
def test_sequences_of_different_lengths(layer, gates, direction, known):
    count = 2 if direction == "bidirectional" else 1
    x, w = floats(5, 3, 4), floats(count, gates * 6, 4, seed=1)
    r = floats(count, gates * 6, 6, seed=2)
    b = floats(count, 2 * gates * 6, seed=3)
    model, inputs = single(
        layer,
        [x, w, r, b, LENGTHS],
        outputs=3 if layer == "LSTM" else 2,
        fixed=[1, 2, 3, *([4] if known else [])],
        hidden_size=6,
        direction=direction,
    )
    check(model, inputs)


@pytest.mark.parametrize("clip", [None, 0.5])
def test_peepholes(clip):
    x, w, r = floats(4, 2, 3), floats(1, 20, 3, seed=1), floats(1, 20, 5, seed=2)
    holes = floats(1, 15, seed=3)
    options = {} if clip is None else {"clip": clip}
    given = [x, w, r, None, None, floats(1, 2, 5), floats(1, 2, 5, seed=4), holes]
    check(*single("LSTM", given, outputs=3, fixed=[1, 2, 7], hidden_size=5, **options))


# ---------------------------------------------------------------- places that are computed


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("corners", [0, 1])
def test_grid_sample(mode, padding, corners):
    grid = floats(2, 4, 5, 2) * 1.2
    check(
        *single(
            "GridSample", [floats(2, 3, 6, 7), grid], opset=20, mode=mode, padding_mode=padding,
            align_corners=corners,
        )
    )  # fmt: skip


@pytest.mark.parametrize(("groups", "bundles"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_deformable_convolution(groups, bundles):
    x, w = floats(2, 4, 6, 7), floats(6, 4 // groups, 3, 2, seed=1)
    offset = floats(2, bundles * 12, 6, 4, seed=2)
    mask = floats(2, bundles * 6, 6, 4, seed=3)
    options = {"strides": [1, 2], "pads": [1, 1, 1, 0], "group": groups, "offset_group": bundles}
    inputs = [x, w, offset, floats(6, seed=4), mask]
    model, given = single("DeformConv", inputs, opset=19, fixed=[1, 3], **options)
    by_reference(model, given, 1e-4)


@pytest.mark.parametrize(
    ("image", "block", "options"),
    [
        ((5, 6), (2, 3), {}),
        ((5, 6), (2, 2), {"pads": [1, 0, 1, 0], "strides": [2, 1]}),
        ((7,), (3,), {"dilations": [2]}),
        ((3, 4, 5), (2, 2, 2), {}),
    ],
)
def test_columns_to_image(image, block, options):
    pads = options.get("pads", [0] * 2 * len(image))
    dilations, strides = (options.get(name, [1] * 3) for name in ("dilations", "strides"))
    room = [d + pads[k] + pads[k + len(image)] for k, d in enumerate(image)]
    steps = [
        (d - ((block[k] - 1) * dilations[k] + 1)) // strides[k] + 1 for k, d in enumerate(room)
    ]
    x = floats(2, 3 * int(np.prod(block)), int(np.prod(steps)))
    model, given = single(
        "Col2Im", [x, ints(*image), ints(*block)], opset=18, fixed=[1, 2], **options
    )
    by_reference(model, given)


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("coordinates", ["half_pixel", "output_half_pixel"])
@pytest.mark.parametrize("samples", [0, 2])
def test_roi_align(mode, coordinates, samples):
    boxes = np.array([[0, 0, 4, 5], [1.2, 2.1, 9.7, 8.8], [3, 3, 3.2, 3.1]], np.float32)
    inputs = [floats(2, 3, 10, 12), boxes, np.array([1, 0, 1])]
    model, given = single(
        "RoiAlign", inputs, opset=16, mode=mode, sampling_ratio=samples, output_height=3,
        output_width=2, spatial_scale=0.9, coordinate_transformation_mode=coordinates,
    )  # fmt: skip
    by_reference(model, given)


def test_max_roi_pool():
    boxes = np.array([[0, 0, 0, 4, 5], [1, 1, 2, 9, 8]], np.float32)
    inputs = [floats(2, 3, 10, 12), boxes]
    check(*single("MaxRoiPool", inputs, pooled_shape=[3, 2], spatial_scale=1.0))


@pytest.mark.parametrize("mode", ["linear", "circular"])
def test_tensor_scatter(mode):
    starts = ints(1, 4) if mode == "circular" else ints(1, 2)
    inputs = [floats(2, 3, 6, 4), floats(2, 3, 3, 4, seed=1), starts]
    model, given = single("TensorScatter", inputs, opset=24, mode=mode, axis=-2)
    by_reference(model, given)


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "min", "max"])
def test_scatter(reduction):
    x, places = floats(4, 5), np.array([[0, -1, 2], [3, 1, -4]])
    updates = floats(2, 3, seed=1)
    check(*single("ScatterElements", [x, places, updates], opset=18, axis=1, reduction=reduction))
    rows = np.array([[1], [-4]])
    inputs = [x, rows, floats(2, 5, seed=1)]
    check(*single("ScatterND", inputs, opset=18, reduction=reduction))


# ---------------------------------------------------------------- signals


@pytest.mark.parametrize("length", [1, 2, 7, 12, 60, 97, 128, 1000])
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize(("inverse", "onesided"), [(0, 0), (1, 0), (0, 1)])
def test_fourier(length, parts, inverse, onesided):
    if onesided and parts == 2:
        pytest.skip("half of the spectrum tells all of it for real signals only")
    x = floats(2, length, 3, parts)
    model, given = single("DFT", [x], opset=17, axis=1, inverse=inverse, onesided=onesided)
    found = backend.prepare(model).run(list(given.values()))[0]
    signal = x[..., 0] + (1j * x[..., 1] if parts == 2 else 0)
    spectrum = (np.fft.ifft if inverse else np.fft.fft)(signal.astype(complex), axis=1)
    spectrum = spectrum[:, : length // 2 + 1] if onesided else spectrum
    expected = np.stack([spectrum.real, spectrum.imag], -1)
    np.testing.assert_allclose(found, expected, atol=2e-5 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize(("bins", "length"), [(6, 10), (5, 9), (6, None), (4, 12)])
def test_fourier_back_to_real_signals(bins, length):
    x = floats(2, bins, 2)
    sizes = [np.array(length)] if length else []
    model, given = single("DFT", [x, *sizes], opset=17, fixed=[1] * bool(length), inverse=1,
                          onesided=1)  # fmt: skip
    found = backend.prepare(model).run(list(given.values()))[0]
    expected = np.fft.irfft(x[..., 0] + 1j * x[..., 1], length, axis=1)[..., None]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_short_time_fourier():
    window = np.hanning(16).astype(np.float32)
    for inputs in ([floats(2, 70, 1), np.array(8), window], [floats(1, 64, 1), np.array(5), None,
                                                            np.array(12)]):  # fmt: skip
        model, given = single("STFT", inputs, opset=17, onesided=1, fixed=[1])
        by_reference(model, given, 1e-4)


@pytest.mark.parametrize(("filters", "length", "rate"), [(8, 16, 8192), (5, 64, 16000)])
def test_mel_filters(filters, length, rate):
    numbers = [np.array(v) for v in (filters, length, rate)]
    edges = [np.array(v, np.float32) for v in (20.0, rate / 2.0)]
    model, given = single("MelWeightMatrix", [*numbers, *edges], opset=17)
    by_reference(model, given)


# ---------------------------------------------------------------- chance


def test_draws_depend_on_the_seed_only():
    for options, same in (({"seed": 3.0}, True), ({}, False)):
        node = helper.make_node("RandomNormal", [], ["y"], shape=[200], **options)
        run = backend.prepare(model_of([node], {}, ["y"]))
        first, second = run.run([])[0], run.run([])[0]
        assert np.array_equal(first, second) == same
        assert abs(first.mean()) < 0.4
        assert 0.7 < first.std() < 1.4


def test_two_draws_are_not_one():
    nodes = [helper.make_node("RandomUniform", [], [name], shape=[50]) for name in "ab"]
    a, b = backend.prepare(model_of(nodes, {}, ["a", "b"])).run([])
    assert not np.array_equal(a, b)


def test_multinomial_draws():
    odds = np.log(np.array([[0.1, 0.6, 0.3], [0.0001, 0.0001, 0.9998]], np.float32))
    model, _ = single("Multinomial", [odds], sample_size=2000, seed=1.0)
    found = backend.prepare(model).run([odds])[0]
    assert found.dtype == np.int32
    share = [(found[0] == k).mean() for k in range(3)]
    np.testing.assert_allclose(share, [0.1, 0.6, 0.3], atol=0.05)
    assert (found[1] == 2).mean() > 0.99


def test_dropout_while_training():
    x = np.ones((40, 50), np.float32)
    model, _ = single("Dropout", [x, np.array(0.25, np.float32), np.array(True)], outputs=2, seed=5)
    y, mask = backend.prepare(model).run([x, np.array(0.25, np.float32), np.array(True)])
    np.testing.assert_allclose(y, np.where(mask, 1 / 0.75, 0), rtol=1e-6)
    assert 0.7 < mask.mean() < 0.8
    y, mask = backend.prepare(model).run([x, np.array(0.25, np.float32), np.array(False)])
    assert mask.all()
    np.testing.assert_array_equal(y, x)
