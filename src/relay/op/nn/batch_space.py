"""Blocks of positions moved into the batch, and back (TensorFlow's way to dilate)."""

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from relay import te
from relay.ir.expr import Expr
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Any, Dim, TensorType, Type
from relay.op.gradients import make
from relay.op.nn.common import pad_tensor
from relay.op.shapes import put, put_ints
from relay.support.errors import TypeInferenceError

Pairs: TypeAlias = tuple[tuple[int, int], ...]


def _put_pairs(declaration: Operator, name: str, blocks: Sequence[int]) -> None:
    """Normalise attribute `name`, a pair of amounts for each of `blocks`; raises when it is not."""
    pairs = tuple((int(before), int(after)) for before, after in getattr(declaration, name))
    put(declaration, name, pairs)
    if len(pairs) != len(blocks) or min(blocks, default=1) < 1:
        raise TypeInferenceError(
            f"{declaration.name}: block_shape must be positive and {name} have a pair for each "
            f"block, found {tuple(blocks)} and {pairs}"
        )
    if any(min(pair) < 0 for pair in pairs):
        raise TypeInferenceError(f"{declaration.name}: {name} must not be negative, found {pairs}")


def _expect_rank(name: str, data: Type, blocks: Sequence[int]) -> TensorType:
    x = expect_tensor(name, "data", data)
    if len(x.shape) < 1 + len(blocks):
        raise TypeInferenceError(
            f"{name}: data needs a batch and {len(blocks)} more dimensions, found {x}"
        )
    return x


def _offsets(block: te.Expr, blocks: Sequence[int]) -> list[te.Expr]:
    """The offsets along each axis of the row-major number `block` of a position in a block."""
    found: list[te.Expr] = []
    for size in reversed(blocks):
        found.append(block % size)
        block = block // size
    return found[::-1]


