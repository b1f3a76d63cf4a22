"""Resizing of images and other tensors.

Sizes are static, so each axis is a table: which elements an output element reads, and with what
weights. Axes are done one after the other.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr

_Floats: TypeAlias = npt.NDArray[np.float64]
_Indices: TypeAlias = npt.NDArray[np.int64]


def _coordinates(
    node: Node, mode: str, size: int, result: int, scale: float, region: tuple[float, float]
) -> _Floats:
    """Where in the input the elements of the output lie."""
    x = np.arange(result, dtype=np.float64)
    first, last = region
    middle = (size - result / scale) / 2
    lines = {
        "half_pixel": (x + 0.5) / scale - 0.5,
        "pytorch_half_pixel": (x + 0.5) / scale - 0.5 if result > 1 else np.zeros(1),
        "align_corners": x * (size - 1) / (size * scale - 1) if size * scale > 1 else 0 * x,
        "asymmetric": x / scale,
        "tf_crop_and_resize": (size - 1)
        * (first + x * (last - first) / (result - 1) if result > 1 else (first + last) / 2 + 0 * x),
        "half_pixel_symmetric": middle + (x + 0.5) / scale - 0.5,
    }
    if mode not in lines:
        node.unsupported(f"its coordinate_transformation_mode {mode!r} is not supported")
    return lines[mode]


def _nearest(node: Node, mode: str, at: _Floats) -> _Indices:
    at = at.astype(np.float32)  # what is half a pixel in single precision is not beyond it
    match mode:
        case "round_prefer_floor":
            found = np.ceil(at - 0.5)
        case "round_prefer_ceil":
            found = np.floor(at + 0.5)
        case "floor":
            found = np.floor(at)
        case "ceil":
            found = np.ceil(at)
        case _:
            node.fail(f"its nearest_mode {mode!r} is unknown")
    return found.astype(np.int64)


def _cubic(distance: _Floats, a: float) -> _Floats:
    """Keys' cubic convolution kernel."""
    t = np.abs(distance)
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0.0))


def _taps(
    node: Node, mode: str, at: _Floats, size: int, scale: float
) -> list[tuple[_Indices, _Floats]]:
    """Which elements to read and their weights.

    Against aliasing, the kernel is stretched over the input elements that one of the output covers.
    """
    smooth = bool(node.integer("antialias", 0))
    stretch = min(scale, 1.0) if smooth else 1.0
    radius = 1 if mode == "linear" else 2
    start = math.floor(-radius / stretch) + 1
    low = np.ceil(at).astype(np.int64) - 1
    places, weights = [], []
    for offset in range(start, 2 - start):
        distance = (low + offset - at) * stretch
        places.append(low + offset)
        if mode == "linear":
            weights.append(np.maximum(0.0, 1 - np.abs(distance)))
        else:
            weights.append(_cubic(distance, node.number("cubic_coeff_a", -0.75)))
    if node.integer("exclude_outside", 0):
        inside = [(p >= 0) & (p < size) for p in places]
        weights = [np.where(i, w, 0) for i, w in zip(inside, weights, strict=True)]
    if smooth or node.integer("exclude_outside", 0):
        total = np.sum(weights, axis=0)
        weights = [w / total for w in weights]
    return [(np.clip(p, 0, size - 1), w) for p, w in zip(places, weights, strict=True)]


def _take(node: Node, value: Expr, places: _Indices, axis: int) -> Expr:
    return node.call("take", value, node.constant(places, "int64"), axis=axis, mode="clip")


def _resize_axis(
    node: Node,
    value: Expr,
    axis: int,
    result: int,
    scale: float,
    mode: str,
    options: dict[str, str],
    region: tuple[float, float],
) -> Expr:
    size = node.shape(value)[axis]
    at = _coordinates(node, options["coordinates"], size, result, scale, region)
    resized = _interpolated(node, value, axis, at, scale, mode, options)
    if options["coordinates"] != "tf_crop_and_resize":
        return resized
    extent = [result if k == axis else 1 for k in range(node.rank(value))]
    inside = node.constant(((at >= 0) & (at <= size - 1)).reshape(extent), "bool")
    other = node.like(node.number("extrapolation_value", 0.0), value)
    return node.call("where", inside, resized, other)


