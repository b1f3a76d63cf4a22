"""`CombineParallelConv2D`, `..Dense`, `..BatchMatmul`: products of one tensor as one product."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from relay.ir.expr import Call, Expr, Function, Tuple, TupleGetItem
from relay.ir.layout import Layout
from relay.ir.module import IRModule
from relay.ir.op import Operator
from relay.ir.visit import post_order
from relay.op.nn.convolution import Conv2D
from relay.op.nn.dense import BatchMatmul, Dense
from relay.transform.base import FunctionPass, PassContext, Sequential
from relay.transform.calls import is_operator_call, make, tensor_type


class CombineParallel(FunctionPass):
    """Base of the passes that merge calls of one operator on the same data, with other weights.

    A derived class says in `key` which calls go together, and in `merge` what computes them all.
    Calls are merged when at least `min_num_branches` of them go together and lie equally deep in
    the program, so that none can depend on another. What is only sometimes computed, or bound by a
    let (branches, inner functions, values and bodies of lets), is left alone: run
    `ToGraphNormalForm` first.
    """

    min_num_branches: int
    #: The operator whose calls are merged.
    operator: ClassVar[type[Operator]]

    opt_level = 4
    required = ("InferType",)

    def key(self, call: Call) -> Hashable | None:
        """What calls that go together have in common; None for a call that stays alone."""
        raise TypeError(f"the pass {self.info.name} does not define `key`")

    def merge(self, calls: Sequence[Call]) -> Sequence[Expr]:
        """One expression for each of `calls`, which have the same data."""
        raise TypeError(f"the pass {self.info.name} does not define `merge`")

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        order = post_order(func, enter_primitive=False)
        depth = _depths(order)
        group_of = self._groups(func, depth)
        if not group_of:
            return func
        done: dict[Expr, Expr] = {}
        # Depth is a topological order that merging calls of one depth keeps.
        for node in sorted(order, key=depth.__getitem__):
            if node in done:
                continue
            if node not in group_of:
                known = all(child in done for child in node.children())
                done[node] = node.rebuild([done[c] for c in node.children()]) if known else node
                continue
            members = group_of[node]
            calls = [m.rebuild([done[a] for a in m.args]) for m in members]
            merged = self.merge([c for c in calls if isinstance(c, Call)])
            done.update(zip(members, merged, strict=True))
        result = done[func]
        assert isinstance(result, Function)
        return result

    def _groups(self, func: Function, depth: Mapping[Expr, int]) -> dict[Expr, list[Call]]:
        """The calls that are to be merged, by each of them."""
        groups: dict[Hashable, list[Call]] = {}
        for node in _always_computed(func):
            if is_operator_call(node) and isinstance(node.attrs, self.operator):
                key = self.key(node)
                if key is not None:
                    groups.setdefault((node.args[0], depth[node], key), []).append(node)
        enough = [g for g in groups.values() if len(g) >= max(2, self.min_num_branches)]
        return {call: group for group in enough for call in group}


def _depths(order: Sequence[Expr]) -> dict[Expr, int]:
    """The longest path from each node down to a leaf."""
    depth: dict[Expr, int] = {}
    for node in order:
        depth[node] = 1 + max((depth[c] for c in node.children() if c in depth), default=0)
    return depth


def _always_computed(func: Function) -> list[Expr]:
    """What every run of `func` computes from its parameters alone, in order of evaluation."""
    seen: set[Expr] = set()
    order: list[Expr] = []
    stack: list[tuple[Expr, bool]] = [(func.body, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            if isinstance(node, Call | Tuple | TupleGetItem):
                stack.extend((c, False) for c in reversed(node.children()))
    return order


def _slices(value: Expr, sizes: Sequence[int], axis: int) -> list[Expr]:
    """The parts of `value` of `sizes` along `axis`."""
    parts: list[Expr] = []
    begin = 0
    for size in sizes:
        end = begin + size
        parts.append(
            make("strided_slice", value, begin=(begin,), end=(end,), strides=(1,), axes=(axis,))
        )
        begin = end
    return parts


def _size(expr: Expr, axis: int) -> int:
    found = tensor_type(expr)
    assert found is not None, "only calls of static shape are merged"
    return found.concrete_shape[axis]


@dataclass(frozen=True)
class CombineParallelConv2D(CombineParallel):
    """Compute convolutions of the same data as one, with the weights joined. ::

    (nn.conv2d(%x, %a), nn.conv2d(%x, %b))
    ->
    %0 = nn.conv2d(%x, concatenate((%a, %b)));
    (strided_slice(%0, begin=[0], end=[A], axes=[1]), strided_slice(%0, begin=[A], ..))
    """

    min_num_branches: int = 3

    operator = Conv2D

    def key(self, call: Call) -> Hashable | None:
        attrs = call.attrs
        weight = tensor_type(call.args[1])
        if not isinstance(attrs, Conv2D) or attrs.groups != 1 or weight is None:
            return None
        kernel, out = Layout(attrs.kernel_layout), Layout(attrs.out_layout or attrs.data_layout)
        if kernel.factors("O") or out.factors("C"):
            return None
        shape = list(weight.concrete_shape)
        del shape[kernel.position("O")]
        return replace(attrs, channels=None), tuple(shape), weight.dtype

    def merge(self, calls: Sequence[Call]) -> Sequence[Expr]:
        first, attrs = calls[0], calls[0].attrs
        assert isinstance(attrs, Conv2D)
        kernel, out = Layout(attrs.kernel_layout), Layout(attrs.out_layout or attrs.data_layout)
        axis = kernel.position("O")
        sizes = [_size(call.args[1], axis) for call in calls]
        weight = make("concatenate", Tuple([call.args[1] for call in calls]), axis=axis)
        wide = replace(attrs, channels=sum(sizes))
        value = Call(first.op, (first.args[0], weight), wide, (), first.span)
        return _slices(value, sizes, out.position("C"))


@dataclass(frozen=True)
class CombineParallelDense(CombineParallel):
    """Compute dense products of the same data as one product.

    With `to_batch` weights of equal shape become a batch, for data of rank 2; otherwise weights of
    any number of units are joined. ::

        (nn.dense(%x, %a), nn.dense(%x, %b))
        ->  to_batch=True
        %0 = nn.batch_matmul(expand_dims(%x, axis=0), stack((%a, %b)));
        (squeeze(strided_slice(%0, begin=[0], end=[1], axes=[0]), axis=[0]), ..)
        ->  to_batch=False
        %0 = nn.dense(%x, concatenate((%a, %b)));
        (strided_slice(%0, begin=[0], end=[A], axes=[1]), strided_slice(%0, begin=[A], ..))
    """

    min_num_branches: int = 3
    to_batch: bool = True

    operator = Dense

    def key(self, call: Call) -> Hashable | None:
        attrs, data = call.attrs, tensor_type(call.args[0])
        weight = tensor_type(call.args[1])
        if not isinstance(attrs, Dense) or data is None or weight is None:
            return None
        if self.to_batch:
            return (attrs.out_dtype, weight) if len(data.shape) == 2 else None
        return attrs.out_dtype, weight.dtype

    def merge(self, calls: Sequence[Call]) -> Sequence[Expr]:
        first, attrs = calls[0], calls[0].attrs
        data = first.args[0]
        assert isinstance(attrs, Dense)
        weights = Tuple([call.args[1] for call in calls])
        if self.to_batch:
            left = make("expand_dims", data, axis=0)
            right = make("stack", weights, axis=0)
            value = make("nn.batch_matmul", left, right, out_dtype=attrs.out_dtype)
            parts = _slices(value, [1] * len(calls), 0)
            return [make("squeeze", part, axis=(0,)) for part in parts]
        sizes = [_size(call.args[1], 0) for call in calls]
        weight = make("concatenate", weights, axis=0)
        value = make("nn.dense", data, weight, units=sum(sizes), out_dtype=attrs.out_dtype)
        found = tensor_type(value)
        assert found is not None, "data and weights are of static shape"
        return _slices(value, sizes, len(found.shape) - 1)


@dataclass(frozen=True)
class CombineParallelBatchMatmul(CombineParallel):
    """Compute batches of products of the same left factor as one, with the right factors joined. ::

    (nn.batch_matmul(%x, %a), nn.batch_matmul(%x, %b))
    ->
    %0 = nn.batch_matmul(%x, concatenate((%a, %b), axis=1));
    (strided_slice(%0, begin=[0], end=[A], axes=[2]), strided_slice(%0, begin=[A], ..))
    """

    min_num_branches: int = 3

    operator = BatchMatmul

    def key(self, call: Call) -> Hashable | None:
        attrs, right = call.attrs, tensor_type(call.args[1])
        if not isinstance(attrs, BatchMatmul) or right is None:
            return None
        batch, reduced = right.shape[0], right.shape[2 if attrs.transpose_b else 1]
        return attrs, batch, reduced, right.dtype

    def merge(self, calls: Sequence[Call]) -> Sequence[Expr]:
        first, attrs = calls[0], calls[0].attrs
        assert isinstance(attrs, BatchMatmul)
        axis = 1 if attrs.transpose_b else 2
        sizes = [_size(call.args[1], axis) for call in calls]
        right = make("concatenate", Tuple([call.args[1] for call in calls]), axis=axis)
        value = Call(first.op, (first.args[0], right), attrs, (), first.span)
        return _slices(value, sizes, 2)


def BatchingOps() -> Sequential:  # noqa: N802 - a pass to its users, as in Relay
    """Merge parallel convolutions, dense products and batches of products."""
    passes = (CombineParallelConv2D(), CombineParallelDense(), CombineParallelBatchMatmul())
    return Sequential(passes, name="BatchingOps")
