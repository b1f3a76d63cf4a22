"""Loops as local functions that call themselves last, which the virtual machine runs in place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from onnx import ValueInfoProto

from relay.frontend.onnx.captures import Captured
from relay.frontend.onnx.containers import coerced, cons, joined, nil
from relay.frontend.onnx.division import Divided
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.types import dimensions
from relay.ir.expr import Call, Expr, Function, If, Let, Tuple, TupleGetItem, Var
from relay.ir.types import FuncType, TensorType, TupleType, Type, scalar_type
from relay.op.lists import list_of
from relay.support.errors import UnsupportedError

#: A loop is written out where its iterations have together so many nodes at most.
_UNROLLED: Final = 64
_INDEX: Final = "int64"


@dataclass(frozen=True)
class Step:
    """What one iteration gives: the values for the next one, and what it leaves behind.

    `condition` says whether there is a next one; None where that is not asked.
    """

    carried: Sequence[Expr]
    outputs: Sequence[Expr] = ()
    condition: Expr | None = None


class Body(Protocol):
    """The body of a loop; it may be converted several times, for other types each time."""

    def __call__(
        self, index: Expr, condition: Expr, carried: Sequence[Expr], captured: Captured | None, /
    ) -> Step:
        """The iteration `index`, from 0. Values around are used by way of `captured`."""


@dataclass(frozen=True)
class Loop:
    """A loop: at most `trip` times, as long as `condition` holds; None does not bound it.

    `carried` are the values before the first iteration, `names` what to call them and then the
    outputs. `size` is the number of nodes of the body, where it may be written out.
    """

    node: Node
    body: Body
    carried: Sequence[Expr]
    names: Sequence[str]
    trip: Expr | None
    condition: Expr | None = None
    outer: Captured | None = None
    size: int | None = None

    def results(self) -> tuple[list[Expr], list[list[Expr] | Expr]]:
        """The values after the last iteration, and each output of all iterations.

        The latter is a list of the program with the last one first, or where it is known while
        importing what the iterations are, a sequence of expressions in order.
        """
        if self.trip is None and self.condition is None:
            self.node.fail("it has neither a number of iterations nor a condition: it never ends")
        try:
            return self._written_out() or self._recursive()
        except Divided as division:  # its branches would have to be those of the next iteration
            raise UnsupportedError(division.message, division.span) from None

    # ------------------------------------------------------------------ without a loop

    def _written_out(self) -> tuple[list[Expr], list[list[Expr] | Expr]] | None:
        trip = self.node.known(self.trip)
        if trip is None or self.size is None or not self._starts():
            return None
        count = max(0, int(trip))
        if not 0 < count * self.size <= _UNROLLED:
            return None
        true = self.node.constant(True, "bool")
        carried = list(self.carried)
        gathered: list[list[Expr]] = []
        for index in range(count):
            step = self.body(self.node.constant(index, _INDEX), true, carried, None)
            carried = list(step.carried)
            gathered.append(list(step.outputs))
            if self.condition is not None and step.condition is not None:
                goes_on = self.node.known(step.condition)
                if goes_on is None:
                    return None
                if not goes_on:
                    break
        return carried, [list(outputs) for outputs in zip(*gathered, strict=True)]

    def _starts(self) -> bool:
        """Whether there is no condition, or it is known to hold at first."""
        return self.condition is None or bool(self.node.known(self.condition))

    # ------------------------------------------------------------------ by a function

    def _recursive(self) -> tuple[list[Expr], list[list[Expr] | Expr]]:
        captured = Captured(self.outer)
        index = Var("i", scalar_type(_INDEX))
        true = self.node.constant(True, "bool")  # or the body would not be run
        types = [c.checked_type for c in self.carried]
        while True:
            variables = [Var(n, t) for n, t in zip(self.names, types, strict=False)]
            step = self.body(index, true, variables, captured)
            found = self._joined(types, step.carried)
            if found == types:
                break
            types = found
        value = self._applied(index, variables, step, captured)
        fields = [
            TupleGetItem(value, k, self.node.span) for k in range(len(types) + len(step.outputs))
        ]
        return [*fields[: len(types)]], [*fields[len(types) :]]

    def _joined(self, types: Sequence[Type], carried: Sequence[Expr]) -> list[Type]:
        found: list[Type] = []
        for name, before, value in zip(self.names, types, carried, strict=False):
            both = joined(before, value.checked_type)
            if both is None:
                self.node.unsupported(
                    f"its value {name!r} is {before} before an iteration and "
                    f"{value.checked_type} after it; only sizes may change"
                )
            found.append(both)
        return found

    def _applied(
        self, index: Var, variables: Sequence[Var], step: Step, captured: Captured
    ) -> Expr:
        """The call of the loop's function, with what it captures bound around it."""
        node, span = self.node, self.node.span
        elements = [o.checked_type for o in step.outputs]
        names = self.names[len(variables) :]
        lists = [Var(n, list_of(t)) for n, t in zip(names, elements, strict=True)]
        done = Tuple([*variables, *lists], span)
        result = TupleType([v.checked_type for v in done.fields])
        goes_on = Var("goes_on", scalar_type("bool"))
        params = [index, goes_on, *variables, *lists]
        loop = Var("loop", FuncType([p.checked_type for p in params], result))
        trip = None if self.trip is None else captured.variable("trip", self.trip)
        following = node.call("add", index, node.constant(1, _INDEX))
        # Whether there is a next iteration belongs to what an iteration computes: one graph.
        again = Call(
            loop,
            [
                following,
                self._continues(following, trip, step.condition),
                *self._coerced(step.carried, variables),
                *(
                    cons(o, rest, t, span)
                    for o, rest, t in zip(step.outputs, lists, elements, strict=True)
                ),
            ],
            span=span,
        )
        function = Function(params, If(goes_on, again, done, span), result, span=span)
        zero = node.constant(0, _INDEX)
        first = Call(
            loop,
            [
                zero,
                self._continues(zero, self.trip, self.condition),
                *self._coerced(self.carried, variables),
                *(nil(t, span) for t in elements),
            ],
            span=span,
        )
        return captured.bound(Let(loop, function, first, span))

    def _continues(self, index: Expr, trip: Expr | None, condition: Expr | None) -> Expr:
        """Whether there is an iteration `index`, if `condition` is that before it."""
        node = self.node
        below = None if trip is None else node.call("less", index, trip)
        if self.condition is None or condition is None or node.known(condition) is not None:
            known = self.condition is None or condition is None or bool(node.known(condition))
            if not known:
                return node.constant(False, "bool")
            return node.constant(True, "bool") if below is None else below
        return condition if below is None else node.call("logical_and", below, condition)

    def _coerced(self, values: Sequence[Expr], variables: Sequence[Var]) -> list[Expr]:
        found: list[Expr] = []
        for value, variable in zip(values, variables, strict=True):
            made = coerced(value, variable.checked_type)
            if made is None:
                self.node.unsupported(
                    f"its value {variable.name_hint!r} of type {value.checked_type} cannot become "
                    f"a {variable.checked_type}"
                )
            found.append(made)
        return found