def _interpolated(
    node: Node,
    value: Expr,
    axis: int,
    at: _Floats,
    scale: float,
    mode: str,
    options: dict[str, str],
) -> Expr:
    """`value` read at the places `at` along `axis`."""
    size, result = node.shape(value)[axis], len(at)
    if mode == "nearest":
        places = np.clip(_nearest(node, options["nearest"], at), 0, size - 1)
        if np.array_equal(places, np.arange(size)):
            return value
        times = result // size
        if result % size == 0 and np.array_equal(places, np.arange(result) // times):
            return node.call("repeat", value, repeats=times, axis=axis)
        return _take(node, value, places, axis)
    extent = [1] * node.rank(value)
    extent[axis] = result
    dtype = node.dtype(value)
    total: Expr | None = None
    for places, weights in _taps(node, mode, at, size, scale):
        factor = node.constant(weights.reshape(extent), dtype)
        part = node.call("multiply", _take(node, value, places, axis), factor)
        total = part if total is None else node.call("add", total, part)
    assert total is not None
    return total


def _resize(
    node: Node,
    value: Expr,
    sizes: list[int],
    scales: list[float],
    mode: str,
    options: dict[str, str],
    regions: Mapping[int, tuple[float, float]] = MappingProxyType({}),
) -> Expr:
    shape = node.shape(value)
    if mode not in ("nearest", "linear", "cubic"):
        node.fail(f"its mode {mode!r} is not one of nearest, linear, cubic")
    if len(sizes) != len(shape) or len(scales) != len(shape):
        node.fail(f"it needs one size for each of {len(shape)} axes, found {sizes or scales}")
    node.check_size(sizes, node.dtype(value))
    node.spend((sum(sizes), 16), "float64")
    if mode != "nearest" and not dtypes.is_float(node.dtype(value)):
        node.unsupported(f"interpolation of {node.dtype(value)} is not supported")
    if 0 in sizes:
        return node.filled(sizes, 0, node.dtype(value))
    for axis, (old, new, scale) in enumerate(zip(shape, sizes, scales, strict=True)):
        region = regions.get(axis, (0.0, 1.0))
        if old != new or scale != 1 or region != (0.0, 1.0):
            value = _resize_axis(node, value, axis, new, scale, mode, options, region)
    return value


def _floats(node: Node, value: npt.NDArray[Any]) -> list[float]:
    found = [float(v) for v in value.reshape(-1)]
    if not all(math.isfinite(v) and v > 0 for v in found):
        node.fail(f"its scales must be positive, found {found}")
    return found


def _scaled(shape: tuple[int, ...], scales: list[float]) -> list[int]:
    return [math.floor(d * s) for d, s in zip(shape, scales, strict=True)]


@onnx_op("", "Upsample", values=(1,))
def upsample(node: Node) -> Expr:
    """Resizing by scales, as versions 7 and 9 define it."""
    return _upsample(node)


def _upsample(node: Node) -> Expr:
    value = node.arg(0)
    if node.optional(1) is not None:
        scales = _floats(node, node.static(1, "scales"))
    elif node.opset < 7:
        scales = [1.0, 1.0, node.number("height_scale", 1.0), node.number("width_scale", 1.0)]
    else:
        scales = node.numbers("scales") or []
    options = {"coordinates": "asymmetric", "nearest": "floor"}
    mode = node.text("mode", "nearest")
    mode = "linear" if mode == "bilinear" else mode
    return _resize(node, value, _scaled(node.shape(value), scales), scales, mode, options)


@onnx_op("", "Resize", values=(1,))
def resize_by_scales(node: Node) -> Expr:
    """Resizing by scales, as version 10 defines it."""
    return _upsample(node)


@onnx_op("", "Resize", since=11, values=(1, 2, 3))
def resize(node: Node) -> Expr:
    """Resizing to sizes or by scales; nearest, linear or cubic."""
    value = node.arg(0)
    shape = node.shape(value)
    axes = node.normal_axes(node.integers("axes") or range(len(shape)), len(shape))
    sizes, scales = list(shape), [1.0] * len(shape)
    if node.optional(3) is not None:
        wanted = node.static_integers(3, "sizes")
        if len(wanted) != len(axes):
            node.fail(f"it needs {len(axes)} sizes, found {wanted}")
        ratios = [w / shape[a] for a, w in zip(axes, wanted, strict=True)]
        policy = node.text("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            ratio = min(ratios) if policy == "not_larger" else max(ratios)
            wanted = [math.floor(ratio * shape[a] + 0.5) for a in axes]
            ratios = [ratio] * len(axes)
    else:
        ratios = _floats(node, node.static(2, "scales"))
        if len(ratios) != len(axes):
            node.fail(f"it needs {len(axes)} scales, found {ratios}")
        wanted = _scaled(tuple(shape[a] for a in axes), ratios)
    for axis, size, ratio in zip(axes, wanted, ratios, strict=True):
        sizes[axis], scales[axis] = size, ratio
    options = {
        "coordinates": node.text("coordinate_transformation_mode", "half_pixel"),
        "nearest": node.text("nearest_mode", "round_prefer_floor"),
    }
    regions: dict[int, tuple[float, float]] = {}
    if options["coordinates"] == "tf_crop_and_resize":
        bounds = [float(v) for v in node.static(1, "region").reshape(-1)]
        if len(bounds) != 2 * len(axes):
            node.fail(f"its region needs {2 * len(axes)} numbers, found {bounds}")
        regions = {a: (bounds[k], bounds[k + len(axes)]) for k, a in enumerate(axes)}
    return _resize(node, value, sizes, scales, node.text("mode", "nearest"), options, regions)
