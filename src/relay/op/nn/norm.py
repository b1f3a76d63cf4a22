"""Normalisations."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import TensorType, TupleType, Type
from relay.op.gradients import (
    field,
    known_shape,
    make,
    number,
    rank_of,
    scaled,
    sum_to_vector,
    vector_along,
)
from relay.op.nn.common import dims_agree, known
from relay.op.nn.norm_gradients import affine_gradients
from relay.op.shapes import expect_kind, normalize_axis
from relay.support.errors import TypeInferenceError


def _expect_vectors(
    name: str, arguments: Sequence[str], types: Sequence[Type], data: TensorType, axis: int
) -> None:
    """Raises `TypeInferenceError` unless `types` are vectors as long as axis `axis` of `data`."""
    for argument, type_ in zip(arguments, types, strict=True):
        found = expect_tensor(name, argument, type_)
        if len(found.shape) != 1 or not dims_agree(found.shape[0], data.shape[axis]):
            raise TypeInferenceError(
                f"{name}: {argument} must be a vector of {data.shape[axis]} elements, one for each "
                f"along axis {axis} of the data, found {found}"
            )
        if found.dtype != data.dtype:
            raise TypeInferenceError(
                f"{name}: {argument} must be {data.dtype} as the data is, found {found.dtype}"
            )


def _along(vector: Array, axis: int, rank: int) -> Array:
    shape = [1] * rank
    shape[axis] = -1
    return vector.reshape(shape)


@operator(
    "nn.batch_norm",
    inputs=("data", "gamma", "beta", "moving_mean", "moving_var"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=1,
)
class BatchNorm(Operator):
    """Batch normalisation at inference, with the moving statistics, per element of `axis`.

    ``(x - moving_mean) / sqrt(moving_var + epsilon) * gamma + beta``; `center` false leaves beta
    out, `scale` false gamma. The result is a tuple (data, moving_mean, moving_var).
    Source: Ioffe and Szegedy, 2015.
    """

    axis: int = 1
    epsilon: float = 1e-5
    center: bool = True
    scale: bool = True

    def infer(
        self, data: Type, gamma: Type, beta: Type, moving_mean: Type, moving_var: Type
    ) -> Type:
        x = expect_kind(self.name, "data", data, "float")
        axis = normalize_axis(self.name, self.axis, len(x.shape))
        vectors = (gamma, beta, moving_mean, moving_var)
        _expect_vectors(self.name, self.inputs[1:], vectors, x, axis)
        return TupleType((x, moving_mean, moving_var))

    def complete_inputs(self, types: Sequence[Type | None]) -> Sequence[Type | None]:
        data = types[0]
        if not isinstance(data, TensorType):
            return types
        axis = normalize_axis(self.name, self.axis, len(data.shape))
        vector = TensorType((data.shape[axis],), data.dtype)
        return (data, *(vector if t is None else t for t in types[1:]))

    def compute(
        self,
        data: te.Tensor,
        gamma: te.Tensor,
        beta: te.Tensor,
        moving_mean: te.Tensor,
        moving_var: te.Tensor,
    ) -> tuple[te.Tensor, te.Tensor, te.Tensor]:
        axis = self.axis % data.ndim

        def element(*i: te.Var) -> te.Expr:
            c = i[axis]
            inverse = te.unary("rsqrt", moving_var(c) + self.epsilon)
            y = (data(*i) - moving_mean(c)) * inverse
            return _affine(y, gamma(c), beta(c), self.scale, self.center)

        return (
            te.compute(data.shape, element, "batch_norm"),
            te.compute(moving_mean.shape, lambda c: moving_mean(c), "moving_mean"),
            te.compute(moving_var.shape, lambda c: moving_var(c), "moving_var"),
        )

    def reference(
        self, data: Array, gamma: Array, beta: Array, moving_mean: Array, moving_var: Array
    ) -> tuple[Array, Array, Array]:
        def along(vector: Array) -> Array:
            return _along(vector, self.axis, data.ndim)

        y = (data - along(moving_mean)) / np.sqrt(along(moving_var) + self.epsilon)
        y = y * along(gamma) if self.scale else y
        y = y + along(beta) if self.center else y
        return y.astype(data.dtype), moving_mean, moving_var

    def gradient(
        self,
        grad: Expr,
        result: Expr,
        data: Expr,
        gamma: Expr,
        beta: Expr,
        moving_mean: Expr,
        moving_var: Expr,
    ) -> Gradients:
        rank = rank_of(data)
        inverse = make("rsqrt", moving_var + number(self.epsilon, moving_var))
        factor = inverse * gamma if self.scale else inverse
        centred = data - vector_along(moving_mean, self.axis, rank)
        summed = sum_to_vector(field(grad, 0), self.axis)
        weighted = sum_to_vector(field(grad, 0) * centred, self.axis)
        by_variance = scaled(weighted * factor * inverse * inverse, -0.5)
        return (
            field(grad, 0) * vector_along(factor, self.axis, rank),
            weighted * inverse if self.scale else None,
            summed if self.center else None,
            field(grad, 1) - summed * factor,
            field(grad, 2) + by_variance,
        )


def _affine(value: te.Expr, gamma: te.Expr, beta: te.Expr, scale: bool, center: bool) -> te.Expr:
    if scale:
        value = value * gamma
    return value + beta if center else value


def _normalised(
    data: te.Tensor,
    name: str,
    statistics_shape: Sequence[te.Dim],
    reduced: Sequence[te.Axis],
    source: Callable[[tuple[te.Expr, ...]], Sequence[te.Operand]],
    statistic_of: Callable[[tuple[te.Expr, ...]], Sequence[te.Operand]],
    epsilon: float,
    finish: Callable[[te.Expr, tuple[te.Expr, ...]], te.Expr],
) -> te.Tensor:
    """Normalise `data` by mean and variance, in stages: sum, mean, squares, variance, result.

    `source` maps the indices of a statistic to those of the data under `reduced`, `statistic_of`
    the indices of the data to those of its statistics; `finish` scales and shifts.
    """
    count: te.Expr = te.const(1)
    for axis in reduced:
        count = count * axis.extent

    def divided(total: te.Tensor, stage: str) -> te.Tensor:
        return te.compute(
            total.shape, lambda *i: total(*i) / te.cast(count, data.dtype), f"{name}_{stage}"
        )

    total = te.compute(
        statistics_shape, lambda *i: te.reduce_sum(data(*source(i)), reduced), f"{name}_sum"
    )
    mean = divided(total, "mean")

    def squared(*i: te.Expr) -> te.Expr:
        difference = data(*source(i)) - mean(*i)
        return te.reduce_sum(difference * difference, reduced)

    variance = divided(te.compute(statistics_shape, squared, f"{name}_squares"), "variance")

    def element(*i: te.Expr) -> te.Expr:
        at = statistic_of(i)
        inverse = te.unary("rsqrt", variance(*at) + epsilon)
        return finish((data(*i) - mean(*at)) * inverse, i)

    return te.compute(data.shape, element, name)


@operator(
    "nn.layer_norm",
    inputs=("data", "gamma", "beta"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=1,
)
class LayerNorm(Operator):
    """Normalise along `axis` by mean and variance, then scale by gamma and shift by beta.

    `gamma` and `beta` have one element for each along `axis`. Source: Ba, Kiros, Hinton, 2016.
    """

    axis: int = -1
    epsilon: float = 1e-5
    center: bool = True
    scale: bool = True

    def infer(self, data: Type, gamma: Type, beta: Type) -> Type:
        x = expect_kind(self.name, "data", data, "float")
        axis = normalize_axis(self.name, self.axis, len(x.shape))
        _expect_vectors(self.name, ("gamma", "beta"), (gamma, beta), x, axis)
        return x

    def complete_inputs(self, types: Sequence[Type | None]) -> Sequence[Type | None]:
        return _complete_affine(self.name, self.axis, types)

    def compute(self, data: te.Tensor, gamma: te.Tensor, beta: te.Tensor) -> te.Tensor:
        axis = self.axis % data.ndim
        k = te.reduce_axis(data.shape[axis], "k")

        def finish(value: te.Expr, i: tuple[te.Expr, ...]) -> te.Expr:
            return _affine(value, gamma(i[axis]), beta(i[axis]), self.scale, self.center)

        return _normalised(
            data,
            "layer_norm",
            [s for position, s in enumerate(data.shape) if position != axis],
            (k,),
            lambda i: (*i[:axis], k.var, *i[axis:]),
            lambda i: i[:axis] + i[axis + 1 :],
            self.epsilon,
            finish,
        )

    def reference(self, data: Array, gamma: Array, beta: Array) -> Array:
        y = _standardise(data, (self.axis,), self.epsilon)
        return _scale_shift(y, gamma, beta, self.axis, self.scale, self.center).astype(data.dtype)

    def gradient(self, grad: Expr, result: Expr, data: Expr, gamma: Expr, beta: Expr) -> Gradients:
        return affine_gradients(grad, data, gamma, self, (self.axis % rank_of(data),))


def _complete_affine(name: str, axis: int, types: Sequence[Type | None]) -> Sequence[Type | None]:
    data, *vectors = types
    if not isinstance(data, TensorType):
        return types
    size = data.shape[normalize_axis(name, axis, len(data.shape))]
    return (data, *(TensorType((size,), data.dtype) if t is None else t for t in vectors))


def _standardise(data: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    if data.size == 0:
        return data
    mean = data.mean(axis=axes, keepdims=True)
    variance = data.var(axis=axes, keepdims=True)
    result: Array = (data - mean) / np.sqrt(variance + epsilon)
    return result


def _scale_shift(
    y: Array, gamma: Array, beta: Array, axis: int, scale: bool, center: bool
) -> Array:
    y = y * _along(gamma, axis, y.ndim) if scale else y
    return y + _along(beta, axis, y.ndim) if center else y


@operator(
    "nn.instance_norm",
    inputs=("data", "gamma", "beta"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=1,
)
class InstanceNorm(Operator):
    """Normalise each channel (`axis`) of each batch element (axis 0) by its mean and variance.

    `gamma` and `beta` have one element for each channel. Source: Ulyanov et al., 2016.
    """

    axis: int = 1
    epsilon: float = 1e-5
    center: bool = True
    scale: bool = True

    def infer(self, data: Type, gamma: Type, beta: Type) -> Type:
        x = expect_kind(self.name, "data", data, "float")
        axis = normalize_axis(self.name, self.axis, len(x.shape))
        if axis == 0 or len(x.shape) < 3:
            raise TypeInferenceError(
                f"{self.name}: axis 0 is the batch and something must be left to normalise over; "
                f"found axis {axis} of {x}"
            )
        _expect_vectors(self.name, ("gamma", "beta"), (gamma, beta), x, axis)
        return x

    def complete_inputs(self, types: Sequence[Type | None]) -> Sequence[Type | None]:
        return _complete_affine(self.name, self.axis, types)

    def compute(self, data: te.Tensor, gamma: te.Tensor, beta: te.Tensor) -> te.Tensor:
        axis = self.axis % data.ndim
        reduced = {
            k: te.reduce_axis(s, f"k{k}") for k, s in enumerate(data.shape) if k not in (0, axis)
        }

        def source(i: tuple[te.Expr, ...]) -> Sequence[te.Operand]:
            kept = iter(i)
            return [reduced[k].var if k in reduced else next(kept) for k in range(data.ndim)]

        def finish(value: te.Expr, i: tuple[te.Expr, ...]) -> te.Expr:
            return _affine(value, gamma(i[axis]), beta(i[axis]), self.scale, self.center)

        return _normalised(
            data,
            "instance_norm",
            (data.shape[0], data.shape[axis]),
            tuple(reduced.values()),
            source,
            lambda i: (i[0], i[axis]),
            self.epsilon,
            finish,
        )

    def reference(self, data: Array, gamma: Array, beta: Array) -> Array:
        axis = self.axis % data.ndim
        axes = tuple(k for k in range(data.ndim) if k not in (0, axis))
        y = _standardise(data, axes, self.epsilon)
        return _scale_shift(y, gamma, beta, axis, self.scale, self.center).astype(data.dtype)

    def gradient(self, grad: Expr, result: Expr, data: Expr, gamma: Expr, beta: Expr) -> Gradients:
        rank = rank_of(data)
        axes = [k for k in range(rank) if k not in (0, self.axis % rank)]
        return affine_gradients(grad, data, gamma, self, axes)


@operator(
    "nn.group_norm",
    inputs=("data", "gamma", "beta"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=1,
)
class GroupNorm(Operator):
    """Normalise each of `num_groups` groups of channels (`axis`) of each batch element (axis 0).

    `gamma` and `beta` have one element for each channel. Source: Wu and He, 2018.
    """

    num_groups: int
    axis: int = 1
    epsilon: float = 1e-5
    center: bool = True
    scale: bool = True

    def infer(self, data: Type, gamma: Type, beta: Type) -> Type:
        x = expect_kind(self.name, "data", data, "float")
        axis = normalize_axis(self.name, self.axis, len(x.shape))
        channels = x.shape[axis]
        if axis == 0:
            raise TypeInferenceError(f"{self.name}: axis 0 of {x} is the batch, not the channels")
        uneven = isinstance(channels, int) and channels % self.num_groups
        if self.num_groups < 1 or uneven:
            raise TypeInferenceError(
                f"{self.name}: {channels} channels do not make {self.num_groups} groups"
            )
        _expect_vectors(self.name, ("gamma", "beta"), (gamma, beta), x, axis)
        return x

    def complete_inputs(self, types: Sequence[Type | None]) -> Sequence[Type | None]:
        return _complete_affine(self.name, self.axis, types)

    def compute(self, data: te.Tensor, gamma: te.Tensor, beta: te.Tensor) -> te.Tensor:
        axis = self.axis % data.ndim
        channels = known(self.name, "the number of channels", data.shape[axis])
        size = channels // self.num_groups
        reduced = {
            k: te.reduce_axis(size if k == axis else s, f"k{k}")
            for k, s in enumerate(data.shape)
            if k
        }

        def source(i: tuple[te.Expr, ...]) -> Sequence[te.Operand]:
            indices: list[te.Operand] = [i[0], *(a.var for a in reduced.values())]
            indices[axis] = i[1] * size + reduced[axis].var
            return indices

        def finish(value: te.Expr, i: tuple[te.Expr, ...]) -> te.Expr:
            return _affine(value, gamma(i[axis]), beta(i[axis]), self.scale, self.center)

        return _normalised(
            data,
            "group_norm",
            (data.shape[0], self.num_groups),
            tuple(reduced.values()),
            source,
            lambda i: (i[0], i[axis] // size),
            self.epsilon,
            finish,
        )

    def reference(self, data: Array, gamma: Array, beta: Array) -> Array:
        axis = self.axis % data.ndim
        moved = np.moveaxis(data, axis, 1)
        size = math.prod(moved.shape[1:]) // self.num_groups
        grouped = moved.reshape(data.shape[0], self.num_groups, size)
        y = _standardise(grouped, (2,), self.epsilon).reshape(moved.shape)
        y = np.moveaxis(y, 1, axis)
        return _scale_shift(y, gamma, beta, axis, self.scale, self.center).astype(data.dtype)

    def gradient(self, grad: Expr, result: Expr, data: Expr, gamma: Expr, beta: Expr) -> Gradients:
        shape = known_shape(self.name, data)
        axis = self.axis % len(shape)
        grouped = (
            *shape[:axis],
            self.num_groups,
            shape[axis] // self.num_groups,
            *shape[axis + 1 :],
        )
        axes = [k for k in range(len(grouped)) if k not in (0, axis)]
        return affine_gradients(grad, data, gamma, self, axes, grouped)
