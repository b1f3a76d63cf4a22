"""Scaled dot-product attention as one operator."""

import math
from typing import ClassVar

import numpy as np

from relay import dtypes, te
from relay.ir.op import Array, Operator, Pattern, as_array, operator
from relay.ir.types import TensorType, TupleType, Type
from relay.op.nn.common import dims_agree, known
from relay.op.shapes import (
    expect_kind,
    expect_same_dtype,
    reference_dtype,
    show,
    te_broadcast_read,
    unify_dim,
)
from relay.support.errors import TypeInferenceError

#: Keys that lie side by side: as many elements of 4 bytes as a cache line of 64 has.
KEY_BLOCK = 16


@operator(
    "nn.contrib_attention",
    inputs=("query", "key", "value", "masks"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=10,
)
class Attention(Operator):
    """``softmax(masked(scale * query @ key.T)) @ value``, the softmax along the keys.

    `query` is (..., m, d), `key` (..., n, d), `value` (..., n, e) and the result (..., m, e); all
    have one float data type, and equal sizes in front. `masks` is a tuple of tensors that broadcast
    to the scores (..., m, n); they act in order. One of ``bool`` puts `fill` where it is false,
    one of the data type of the query, or of ``float32``, is added. Narrow types are computed in
    ``float32``; ``exp`` of scores is rounded to ``bfloat16`` where the values are that. The result
    is `out_dtype`, or of the type of the query where that is empty.

    Source: A. Vaswani et al., Attention Is All You Need (2017). It is not one of Relay's operators;
    `relay.transform.UseAttention` puts it in the place of the operators that say the same.
    """

    missing: ClassVar[dict[str, str]] = {
        "gradient": "programs are differentiated before they are optimised"
    }
    scale: float = 1.0
    fill: float = -math.inf
    out_dtype: str = ""

    def infer(self, query: Type, key: Type, value: Type, masks: Type) -> Type:
        q, k, v = (
            expect_kind(self.name, name, given, "float")
            for name, given in (("query", query), ("key", key), ("value", value))
        )
        expect_same_dtype(self.name, q, k)
        expect_same_dtype(self.name, q, v)
        if len(q.shape) < 2 or not len(q.shape) == len(k.shape) == len(v.shape):
            raise TypeInferenceError(
                f"{self.name}: expected tensors of one rank, at least 2, found the shapes "
                f"{show(q.shape)}, {show(k.shape)} and {show(v.shape)}"
            )
        batch = [
            unify_dim(self.name, unify_dim(self.name, a, b, what), c, what)
            for index, (a, b, c) in enumerate(
                zip(q.shape[:-2], k.shape[:-2], v.shape[:-2], strict=True)
            )
            for what in (f"the sizes of dimension {index}",)
        ]
        keys = unify_dim(self.name, k.shape[-2], v.shape[-2], "the numbers of keys and values")
        unify_dim(self.name, q.shape[-1], k.shape[-1], "the sizes of a query and a key")
        if keys == 0:
            raise TypeInferenceError(f"{self.name}: there is no key to attend to in {k}")
        self._check_masks(masks, TensorType((*batch, q.shape[-2], keys), q.dtype))
        return TensorType((*batch, q.shape[-2], v.shape[-1]), self.out_dtype or q.dtype)

    def _check_masks(self, masks: Type, scores: TensorType) -> None:
        if not isinstance(masks, TupleType):
            raise TypeInferenceError(f"{self.name}: expected a tuple of masks, found {masks}")
        for mask in masks.fields:
            allowed = dict.fromkeys(("bool", "float32", scores.dtype))
            if not isinstance(mask, TensorType) or mask.dtype not in allowed:
                raise TypeInferenceError(
                    f"{self.name}: expected masks of {' or '.join(allowed)}, found {mask}"
                )
            pairs = list(zip(mask.shape[::-1], scores.shape[::-1], strict=False))
            fits = all(a == 1 or dims_agree(a, b) for a, b in pairs)
            if len(mask.shape) > len(scores.shape) or not fits:
                raise TypeInferenceError(
                    f"{self.name}: expected masks that broadcast to {show(scores.shape)}, the "
                    f"shape of the scores, found {show(mask.shape)}"
                )

    def compute(
        self,
        query: te.Tensor,
        key: te.Tensor,
        value: te.Tensor,
        masks: tuple[te.Tensor, ...],
    ) -> te.Tensor:
        return _Stages(self, query, key, value, masks).result()

    def reference(self, query: Array, key: Array, value: Array, masks: tuple[Array, ...]) -> Array:
        dtype = reference_dtype("float32" if query.dtype.itemsize < 4 else str(query.dtype))
        q, k, v = (x.astype(dtype) for x in (query, key, value))
        scores = np.matmul(q, np.swapaxes(k, -1, -2)) * dtype.type(self.scale)
        with np.errstate(invalid="ignore", over="ignore"):
            for mask in masks:
                if mask.dtype == np.bool_:
                    scores = np.where(mask, scores, dtype.type(self.fill))
                else:
                    scores = scores + mask.astype(dtype)
            powers = np.exp(scores - scores.max(axis=-1, keepdims=True, initial=-np.inf))
        weights = powers / powers.sum(axis=-1, keepdims=True)
        out = reference_dtype(self.out_dtype) if self.out_dtype else query.dtype
        return as_array(np.matmul(weights, v).astype(out))


class _Stages:
    """The stages of attention, in the order in which a block of queries goes through them.

    ``query, keys -> scores -> masked -> top -> powers -> total``; ``powers, values -> mixed``.
    Keys lie in blocks of `KEY_BLOCK` side by side. What fills the last block gets a weight of zero.
    """

    def __init__(
        self,
        declaration: Attention,
        query: te.Tensor,
        key: te.Tensor,
        value: te.Tensor,
        masks: tuple[te.Tensor, ...],
    ) -> None:
        self.declaration, self.masks = declaration, masks
        self.query, self.key, self.value = query, key, value
        self.dtype = "float32" if dtypes.bits(query.dtype) < 32 else query.dtype
        # Products of bfloat16 may go in pairs; those of float16 are best converted once.
        self.factor = query.dtype if query.dtype == "bfloat16" else self.dtype
        self.rows = query.shape[:-1]
        self.batch = query.shape[:-2]
        self.count = known(declaration.name, "the number of keys", key.shape[-2])
        self.blocks = -(-self.count // KEY_BLOCK)

    @property
    def _padded(self) -> bool:
        return self.count != self.blocks * KEY_BLOCK

    def _keys(self) -> te.Tensor:
        def element(*at: te.Var) -> te.Expr:
            *batch, block, feature, lane = at
            index = block * KEY_BLOCK + lane
            found = te.cast(self.key(*batch, index, feature), self.factor)
            filling = te.const(0, self.factor)
            return te.select(index < self.count, found, filling) if self._padded else found

        shape = (*self.batch, self.blocks, self.key.shape[-1], KEY_BLOCK)
        return te.compute(shape, element, "keys", stage=True)

    def _scores(self) -> te.Tensor:
        """The scores, masked; -inf for keys that only fill a block."""
        scale, query, keys = self.declaration.scale, self.query, self._keys()
        narrow = self.factor != self.dtype

        def scaled(*at: te.Var) -> te.Expr:
            """Where it is rounded, a query is left as it is, and the scores are scaled."""
            return query(*at) if narrow else te.cast(query(*at), self.dtype) * scale

        rows = te.compute(query.shape, scaled, "query", stage=True)
        feature = te.reduce_axis(query.shape[-1], "feature")

        def product(*at: te.Var) -> te.Expr:
            *batch, row, key = at
            block, lane = key // KEY_BLOCK, key % KEY_BLOCK
            factors = rows(*batch, row, feature.var), keys(*batch, block, feature.var, lane)
            return self._sum_of_products(factors, feature)

        shape = (*self.rows, self.blocks * KEY_BLOCK)
        scores = te.compute(shape, product, "scores")

        def masked(*at: te.Var) -> te.Expr:
            score = scores(*at) * scale if narrow else scores(*at)
            for mask in self.masks:
                here = te_broadcast_read(mask, at, (*self.rows, self.count))
                if mask.dtype == "bool":
                    score = te.select(here, score, te.const(self.declaration.fill, self.dtype))
                else:
                    score = score + te.cast(here, self.dtype)
            if self._padded:
                return te.select(at[-1] < self.count, score, te.const(-math.inf, self.dtype))
            return score

        return te.compute(shape, masked, "masked", stage=True)

    def _sum_of_products(self, factors: tuple[te.Expr, te.Expr], axis: te.Axis) -> te.Expr:
        a, b = (te.cast(factor, self.dtype) for factor in factors)
        return te.reduce_sum(a * b, axis)

    def result(self) -> te.Tensor:
        """The last stage: a sum of values, weighted and normalised."""
        masked = self._scores()
        over = te.reduce_axis(masked.shape[-1], "over")
        top = te.compute(self.rows, lambda *row: te.reduce_max(masked(*row, over.var), over), "top")
        powers = te.compute(
            masked.shape,
            lambda *at: te.cast(te.unary("exp", masked(*at) - top(*at[:-1])), self.factor),
            "powers",
            stage=True,
        )
        total = te.compute(
            self.rows,
            lambda *row: te.reduce_sum(te.cast(powers(*row, over.var), self.dtype), over),
            "total",
        )
        one = te.const(1, self.dtype)
        inverse = te.compute(self.rows, lambda *row: one / total(*row), "inverse", stage=True)
        values = te.compute(
            self.value.shape,
            lambda *at: te.cast(self.value(*at), self.factor),
            "values",
            stage=True,
        )
        key = te.reduce_axis(self.count, "key")

        def product(*at: te.Var) -> te.Expr:
            *batch, row, feature = at
            factors = powers(*batch, row, key.var), values(*batch, key.var, feature)
            return self._sum_of_products(factors, key)

        mixed = te.compute((*self.rows, self.value.shape[-1]), product, "mixed")

        def normal(*at: te.Var) -> te.Expr:
            dtype = self.declaration.out_dtype or self.query.dtype
            return te.cast(mixed(*at) * inverse(*at[:-1]), dtype)

        return te.compute(mixed.shape, normal, "attention", stage=True)
