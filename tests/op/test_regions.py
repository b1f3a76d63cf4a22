"""Regions of feature maps against independent NumPy: the samples of every bin written out."""

import math

import numpy as np
import pytest

import relay
from relay.executor.build import build
from relay.ir.expr import Function, Var
from relay.ir.op import Operator
from relay.ir.types import TensorType
from relay.op.gradients import make

SHAPES = [(1, 1, 1, 1), (2, 3, 9, 11), (1, 20, 16, 7)]


def compiled_and_reference(name: str, *arrays: np.ndarray, **attributes: object):
    variables = [Var(f"x{k}", TensorType(a.shape, a.dtype.name)) for k, a in enumerate(arrays)]
    call = make(name, *variables, **attributes)
    (found,) = build(Function(variables, call)).create()(*arrays)
    assert isinstance(call.attrs, Operator)
    return found.numpy(), call.attrs.reference(*arrays)


def some_regions(shape: tuple[int, ...], count: int, seed: int) -> np.ndarray:
    """Regions inside, across the border, far outside, turned over and without a size."""
    random = np.random.default_rng(seed)
    high, wide = shape[2:]
    low = random.uniform(-0.5, 1, (count, 2)) * (wide, high)
    sides = random.uniform(-0.2, 1.2, (count, 2)) * (wide, high)
    images = random.integers(0, shape[0], (count, 1))
    rois = np.concatenate([images, low, low + sides], axis=1)
    rois[0, 1:] = 0
    return rois.astype("float32")


def weight_of(place: float, size: int) -> np.ndarray:
    """How much each element along an axis counts for a sample at `place`."""
    weights = np.zeros(size)
    if -1 <= place <= size:
        place = min(max(place, 0), size - 1)
        low = math.floor(place)
        weights[low] += 1 - (place - low)
        weights[min(low + 1, size - 1)] += place - low
    return weights


