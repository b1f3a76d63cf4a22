"""Fourier transforms and what goes with them."""

import math
from typing import Final

import numpy as np

from relay.frontend.onnx.converters.contraction import matrix_product
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.ir.expr import Expr

#: Up to this length a transform is one product with a matrix, that of a real signal a small one.
_DIRECT: Final = 8
_DIRECT_REAL: Final = 64


def _table(length: int, inverse: bool) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines of ``2 pi n k / length``, with the sign of the transform."""
    places = np.arange(length)
    angle = 2 * np.pi * (np.outer(places, places) % length) / length
    return np.cos(angle), np.sin(angle) * (1 if inverse else -1)


def _product(node: Node, value: Expr, table: np.ndarray) -> Expr:
    return matrix_product(node, value, node.constant(table, node.dtype(value)))


def transform(node: Node, real: Expr, imaginary: Expr | None, inverse: bool) -> tuple[Expr, Expr]:
    """The discrete Fourier transform of rows: (rows, length), unscaled.

    A length with factors is done by Cooley and Tukey's method: transforms along the columns of a
    matrix, factors, transforms along its rows. All sums are products with matrices.
    """
    rows, length = node.shape(real)
    first = _factor(length)
    if length <= (_DIRECT_REAL if imaginary is None else _DIRECT) or first == 1:
        cosine, sine = _table(length, inverse)
        if imaginary is None:
            return _product(node, real, cosine), _product(node, real, sine)
        return (
            node.call("subtract", _product(node, real, cosine), _product(node, imaginary, sine)),
            node.call("add", _product(node, real, sine), _product(node, imaginary, cosine)),
        )
    second = length // first

    def columns(value: Expr) -> Expr:
        turned = node.transpose(node.reshape(value, (rows, first, second)), (0, 2, 1))
        return node.reshape(turned, (rows * second, first))

    re, im = transform(
        node, columns(real), None if imaginary is None else columns(imaginary), inverse
    )
    angle = 2 * np.pi * np.outer(np.arange(second), np.arange(first)) / length
    dtype = node.dtype(real)
    factor = node.constant(np.cos(angle), dtype)
    turn = node.constant(np.sin(angle) * (1 if inverse else -1), dtype)
    re, im = (node.reshape(part, (rows, second, first)) for part in (re, im))
    turned = (
        node.call("subtract", node.call("multiply", re, factor), node.call("multiply", im, turn)),
        node.call("add", node.call("multiply", re, turn), node.call("multiply", im, factor)),
    )
    inner = [
        node.reshape(node.transpose(part, (0, 2, 1)), (rows * first, second)) for part in turned
    ]
    found = transform(node, inner[0], inner[1], inverse)
    re, im = (
        node.transpose(node.reshape(part, (rows, first, second)), (0, 2, 1)) for part in found
    )
    return node.reshape(re, (rows, length)), node.reshape(im, (rows, length))


def _factor(length: int) -> int:
    """The largest factor of `length` up to its root."""
    return next((f for f in range(math.isqrt(length), 1, -1) if length % f == 0), 1)


def _fitted(node: Node, value: Expr, length: int) -> Expr:
    """Rows of `length`: cut off, or continued by zeros."""
    rows, found = node.shape(value)
    if found > length:
        return node.slice_axis(value, 1, 0, length)
    if found == length:
        return value
    zeros = node.filled((rows, length - found), 0, node.dtype(value))
    return node.concatenate([value, zeros], 1)


def _mirrored(node: Node, value: Expr, length: int, sign: int) -> Expr:
    """The second half of a spectrum of `length`, from the first: that of a real signal."""
    half = length // 2 + 1
    value = _fitted(node, value, half)
    if length - half < 1:
        return value
    rest = node.slice_axis(value, 1, 1, length - half + 1)
    rest = node.call("reverse", rest, axis=1)
    if sign < 0:
        rest = node.call("negative", rest)
    return node.concatenate([value, rest], 1)


def fourier(node: Node, value: Expr, axis: int, length: int | None, onesided: bool) -> Expr:
    """The transform along `axis` of `value`, whose last axis is real, or real and imaginary."""
    shape = node.shape(value)
    inverse = bool(node.integer("inverse", 0))
    if shape[-1] not in (1, 2) or axis == len(shape) - 1:
        node.fail(f"it transforms axis {axis} of {shape}, the last one being the parts of numbers")
    size = shape[axis]
    if length is None:
        length = 2 * (size - 1) if inverse and onesided else size
    if length < 1:
        node.fail(f"its length must be positive, found {length}")
    order = [k for k in range(len(shape) - 1) if k != axis]
    outer = [shape[k] for k in order]
    node.check_size((*outer, length, 2), node.dtype(value))

    def part(index: int) -> Expr:
        field = node.reshape(node.slice_axis(value, len(shape) - 1, index, index + 1), shape[:-1])
        return node.reshape(node.transpose(field, [*order, axis]), (math.prod(outer), size))

    real = part(0)
    imaginary = part(1) if shape[-1] == 2 else None
    if inverse and onesided:
        real = _mirrored(node, real, length, 1)
        imaginary = None if imaginary is None else _mirrored(node, imaginary, length, -1)
    else:
        real = _fitted(node, real, length)
        imaginary = None if imaginary is None else _fitted(node, imaginary, length)
    found = list(transform(node, real, imaginary, inverse))
    kept = length
    if inverse:
        found = [node.call("multiply", p, node.like(1 / length, p)) for p in found]
        found = found[:1] if onesided else found
    elif onesided:
        kept = length // 2 + 1
        found = [node.slice_axis(p, 1, 0, kept) for p in found]
    back = [*range(len(order))]
    back.insert(axis, len(order))
    parts = [
        node.call("expand_dims", node.transpose(node.reshape(p, (*outer, kept)), back), axis=-1)
        for p in found
    ]
    return node.concatenate(parts, len(shape) - 1)


def _dft(node: Node, axis: int) -> Expr:
    length = node.static_integers(1, "length")[0] if node.optional(1) is not None else None
    return fourier(node, node.arg(0), axis, length, bool(node.integer("onesided", 0)))


@onnx_op("", "DFT")
def fourier_by_attribute(node: Node) -> Expr:
    """The discrete Fourier transform along an axis that an attribute names."""
    value = node.arg(0)
    return _dft(node, node.axis("axis", node.rank(value), 1))


@onnx_op("", "DFT", since=20)
def fourier_by_input(node: Node) -> Expr:
    """The discrete Fourier transform along an axis that an input names."""
    value = node.arg(0)
    axis = node.static_integers(2, "axis")[0] if node.optional(2) is not None else -2
    return _dft(node, node.normal_axis(axis, node.rank(value)))


@onnx_op("", "STFT")
def short_time_fourier(node: Node) -> Expr:
    """Fourier transforms of stretches of a signal: (batch, samples, 1 or 2)."""
    value = node.arg(0)
    batch, samples, parts = node.shape(value)
    (step,) = node.static_integers(1, "step")
    window = node.optional(2)
    if node.optional(3) is not None:
        (length,) = node.static_integers(3, "length")
    elif window is not None:
        (length,) = node.shape(window)
    else:
        length = samples
    if step < 1 or not 1 <= length <= samples:
        node.fail(f"stretches of {length} samples, {step} apart, are not to be had of {samples}")
    frames = 1 + (samples - length) // step
    node.check_size((batch, frames, length, parts), "float64")
    places = np.arange(frames)[:, None] * step + np.arange(length)
    cut = node.call("take", value, node.constant(places, "int64"), axis=1, mode="clip")
    if window is not None:
        weights = node.reshape(node.cast(window, node.dtype(value)), (length, 1))
        cut = node.call("multiply", cut, weights)
    return fourier(node, cut, 2, length, bool(node.integer("onesided", 1)))


@onnx_op("", "MelWeightMatrix", values=(0, 1, 2, 3, 4))
def mel_weights(node: Node) -> Expr:
    """Triangular filters at equal distances on the mel scale: (frequencies, filters).

    S. Stevens, J. Volkmann and E. Newman, 1937; the scale is ``2595 log10(1 + f / 700)``.
    """
    filters, length, rate = (node.static_integers(k, "sizes")[0] for k in range(3))
    low, high = (float(node.static(k, "frequencies").item()) for k in (3, 4))
    if filters < 1 or length < 1 or rate < 1 or not 0 <= low < high <= rate:
        node.fail(f"{filters} filters from {low} to {high} Hz do not fit a rate of {rate} Hz")
    node.spend((length // 2 + 1, filters), "float64")
    mels = 2595 * np.log10(1 + np.array([low, high]) / 700)
    edges = np.arange(filters + 2) * (mels[1] - mels[0]) / (filters + 2) + mels[0]
    hertz = 700 * (10 ** (edges / 2595) - 1)
    bins = ((length + 1) * hertz // rate).astype(np.int64)
    at = np.arange(length // 2 + 1)[:, None]
    left, centre, right = bins[:-2], bins[1:-1], bins[2:]
    rising = np.where(
        left == centre, at == centre, (at - left) / np.maximum(centre - left, 1) * (at >= left)
    )
    falling = (right - at) / np.maximum(right - centre, 1)
    weights = np.where(at <= centre, rising, falling)
    # At the peak the falling side decides, where there is one.
    weights = np.where((at == centre) & (right > centre), 1.0, weights)
    weights = np.where((at >= right) & (at != centre), 0.0, weights)
    code = node.integer("output_datatype", 1)
    return node.constant(np.maximum(weights, 0), node.element_type(code))
