"""`UseAttention`: the operators of attention as one."""

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import ClassVar, final

from relay.codes import from_bfloat16
from relay.ir.expr import Call, Constant, Expr, Function, Tuple
from relay.ir.module import IRModule
from relay.ir.types import TensorType
from relay.ir.visit import post_order
from relay.op.nn.attention import KEY_BLOCK, Attention
from relay.transform.base import FunctionPass, PassContext
from relay.transform.calls import (
    attribute,
    in_shape,
    is_call_of,
    make,
    tensor_type,
    uniform_value,
)
from relay.transform.fusion_groups import VIEWS
from relay.transform.simplify_rules import fill_value

#: Queries of a head from which on it pays to bring its keys in order.
_LEAST_QUERIES = 4
#: The part of a core's second-level cache that the scores of a few queries may take, and how many.
_CACHE_SHARE, _FEW_QUERIES = 0.5, 8
#: Operators between the first product and the softmax, at most.
_MOST_STEPS = 8


@dataclass(frozen=True)
class _Mask:
    """A tensor added to scores, or a condition; one that is `turned` holds where it is false."""

    value: Expr
    turned: bool = False


@dataclass(frozen=True)
class _Scores:
    """How scores come about: from `query` and `key`, which are the arguments of `product`.

    `masks` act in order on the scaled product, whose shape is `shape`; those of bool put `fill`.
    """

    product: Call
    shape: tuple[int, ...]
    scale: float = 1.0
    masks: tuple[_Mask, ...] = ()
    fill: float | None = None


