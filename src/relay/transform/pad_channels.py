"""`PadChannels`: convolutions whose output channels fill vectors.

Padded channels cost nothing until they have to be cut off again, which is a pass over memory. So
the pass plans first: convolutions are padded for trial, the padding is carried as far as it goes
(`relay.transform.channel_padding`), and tensors that have to be padded together make a region. A
region stays padded if that saves arithmetic and nothing large leaves it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np

from relay.codes import to_bfloat16
from relay.ir.expr import Call, Constant, Expr, Function
from relay.ir.module import IRModule
from relay.ir.op import Array
from relay.ir.visit import post_order, used_children
from relay.op.deferred import LARGE
from relay.op.tensor.slicing import StridedSlice
from relay.runtime.ndarray import NDArray
from relay.support.errors import InternalError
from relay.transform.alter_op_layout import channel_block
from relay.transform.base import FunctionPass, PassContext
from relay.transform.calls import is_operator_call, tensor_type
from relay.transform.channel_padding import (
    ZERO,
    Convolution,
    Growth,
    Padding,
    Plan,
    carry,
    plain_convolution,
)

_SMALL: Final = 1 / 16
"""How large a tensor that is cut may be, measured by the largest result of its region's
convolutions. Tensors of one pixel are always small enough."""


@final
@dataclass(frozen=True)
class PadChannels(FunctionPass):
    """Pad output channels of convolutions with zeros up to a multiple of `vector_lanes`. ::

        nn.conv2d(nn.relu(nn.conv2d(%x, w1: (24, 64, 1, 1))), w2: (64, 24, 1, 1))
        ->  nn.conv2d(nn.relu(nn.conv2d(%x, w1: (32, 64, 1, 1))), w2: (64, 32, 1, 1))

    Contract: an ``nn.conv2d`` in NCHW of one group, of float32 or float16, of static shape and with
    a constant weight may get more output channels than it has, at least one vector of them. They
    are carried through operators that keep them finite, and end at convolutions of one group, whose
    weights get as many input channels of zeros. Elsewhere they are cut off; where that is more than
    a small part of the region's tensors, or where no arithmetic is saved, nothing is padded.
    Weights and other constants are padded here, not at run time. The type stays, and the meaning
    up to the order of summation as long as all values are finite.
    """

    opt_level: ClassVar[int] = 3
    vector_lanes: int = 16

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        order = post_order(func, enter_primitive=False)
        planned = _Planner(self.vector_lanes).plan(order)
        if not planned.padded:
            return func
        result = _Rewriter(planned).run(order)
        if not isinstance(result, Function) or result.checked_type != func.checked_type:
            raise InternalError(
                f"padding channels changed the type of a function from {func.checked_type} "
                f"to {result.checked_type}"
            )
        return result


@dataclass(frozen=True)
class _Planned:
    """What is padded, by which plans, and all convolutions that can read or make it."""

    padded: dict[Expr, Padding]
    plans: dict[Expr, Plan]
    convolutions: dict[Expr, Convolution]


class _Planner:
    """Finds the regions, and which of them are worth it."""

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._planned = _Planned({}, {}, {})
        self._leader: dict[Expr, Expr] = {}
        self._savings: list[tuple[Expr, float]] = []
        self._sizes: list[tuple[Expr, int]] = []
        self._cut: dict[Expr, None] = {}

    def plan(self, order: Sequence[Expr]) -> _Planned:
        """The plan for a function, whose nodes are `order`, children first."""
        padded = self._planned.padded
        for node in order:
            if is_operator_call(node) and self._visit(node):
                continue
            for child in used_children(node):
                if child in padded:
                    self._cut[child] = None
        kept = self._regions_kept()
        for node in [n for n in padded if self._region(n) not in kept]:
            del padded[node]
            self._planned.plans.pop(node, None)
        return self._planned

    def _visit(self, call: Call) -> bool:
        """Whether `call` reads its arguments padded, where they are."""
        padded = self._planned.padded
        convolution = plain_convolution(call)
        if convolution is not None and not convolution.depthwise:
            self._visit_convolution(call, convolution)
            return True
        plan = carry(call, padded)
        if plan is None:
            return False
        sources = [a for a in call.args if a in padded]
        first = padded[sources[0]]
        self._leader[call] = call
        padded[call] = Padding(first.channels, first.padded, plan.filling)
        self._planned.plans[call] = plan
        for source in sources:
            self._leader[self._region(source)] = self._region(call)
        if convolution is not None:
            self._save(call, self._work(convolution, 1, first.channels))
            self._save(call, -self._work(convolution, 1, first.padded))
        return True

    def _visit_convolution(self, call: Call, convolution: Convolution) -> None:
        data, padded = call.args[0], self._planned.padded
        self._planned.convolutions[call] = convolution
        inputs, outputs = convolution.inputs, convolution.outputs
        wide = -(-outputs // self._lanes) * self._lanes
        before = self._work(convolution, inputs, outputs)
        after = self._work(convolution, inputs, wide)
        pays = outputs >= self._lanes and after < before
        if data in padded:
            more = padded[data].padded - inputs
            self._save(data, -self._work(convolution, more, wide if pays else outputs))
        if pays:
            self._leader[call] = call
            padded[call] = Padding(outputs, wide, ZERO)
            self._save(call, before - after)
            self._sizes.append((call, outputs * convolution.positions))

    def _work(self, convolution: Convolution, inputs: int, outputs: int) -> float:
        """Vector multiplications from `inputs` to `outputs` channels."""
        blocks = outputs // channel_block(outputs, self._lanes)
        return float(convolution.positions * convolution.taps * inputs * blocks)

    def _save(self, node: Expr, work: float) -> None:
        self._savings.append((node, work))

    def _region(self, node: Expr) -> Expr:
        """The tensor that stands for the region of `node`."""
        leader = self._leader
        while leader[node] is not node:
            leader[node] = leader[leader[node]]
            node = leader[node]
        return node

    def _regions_kept(self) -> set[Expr]:
        """The regions that save work and of which little is cut."""
        saved: dict[Expr, float] = {}
        largest: dict[Expr, int] = {}
        for node, work in self._savings:
            region = self._region(node)
            saved[region] = saved.get(region, 0.0) + work
        for node, size in self._sizes:
            region = self._region(node)
            largest[region] = max(largest.get(region, 0), size)
        kept = {region for region, work in saved.items() if work > 0}
        for node in self._cut:
            type_, region = tensor_type(node), self._region(node)
            assert type_ is not None, "only tensors of static shape are padded"
            shape = type_.concrete_shape
            if math.prod(shape[2:]) > 1 and math.prod(shape) > _SMALL * largest[region]:
                kept.discard(region)
        return kept


class _Rewriter:
    """One walk, children first.

    A node's value is in `_wide` where it is padded, and then in `_plain` too once it has been cut.
    """

    def __init__(self, planned: _Planned) -> None:
        self._planned = planned
        self._plain: dict[Expr, Expr] = {}
        self._wide: dict[Expr, Expr] = {}
        self._grown: dict[tuple[Expr, Growth], Constant] = {}

    def run(self, order: Sequence[Expr]) -> Expr:
        """The last of `order`, rewritten."""
        for node in order:
            self._visit(node)
        return self._plain[order[-1]]

    def _visit(self, node: Expr) -> None:
        padding = self._planned.padded.get(node)
        if isinstance(node, Call):
            plan = self._planned.plans.get(node) or self._convolution_plan(node, padding)
            if plan is not None:
                target = self._plain if padding is None else self._wide
                target[node] = self._call(node, plan)
                return
        children = node.children()
        entered = not children or children[-1] in self._plain or children[-1] in self._wide
        rebuilt = node.rebuild([self._program(c) for c in children]) if entered else node
        self._plain[node] = rebuilt

    def _convolution_plan(self, call: Call, padding: Padding | None) -> Plan | None:
        """The plan for a convolution that reads or makes a padded tensor; None for others."""
        convolution = self._planned.convolutions.get(call)
        if convolution is None:
            return None
        source = self._planned.padded.get(call.args[0])
        if source is None and padding is None:
            return None
        inputs = convolution.inputs if source is None else source.padded
        outputs = convolution.outputs if padding is None else padding.padded
        moved, growth = convolution.grown(inputs, outputs)
        return Plan(moved, (None, growth), ZERO)

    def _call(self, node: Call, plan: Plan) -> Call:
        pairs = zip(node.args, plan.growths, strict=True)
        arguments = [self._argument(a, growth) for a, growth in pairs]
        return Call(node.op, arguments, plan.declaration, node.type_args, node.span)

    def _argument(self, node: Expr, growth: Growth | None) -> Expr:
        if growth is None:
            return self._wide[node] if node in self._wide else self._program(node)
        key = (node, growth)
        if key not in self._grown:
            assert isinstance(node, Constant), "only constants grow"
            self._grown[key] = _grown(node, growth)
        return self._grown[key]

    def _program(self, node: Expr) -> Expr:
        """The value of `node` with the channels of the program."""
        if node not in self._plain:
            channels = self._planned.padded[node].channels
            cut = StridedSlice(begin=(0,), end=(channels,), strides=(1,), axes=(1,))
            self._plain[node] = Call(cut.op, (self._wide[node],), cut, span=node.span)
        return self._plain[node]


def _grown(node: Constant, growth: Growth) -> Constant:
    data = node.data
    fill = to_bfloat16(growth.fill) if data.dtype == "bfloat16" else growth.fill

    def make() -> Array:
        values = data.numpy()
        result = np.full(growth.shape, fill, values.dtype)
        result[tuple(slice(size) for size in values.shape)] = values
        return result

    if data.nbytes < LARGE:
        return Constant(NDArray(make(), data.dtype), node.span)
    return Constant(NDArray.deferred(growth.shape, data.dtype, make), node.span)