@operator("nn.space_to_batch_nd", inputs=("data",), pattern=Pattern.INJECTIVE, level=5)
class SpaceToBatchND(Operator):
    """The positions within a block become batches, the blocks positions.

    `block_shape` has a size for each axis from the second on, as far as it goes; these are first
    padded by `paddings`, with `pad_value`. (N, H, W, C) becomes (N * b * b, H / b, W / b, C), the
    position in the block counting more than the batch. TensorFlow: ``SpaceToBatchND``.
    """

    takes_small = True
    block_shape: tuple[int, ...] = (1, 1)
    paddings: Pairs = ((0, 0), (0, 0))
    pad_value: float = 0.0

    def __post_init__(self) -> None:
        put_ints(self, "block_shape")
        _put_pairs(self, "paddings", self.block_shape)

    def infer(self, data: Type) -> Type:
        x = _expect_rank(self.name, data, self.block_shape)
        shape: list[Dim] = list(x.shape)
        batch, count = shape[0], math.prod(self.block_shape)
        if isinstance(batch, Any):
            shape[0] = Any() if count > 1 else batch
        else:
            shape[0] = batch * count
        for k, (b, pair) in enumerate(zip(self.block_shape, self.paddings, strict=True), start=1):
            size = shape[k]
            if isinstance(size, Any):
                shape[k] = size if b == 1 and pair == (0, 0) else Any()
            elif (size + sum(pair)) % b:
                raise TypeInferenceError(
                    f"{self.name}: axis {k} of {x}, padded by {pair}, does not divide into "
                    f"blocks of {b}"
                )
            else:
                shape[k] = (size + sum(pair)) // b
        return TensorType(shape, x.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        spare = data.ndim - 1 - len(self.paddings)
        pairs = ((0, 0), *self.paddings, *((0, 0),) * spare)
        value = te.const(self.pad_value, data.dtype)
        padded = pad_tensor(data, [p[0] for p in pairs], [p[1] for p in pairs], value)
        batch = data.shape[0]
        shape = [batch * math.prod(self.block_shape), *padded.shape[1:]]
        for k, b in enumerate(self.block_shape, start=1):
            shape[k] = padded.shape[k] // b

        def element(*out: te.Expr) -> te.Expr:
            index = [out[0] % batch, *out[1:]]
            offsets = _offsets(out[0] // batch, self.block_shape)
            for k, (b, offset) in enumerate(zip(self.block_shape, offsets, strict=True), start=1):
                index[k] = out[k] * b + offset
            return padded(*index)

        return te.compute(shape, element, "space_to_batch")

    def reference(self, data: Array) -> Array:
        count = len(self.block_shape)
        pairs = [(0, 0), *self.paddings, *[(0, 0)] * (data.ndim - 1 - count)]
        x = np.pad(data, pairs, constant_values=self.pad_value)
        split = [s for k, b in enumerate(self.block_shape, 1) for s in (x.shape[k] // b, b)]
        x = x.reshape(x.shape[0], *split, *x.shape[1 + count :])
        blocks, places = range(2, 2 + 2 * count, 2), range(1, 1 + 2 * count, 2)
        x = x.transpose(*blocks, 0, *places, *range(1 + 2 * count, x.ndim))
        return x.reshape(-1 if x.size else math.prod(x.shape[: count + 1]), *x.shape[count + 1 :])

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        back = make("nn.batch_to_space_nd", grad, block_shape=self.block_shape, crops=self.paddings)
        return (back,)


@operator("nn.batch_to_space_nd", inputs=("data",), pattern=Pattern.INJECTIVE, level=5)
class BatchToSpaceND(Operator):
    """Batches become positions within blocks: undoes `nn.space_to_batch_nd`.

    (N * b * b, H, W, C) becomes (N, H * b, W * b, C), of which `crops` are cut off before and after
    each axis of `block_shape`. TensorFlow: ``BatchToSpaceND``.
    """

    takes_small = True
    block_shape: tuple[int, ...] = (1, 1)
    crops: Pairs = ((0, 0), (0, 0))

    def __post_init__(self) -> None:
        put_ints(self, "block_shape")
        _put_pairs(self, "crops", self.block_shape)

    def infer(self, data: Type) -> Type:
        x = _expect_rank(self.name, data, self.block_shape)
        shape: list[Dim] = list(x.shape)
        batch, count = shape[0], math.prod(self.block_shape)
        if isinstance(batch, Any):
            shape[0] = Any() if count > 1 else batch
        elif batch % count:
            raise TypeInferenceError(
                f"{self.name}: a batch of {batch} does not divide into blocks of {count}"
            )
        else:
            shape[0] = batch // count
        for k, (b, pair) in enumerate(zip(self.block_shape, self.crops, strict=True), start=1):
            size = shape[k]
            if isinstance(size, Any):
                shape[k] = size if b == 1 and pair == (0, 0) else Any()
            elif size * b < sum(pair):
                raise TypeInferenceError(
                    f"{self.name}: crops {pair} cut off more than the {size * b} of axis {k}"
                )
            else:
                shape[k] = size * b - sum(pair)
        return TensorType(shape, x.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        batch = data.shape[0] // math.prod(self.block_shape)
        shape = [batch, *data.shape[1:]]
        for k, (b, pair) in enumerate(zip(self.block_shape, self.crops, strict=True), start=1):
            shape[k] = data.shape[k] * b - sum(pair)

        def element(*out: te.Expr) -> te.Expr:
            index = list(out)
            block: te.Expr = te.const(0)
            for k, (b, pair) in enumerate(zip(self.block_shape, self.crops, strict=True), start=1):
                position = out[k] + pair[0]
                block = block * b + position % b
                index[k] = position // b
            index[0] = block * batch + out[0]
            return data(*index)

        return te.compute(shape, element, "batch_to_space")

    def reference(self, data: Array) -> Array:
        count, blocks = len(self.block_shape), self.block_shape
        x = data.reshape(*blocks, data.shape[0] // math.prod(blocks), *data.shape[1:])
        order = [count]
        for k in range(count):
            order += [count + 1 + k, k]
        x = x.transpose(*order, *range(2 * count + 1, x.ndim))
        merged = [data.shape[k] * b for k, b in enumerate(blocks, 1)]
        x = x.reshape(x.shape[0], *merged, *data.shape[1 + count :])
        cut = [slice(c0, x.shape[k] - c1) for k, (c0, c1) in enumerate(self.crops, 1)]
        return x[(slice(None), *cut)]

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        back = make("nn.space_to_batch_nd", grad, block_shape=self.block_shape, paddings=self.crops)
        return (back,)