@final
@dataclass(frozen=True)
class UseAttention(FunctionPass):
    """Compute ``softmax(mask(scale * Q @ K.T)) @ V`` as one operator, which stores no scores. ::

        %0 = nn.batch_matmul(%q, %k);  %1 = multiply(%0, 0.125f);  %2 = add(%1, %mask)
        nn.batch_matmul(nn.softmax(%2), %v, transpose_b=False)
        ->
        nn.contrib_attention(%q, %k, %v, (%mask,), scale=0.125f)

    Contract: two ``nn.batch_matmul`` of float32, or of a type in `narrow` with float32 results,
    with a softmax over the keys between them become ``nn.contrib_attention``, if nothing else uses
    what is between. Between the first product and the softmax there may be a multiplication or
    division by a constant, then masks: additions, and ``where`` with a constant to fill in; and
    reshapes that keep the last two dimensions. Conversions from and to the narrow type between the
    products are left out. Batches have one size. There are a few queries at least, and no more keys
    than the scores of a few queries leave room for in `cache_bytes`, a core's second-level cache.
    Results differ by rounding.
    """

    opt_level: ClassVar[int] = 3
    required: ClassVar[tuple[str, ...]] = ("InferType",)
    cache_bytes: int = 512 * 1024
    narrow: tuple[str, ...] = ()

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        order = post_order(func.body, enter_primitive=False)
        if not any(is_call_of(node, "nn.softmax", "nn.fast_softmax") for node in order):
            return func
        users = Counter(child for node in order for child in node.children())
        users[func.body] += 1
        done: dict[Expr, Expr] = {}
        for node in order:
            found = _match(node, users, ("float32", *self.narrow))
            if found is not None and self._is_suitable(found):
                assert isinstance(node, Call)
                done[node] = _attention(node, found, done)
                continue
            children = node.children()
            # What is in a primitive function is not walked over, so its children are not there.
            known = not children or children[-1] in done
            done[node] = node.rebuild([done[c] for c in children]) if known else node
        body = done[func.body]
        if body is func.body:
            return func
        result = func.rebuild((*func.params, body))
        assert isinstance(result, Function)
        return result

    def _is_suitable(self, scores: _Scores) -> bool:
        *_, queries, keys = scores.shape
        row = 2 * 4 * -(-keys // KEY_BLOCK) * KEY_BLOCK
        room = _CACHE_SHARE * self.cache_bytes
        return queries >= _LEAST_QUERIES and keys > 0 and row * _FEW_QUERIES <= room


def _match(expr: Expr, users: Counter[Expr], dtypes: tuple[str, ...]) -> _Scores | None:
    """The scores that `expr` weights values by; None where it does something else.

    `dtypes` are those that factors may have.
    """
    if not is_call_of(expr, "nn.batch_matmul") or attribute(expr, "transpose_a"):
        return None
    weights, value = expr.args[0], tensor_type(expr.args[1])
    dtype = value.dtype if value is not None else ""
    while users[weights] == 1 and (_is_view(weights) or _is_rounded(weights, dtype)):
        assert isinstance(weights, Call)
        weights = weights.args[0]
    found = tensor_type(expr)
    if not is_call_of(weights, "nn.softmax", "nn.fast_softmax") or users[weights] != 1:
        return None
    kind = tensor_type(weights)
    if kind is None or value is None or found is None or len(kind.shape) < 2:
        return None
    axis: int = attribute(weights, "axis")
    if axis not in (-1, len(kind.shape) - 1) or {kind.dtype, found.dtype} != {"float32"}:
        return None
    scores = _scores(weights.args[0], users, kind, _MOST_STEPS)
    batch = math.prod(kind.concrete_shape[:-2])
    if scores is None or 0 in (*kind.concrete_shape, *found.concrete_shape):
        return None
    factors = [tensor_type(factor) for factor in (*scores.product.args, expr.args[1])]
    if dtype not in dtypes:
        return None
    if any(f is None or f.dtype != dtype or f.shape[0] != batch for f in factors):
        return None
    return scores


def _is_rounded(expr: Expr, dtype: str) -> bool:
    """Whether `expr` is a conversion between float32 and `dtype`, that of the factors."""
    if not is_call_of(expr, "cast"):
        return False
    types = tensor_type(expr.args[0]), tensor_type(expr)
    return {t.dtype for t in types if t is not None} == {"float32", dtype}


def _is_view(view: Expr) -> bool:
    """Whether `view` is one that leaves the last two dimensions as they are."""
    if not is_call_of(view, *VIEWS):
        return False
    before, after = tensor_type(view.args[0]), tensor_type(view)
    if before is None or after is None or min(len(before.shape), len(after.shape)) < 2:
        return False
    return before.shape[-2:] == after.shape[-2:]


def _scores(expr: Expr, users: Counter[Expr], whole: TensorType, steps: int) -> _Scores | None:
    """How `expr` comes about, where it is scores; `whole` is the type of all scores."""
    if steps == 0 or users[expr] != 1 or not isinstance(expr, Call):
        return None
    kind = tensor_type(expr)
    if is_call_of(expr, "nn.batch_matmul"):
        if attribute(expr, "transpose_a") or kind is None or kind.dtype != "float32":
            return None
        return _Scores(expr, whole.concrete_shape)
    if is_call_of(expr, "cast"):
        found = _scores(expr.args[0], users, whole, steps - 1)
        factor = tensor_type(found.product.args[0]) if found is not None else None
        return found if factor is not None and _is_rounded(expr, factor.dtype) else None
    if _is_view(expr):
        return _scores(expr.args[0], users, whole, steps - 1)
    if is_call_of(expr, "multiply", "divide"):
        return _scaled(expr, users, whole, steps)
    if is_call_of(expr, "add"):
        for chain, mask in (expr.args, expr.args[::-1]):
            if chain.checked_type == kind and _fits(mask, kind, whole):
                found = _scores(chain, users, whole, steps - 1)
                if found is not None:
                    return replace(found, masks=(*found.masks, _Mask(mask)))
    if is_call_of(expr, "where"):
        return _filled(expr, users, whole, steps)
    return None


def _fits(mask: Expr, kind: TensorType | None, whole: TensorType) -> bool:
    """Whether a mask for scores of `kind` broadcasts to `whole` in the same way."""
    found = tensor_type(mask)
    if found is None or kind is None:
        return False
    return kind.shape == whole.shape or all(size == 1 for size in found.shape[:-2])


def _scaled(call: Call, users: Counter[Expr], whole: TensorType, steps: int) -> _Scores | None:
    """The product or quotient of scores and a number."""
    sides = (call.args, call.args[::-1]) if is_call_of(call, "multiply") else (call.args,)
    for chain, number in sides:
        factor = _number(number)
        if factor is None or chain.checked_type != call.checked_type:
            continue
        found = _scores(chain, users, whole, steps - 1)
        if found is None or found.masks or (is_call_of(call, "divide") and factor == 0):
            return None
        scale = factor if is_call_of(call, "multiply") else 1.0 / factor
        return replace(found, scale=found.scale * scale)
    return None


def _number(expr: Expr) -> float | None:
    """The value of a constant that has one value, also where that is a bfloat16."""
    if isinstance(expr, Constant) and expr.data.dtype == "bfloat16" and expr.data.numpy().size == 1:
        return float(from_bfloat16(expr.data.numpy()).item())
    return uniform_value(expr)


def _filled(call: Call, users: Counter[Expr], whole: TensorType, steps: int) -> _Scores | None:
    """Scores where a condition holds, or where it does not, and a constant elsewhere."""
    condition, *choices = call.args
    kind = tensor_type(call)
    for (chain, other), turned in ((choices, False), (choices[::-1], True)):
        whole_fill = fill_value(other)
        fill = _number(other if whole_fill is None else whole_fill)
        if fill is None or chain.checked_type != kind or not _fits(condition, kind, whole):
            continue
        found = _scores(chain, users, whole, steps - 1)
        if found is None or found.fill not in (None, fill):
            return None
        return replace(found, masks=(*found.masks, _Mask(condition, turned)), fill=fill)
    return None


def _attention(product: Call, scores: _Scores, done: dict[Expr, Expr]) -> Expr:
    """The attention whose last step is `product`; `done` says what expressions have become."""
    batch = scores.shape[:-2]

    def operand(call: Call, index: int, turned: bool) -> Expr:
        found = done[call.args[index]]
        if turned:
            found = make("transpose", found, axes=(0, 2, 1))
        kind = tensor_type(found)
        assert kind is not None, "matched shapes are static"
        return _reshaped(found, (*batch, *kind.concrete_shape[1:]))

    query = operand(scores.product, 0, turned=False)
    key = operand(scores.product, 1, turned=not attribute(scores.product, "transpose_b"))
    value = operand(product, 1, turned=attribute(product, "transpose_b"))
    masks = [
        make("logical_not", done[mask.value]) if mask.turned else done[mask.value]
        for mask in scores.masks
    ]
    fill = -math.inf if scores.fill is None else scores.fill
    kind = tensor_type(product)
    assert kind is not None, "matched shapes are static"
    given = tensor_type(product.args[1])
    out = "" if given is None or given.dtype == kind.dtype else kind.dtype
    declaration = Attention(scale=scores.scale, fill=fill, out_dtype=out)
    call = Call(declaration.op, [query, key, value, Tuple(masks)], declaration, span=product.span)
    return _reshaped(call, kind.concrete_shape)


def _reshaped(expr: Expr, shape: tuple[int, ...]) -> Expr:
    found = tensor_type(expr)
    same = found is not None and found.concrete_shape == shape
    return expr if same else in_shape(expr, shape)