def aligned(data: np.ndarray, rois: np.ndarray, pooled, scale, ratio, mode) -> np.ndarray:
    """Every sample as a product of the map with the weights of both axes, in float64."""
    result = np.zeros((len(rois), data.shape[1], *pooled))
    for number, roi in enumerate(rois.astype("float64")):
        image = data[int(roi[0])].astype("float64")
        weights = []
        for axis, (first, last) in enumerate(((roi[2], roi[4]), (roi[1], roi[3]))):
            bins, size = pooled[axis], image.shape[1 + axis]
            one = max(last * scale - first * scale, 1.0) / bins
            count = ratio if ratio > 0 else math.ceil(one)
            places = first * scale + (np.arange(bins * count) + 0.5) * one / count
            rows = [weight_of(p, size) for p in places]
            weights.append(np.array(rows).reshape(bins, count, size))
        samples = np.einsum("yah,xbw,chw->cyxab", *weights, image)
        reduced = samples.max(axis=(3, 4)) if mode == "max" else samples.mean(axis=(3, 4))
        result[number] = reduced
    return result


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("ratio", [-1, 0, 1, 2, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_roi_align(shape, ratio, mode):
    data = np.random.default_rng(1).standard_normal(shape).astype("float32")
    for seed, (pooled, scale) in enumerate((((1, 1), 1.0), ((7, 7), 0.25), ((3, 2), 0.8))):
        rois = some_regions(shape, 9, seed)
        rois[:, 1:] /= scale
        attributes = {"pooled_size": pooled, "spatial_scale": scale, "sample_ratio": ratio}
        found, reference = compiled_and_reference(
            "vision.roi_align", data, rois, mode=mode, **attributes
        )
        wanted = aligned(data, rois, pooled, scale, ratio, mode)
        np.testing.assert_allclose(reference, wanted, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
        moved = np.ascontiguousarray(data.transpose(0, 2, 3, 1))
        found, reference = compiled_and_reference(
            "vision.roi_align", moved, rois, mode=mode, layout="NHWC", **attributes
        )
        np.testing.assert_allclose(found.transpose(0, 3, 1, 2), wanted, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(reference.transpose(0, 3, 1, 2), wanted, rtol=1e-4, atol=1e-4)


STRANGE = np.array(
    [
        [np.nan, 0, 0, 4, 4],
        [0, np.nan, 0, 4, 4],
        [0, 0, 0, np.nan, 4],
        [0, 0, 0, np.inf, np.inf],
        [0, -np.inf, 0, 4, 4],
        [0, -1e30, -1e30, 1e30, 1e30],
        [5, 0, 0, 4, 4],
        [-2, 0, 0, 4, 4],
        [np.inf, 0, 0, 4, 4],
        [0, 3e38, 3e38, 3e38, 3e38],
    ],
    "float32",
)


@pytest.mark.parametrize("name", ["vision.roi_align", "vision.roi_pool"])
def test_strange_regions_stay_inside(name):
    data = np.random.default_rng(1).standard_normal((1, 2, 5, 6)).astype("float32")
    found, _ = compiled_and_reference(name, data, STRANGE, pooled_size=(2, 3), spatial_scale=1.0)
    assert found.shape == (10, 2, 2, 3)
    assert not found[6:9].any()
    assert np.isfinite(found).all()


def pooled_by_hand(data: np.ndarray, rois: np.ndarray, pooled, scale) -> np.ndarray:
    result = np.zeros((len(rois), data.shape[1], *pooled), data.dtype)
    for number, roi in enumerate(rois):
        image = data[int(roi[0])]
        corners = [int(np.round(F * np.float32(scale))) for F in roi[1:]]
        ends = []
        for first, last, bins, size in (
            (corners[1], corners[3], pooled[0], image.shape[1]),
            (corners[0], corners[2], pooled[1], image.shape[2]),
        ):
            one = np.float32(max(last - first + 1, 1)) / np.float32(bins)
            ends.append(
                [
                    (
                        min(max(int(np.floor(np.float32(k) * one)) + first, 0), size),
                        min(max(int(np.ceil(np.float32(k + 1) * one)) + first, 0), size),
                    )
                    for k in range(bins)
                ]
            )
        for y, (top, bottom) in enumerate(ends[0]):
            for x, (left, right) in enumerate(ends[1]):
                if top < bottom and left < right:
                    result[number, :, y, x] = image[:, top:bottom, left:right].max(axis=(1, 2))
    return result


@pytest.mark.parametrize("shape", SHAPES)
def test_roi_pool(shape):
    data = np.random.default_rng(1).standard_normal(shape).astype("float32")
    for seed, (pooled, scale) in enumerate((((1, 1), 1.0), ((7, 7), 0.25), ((3, 2), 0.8))):
        rois = some_regions(shape, 9, seed)
        rois[:, 1:] /= scale
        found, reference = compiled_and_reference(
            "vision.roi_pool", data, rois, pooled_size=pooled, spatial_scale=scale
        )
        wanted = pooled_by_hand(data, rois, pooled, scale)
        np.testing.assert_array_equal(reference, wanted)
        np.testing.assert_array_equal(found, wanted)


def test_anchors_of_the_paper():
    """The nine anchors of Faster R-CNN at stride 16."""
    declaration = relay.vision.Proposal(scales=(8.0, 16.0, 32.0), ratios=(0.5, 1.0, 2.0))
    wanted = [
        (-84, -40, 99, 55), (-176, -88, 191, 103), (-360, -184, 375, 199),
        (-56, -56, 71, 71), (-120, -120, 135, 135), (-248, -248, 263, 263),
        (-36, -80, 51, 95), (-80, -168, 95, 183), (-168, -344, 183, 359),
    ]  # fmt: skip
    assert [tuple(map(int, a)) for a in declaration._anchors] == wanted


def test_proposals_with_nothing_and_with_nan():
    empty = [np.zeros((1, 24, 0, 3)), np.zeros((1, 48, 0, 3)), np.ones((1, 3))]
    arrays = [a.astype("float32") for a in empty]
    found, reference = compiled_and_reference("vision.proposal", *arrays, rpn_post_nms_top_n=4)
    assert not found.any()
    np.testing.assert_array_equal(found, reference)
    arrays = [np.full(s, np.nan, "float32") for s in ((1, 24, 2, 3), (1, 48, 2, 3), (1, 3))]
    found, _ = compiled_and_reference("vision.proposal", *arrays, rpn_post_nms_top_n=4)
    assert found.shape == (4, 5)


def test_reorganisation_as_darknet_does_it():
    data = np.arange(2 * 8 * 4 * 6, dtype="float32").reshape(2, 8, 4, 6)
    found, reference = compiled_and_reference("vision.yolo_reorg", data, stride=2)
    wanted = np.zeros(data.size, "float32")
    source, s, (n, c, h, w) = data.reshape(-1), 2, data.shape
    outer = c // s**2
    for b, k, j, i in np.ndindex(n, c, h, w):
        block = k // outer
        column, row = i * s + block % s, j * s + block // s
        place = column + w * s * (row + h * s * (k % outer + outer * b))
        wanted[i + w * (j + h * (k + c * b))] = source[place]
    np.testing.assert_array_equal(found, wanted.reshape(2, 32, 2, 3))
    np.testing.assert_array_equal(reference, found)
