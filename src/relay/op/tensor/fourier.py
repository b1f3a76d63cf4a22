"""Fourier transforms, from their definition."""

import math
from collections.abc import Sequence

import numpy as np

from relay import te
from relay.ir.expr import Call, Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, operator
from relay.ir.types import Dim, TensorType, TupleType, Type
from relay.op.gradients import (
    converted,
    field,
    known_shape,
    make,
    matrix_of,
    number,
    permuted,
    reshaped,
    scaled,
    sum_to_vector,
    tensor_of,
)
from relay.op.nn.common import known_window_count
from relay.op.shapes import expect_kind, expect_same_dtype, put, unify_dim
from relay.op.tensor.lookup import SlidingWindow
from relay.support.errors import TypeInferenceError


def _circle(count: te.Dim, dtype: str, kind: str) -> te.Tensor:
    """The sines or cosines of the angles that divide the circle by `count`."""

    def element(k: te.Var) -> te.Expr:
        angle = te.cast(k, dtype) * (2 * math.pi) / te.cast(te.as_expr(count, te.INDEX), dtype)
        return te.unary(kind, angle)

    return te.compute((count,), element, f"{kind}_of_parts", stage=True)


@operator("dft", inputs=("re_data", "im_data"), pattern=Pattern.OPAQUE, level=3)
class DFT(Operator):
    """The discrete Fourier transform along the last axis: a tuple of real and imaginary part.

    ``X[k] = sum over n of x[n] exp(-2 pi i k n / N)``; with `inverse` the sign is plus and the sum
    divided by N.
    """

    inverse: bool = False

    def __post_init__(self) -> None:
        put(self, "inverse", bool(self.inverse))

    def infer(self, re_data: Type, im_data: Type) -> Type:
        real = expect_kind(self.name, "re_data", re_data, "float")
        imaginary = expect_kind(self.name, "im_data", im_data, "float")
        expect_same_dtype(self.name, real, imaginary)
        if len(real.shape) != len(imaginary.shape) or not real.shape:
            raise TypeInferenceError(
                f"{self.name}: both parts must be of one shape, found {real} and {imaginary}"
            )
        shape = [
            unify_dim(self.name, a, b, "the sizes of both parts")
            for a, b in zip(real.shape, imaginary.shape, strict=True)
        ]
        whole = TensorType(shape, real.dtype)
        return TupleType([whole, whole])

    def compute(self, re_data: te.Tensor, im_data: te.Tensor) -> tuple[te.Tensor, te.Tensor]:
        size, dtype = re_data.shape[-1], re_data.dtype
        cosines, sines = (_circle(size, dtype, kind) for kind in ("cos", "sin"))

        def part(real: bool) -> te.Tensor:
            def element(*i: te.Var) -> te.Expr:
                n = te.reduce_axis(size, "n")
                turn = (i[-1] * n.var) % size
                re, im = re_data(*i[:-1], n.var), im_data(*i[:-1], n.var)
                sine = -sines(turn) if not self.inverse else sines(turn)
                total = re * cosines(turn) - im * sine if real else re * sine + im * cosines(turn)
                return te.reduce_sum(total, n)

            name = "dft_re" if real else "dft_im"
            summed = te.compute(re_data.shape, element, f"{name}_sum" if self.inverse else name)
            if not self.inverse:
                return summed
            count = te.cast(te.as_expr(size, te.INDEX), dtype)
            return te.compute(re_data.shape, lambda *i: summed(*i) / count, name)

        return part(True), part(False)

    def reference(self, re_data: Array, im_data: Array) -> tuple[Array, Array]:
        if not re_data.size:
            return np.zeros_like(re_data), np.zeros_like(re_data)
        signal = re_data.astype("float64") + 1j * im_data.astype("float64")
        found = np.fft.ifft(signal) if self.inverse else np.fft.fft(signal)
        return found.real.astype(re_data.dtype), found.imag.astype(re_data.dtype)

    def gradient(self, grad: Expr, result: Expr, re_data: Expr, im_data: Expr) -> Gradients:
        # The transposed map has the other sign of the angle, and the same factor.
        size = known_shape(self.name, re_data)[-1]
        back = make(self.name, field(grad, 0), field(grad, 1), inverse=not self.inverse)
        factor = 1 / size if self.inverse else size
        return scaled(field(back, 0), factor), scaled(field(back, 1), factor)