def stacked(
    node: Node,
    gathered: list[Expr] | Expr,
    output: ValueInfoProto,
    trip: Expr | None,
    axis: int = 0,
    reverse: bool = False,
) -> Expr:
    """What a loop gathered of one output, along a new `axis`; with `reverse` from the last on.

    `trip` is how many there are, if that is no matter of conditions. Where there are none, open
    sizes are what the graph declares of its `output`, or 0.
    """
    if isinstance(gathered, list):
        values = gathered[::-1] if reverse else gathered
        return node.call("stack", node.tuple_of(values), axis=axis)
    list_type = gathered.checked_type
    element = list_type.children()[1]
    if not isinstance(element, TensorType):
        node.unsupported(f"it gathers values of type {element}, which are no tensors")
    count = node.known(trip)
    declared = dimensions(output.type)
    if len(declared) != len(element.shape):
        declared = [0] * len(element.shape)
    sizes = [
        d if isinstance(d, int) else other if isinstance(other, int) else 0
        for d, other in zip(element.shape, declared, strict=True)
    ]
    return node.call(
        "list.stack",
        gathered,
        axis=axis,
        reverse=not reverse,  # the last one comes first in what is gathered
        shape=tuple(sizes),
        dtype=element.dtype,
        count=None if count is None else max(0, int(count)),
    )