@operator("stft", inputs=("data", "window"), pattern=Pattern.OPAQUE, level=3)
class STFT(Operator):
    """The short-time Fourier transform: of every stretch of `n_fft` samples, `hop_length` apart.

    `data` is (samples) or (batch, samples), `window` a vector of `win_length` factors, which are
    for the samples in the middle of a stretch (the others count 0). The result is (.., frequencies,
    stretches, 2), the last axis being real and imaginary part; with `onesided` the frequencies are
    those up to half of `n_fft`, with `normalized` all is divided by the root of `n_fft`.
    """

    n_fft: int
    hop_length: int
    win_length: int
    normalized: bool = False
    onesided: bool = True

    def __post_init__(self) -> None:
        put(self, "normalized", bool(self.normalized))
        put(self, "onesided", bool(self.onesided))
        if self.hop_length < 1 or not 0 < self.win_length <= self.n_fft:
            raise ValueError(
                "hop_length must be positive, and win_length positive and at most n_fft; found "
                f"{self.hop_length}, {self.win_length} and {self.n_fft}"
            )

    def _frequencies(self) -> int:
        return self.n_fft // 2 + 1 if self.onesided else self.n_fft

    def infer(self, data: Type, window: Type) -> Type:
        x = expect_kind(self.name, "data", data, "float")
        w = expect_kind(self.name, "window", window, "number")
        if len(x.shape) not in (1, 2) or len(w.shape) != 1:
            raise TypeInferenceError(
                f"{self.name}: expected data of rank 1 or 2 and a vector for window, found {x} and "
                f"{w}"
            )
        unify_dim(self.name, w.shape[0], self.win_length, "the length of window and win_length")
        frames: Dim = known_window_count(
            self.name, "time", x.shape[-1], -self.n_fft, self.hop_length
        )
        return TensorType((*x.shape[:-1], self._frequencies(), frames, 2), x.dtype)

    def compute(self, data: te.Tensor, window: te.Tensor) -> te.Tensor:
        dtype = data.dtype
        cosines, sines = (_circle(self.n_fft, dtype, kind) for kind in ("cos", "sin"))
        before = (self.n_fft - self.win_length) // 2
        frames = (data.shape[-1] - self.n_fft) // self.hop_length + 1
        shape: Sequence[te.Dim] = (*data.shape[:-1], self._frequencies(), frames, 2)

        def element(*i: te.Var) -> te.Expr:
            *lead, frequency, frame, part = i
            n = te.reduce_axis(self.win_length, "n")
            sample = data(*lead, frame * self.hop_length + n.var + before)
            turn = (frequency * (n.var + before)) % self.n_fft
            factor = te.select(te.equal(part, 0), cosines(turn), -sines(turn))
            return te.reduce_sum(sample * te.cast(window(n.var), dtype) * factor, n)

        found = te.compute(shape, element, "stft_sum" if self.normalized else "stft")
        if not self.normalized:
            return found
        scale = 1 / math.sqrt(self.n_fft)
        return te.compute(shape, lambda *i: found(*i) * scale, "stft")

    def reference(self, data: Array, window: Array) -> Array:
        before = (self.n_fft - self.win_length) // 2
        factors = np.zeros(self.n_fft)
        factors[before : before + self.win_length] = window
        signal = data.astype("float64")
        frames = np.lib.stride_tricks.sliding_window_view(signal, self.n_fft, axis=-1)
        spectrum = np.fft.fft(frames[..., :: self.hop_length, :] * factors)
        chosen = np.swapaxes(spectrum[..., : self._frequencies()], -1, -2)
        if self.normalized:
            chosen = chosen / math.sqrt(self.n_fft)
        return np.stack([chosen.real, chosen.imag], axis=-1).astype(data.dtype)

    def gradient(self, grad: Expr, result: Expr, data: Expr, window: Expr) -> Gradients:
        # The transform is a product of windowed stretches with a matrix of sines and cosines.
        count = self._frequencies()
        turns = np.outer(np.arange(self.n_fft), np.arange(count)) * (2 * math.pi / self.n_fft)
        matrix = np.stack([np.cos(turns), -np.sin(turns)], axis=-1).reshape(self.n_fft, 2 * count)
        if self.normalized:
            matrix = matrix / math.sqrt(self.n_fft)
        *lead, _, frames, _ = known_shape(self.name, grad)
        order = [*range(len(lead)), len(lead) + 1, len(lead), len(lead) + 2]
        rows = reshaped(permuted(grad, order), (math.prod(lead) * frames, 2 * count))
        back = make("nn.dense", rows, matrix_of(matrix, data))
        before = (self.n_fft - self.win_length) // 2
        after = self.n_fft - self.win_length - before
        factors = make(
            "nn.pad",
            converted(window, data),
            number(0, data),
            pad_width=((before, after),),
        )
        slide = SlidingWindow(len(lead), (self.n_fft,), (self.hop_length,))
        stretches = Call(slide.op, (data,), slide)
        share = reshaped(back * factors, (*lead, frames, self.n_fft))
        if tensor_of(window).dtype != tensor_of(data).dtype:
            return slide.gradient(share, stretches, data)[0], None
        counted = reshaped(back, (*lead, frames, self.n_fft)) * stretches
        summed = sum_to_vector(counted, len(lead) + 1)
        end = before + self.win_length
        kept = make("strided_slice", summed, begin=(before,), end=(end,))
        return slide.gradient(share, stretches, data)[0], kept
