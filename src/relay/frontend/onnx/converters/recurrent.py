"""Recurrent layers, unrolled over time.

What the inputs contribute to all gates is one `nn.dense` for all steps, with the biases of inputs
and states folded into it as far as the equations allow. A step is then one `nn.dense` of the state
(two for a GRU that resets before its product) and elementwise work. Where sequences are of
different lengths, a state stays what it was at the steps that its sequence does not have.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from relay.frontend.onnx.converters.activation import (
    affine,
    clamped_affine,
    exponential_unit,
    soft_plus,
    soft_sign,
    thresholded,
)
from relay.frontend.onnx.converters.contraction import dense
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.frontend.onnx.sizes import Extent, compared
from relay.ir.expr import Expr

_MAX_STEPS = 1 << 16
_PLAIN: Final = {"sigmoid": "sigmoid", "tanh": "tanh", "relu": "nn.relu"}
#: Activation -> (alpha, beta) where the model gives none.
_DEFAULTS: Final = {
    "affine": (1.0, 0.0),
    "leakyrelu": (0.01, 0.0),
    "scaledtanh": (1.0, 1.0),
    "hardsigmoid": (0.2, 0.5),
    "elu": (1.0, 0.0),
    "thresholdedrelu": (1.0, 0.0),
}
_USING_BETA: Final = ("affine", "scaledtanh", "hardsigmoid")
_WITHOUT_NUMBERS: Final = (*_PLAIN, "softsign", "softplus")


@dataclass(frozen=True)
class _Activation:
    """An activation function of a gate, with its numbers."""

    kind: str
    alpha: float
    beta: float

    def apply(self, node: Node, value: Expr) -> Expr:
        match self.kind:
            case "affine":
                return affine(node, value, self.alpha, self.beta)
            case "leakyrelu":
                return node.call("nn.leaky_relu", value, alpha=self.alpha)
            case "scaledtanh":
                inner = node.call("tanh", affine(node, value, self.beta, 0))
                return affine(node, inner, self.alpha, 0)
            case "hardsigmoid":
                return clamped_affine(node, value, self.alpha, self.beta)
            case "elu":
                return exponential_unit(node, value, self.alpha)
            case "thresholdedrelu":
                return thresholded(node, value, self.alpha)
            case "softsign":
                return soft_sign(node, value)
            case "softplus":
                return soft_plus(node, value)
            case plain:
                return node.call(_PLAIN[plain], value)


def _activations(node: Node, defaults: Sequence[str], directions: int) -> list[list[_Activation]]:
    """The activation functions of each direction."""
    names = node.texts("activations") or list(defaults) * directions
    if len(names) != len(defaults) * directions:
        node.fail(f"it needs {len(defaults) * directions} activations, found {names}")
    alphas = iter(node.numbers("activation_alpha") or [])
    betas = iter(node.numbers("activation_beta") or [])
    found = []
    for name in names:
        kind = name.lower()
        if kind in _WITHOUT_NUMBERS:
            found.append(_Activation(kind, 0.0, 0.0))
        elif kind in _DEFAULTS:
            alpha, beta = _DEFAULTS[kind]
            alpha = next(alphas, alpha)
            beta = next(betas, beta) if kind in _USING_BETA else beta
            found.append(_Activation(kind, alpha, beta))
        else:
            node.unsupported(f"the activation {name!r} is not supported")
    count = len(defaults)
    return [found[i * count : (i + 1) * count] for i in range(directions)]


@dataclass(frozen=True)
class _Layer:
    """One direction of a recurrent layer."""

    node: Node
    steps: int
    batch: Extent
    hidden: int
    backwards: bool
    data: Expr  # (steps * batch, inputs)
    weight: Expr  # (gates * hidden, inputs)
    recurrence: Expr  # (gates * hidden, hidden)
    input_bias: Expr | None  # (gates * hidden,)
    state_bias: Expr | None  # (gates * hidden,)
    states: list[Expr | None]  # (batch, hidden) each; None stands for zeros
    activations: list[_Activation]
    clip: float | None  # bounds what goes into the activations of gates
    lengths: Expr | None  # (batch, 1): how many steps each sequence has; None stands for all
    peepholes: list[Expr] | None  # (hidden,) each

    def order(self) -> Sequence[int]:
        """Time steps in the order in which they are computed."""
        steps = range(self.steps)
        return steps[::-1] if self.backwards else steps

    def project(self, bias: Expr | None) -> Expr:
        """What the inputs contribute to all gates at all times, with `bias`."""
        product = dense(self.node, self.data, self.weight)
        return product if bias is None else self.node.call("nn.bias_add", product, bias, axis=1)

    def both_biases(self) -> Expr | None:
        """The biases of inputs and states together."""
        if self.input_bias is None or self.state_bias is None:
            return None
        return self.node.call("add", self.input_bias, self.state_bias)

    def at(self, projected: Expr, step: int) -> Expr:
        """The rows of `projected` that belong to `step`: (batch, gates * hidden)."""
        width = self.node.dims(projected)[1]
        whole = self.node.reshape(projected, (self.steps, self.batch, width))
        place = self.node.constant([step], "int64")
        part = self.node.call("take", whole, place, axis=0, mode="clip")
        return self.node.call("squeeze", part, axis=(0,))

    def gate(self, gates: Expr, index: int, count: int = 1) -> Expr:
        """`count` gates from `index` on: (batch, count * hidden)."""
        hidden = self.hidden
        return self.node.slice_axis(gates, 1, index * hidden, (index + count) * hidden)

    def gated(self, index: int, value: Expr) -> Expr:
        """Activation function `index` of a gate, which is brought into bounds before."""
        if self.clip is not None:
            value = self.node.call("clip", value, a_min=-self.clip, a_max=self.clip)
        return self.apply(index, value)

    def apply(self, index: int, value: Expr) -> Expr:
        """Activation function `index`."""
        return self.activations[index].apply(self.node, value)

    def peep(self, gate: Expr, index: int, cell: Expr | None) -> Expr:
        """`gate` with what peephole `index` sees of the cell."""
        if self.peepholes is None or cell is None:
            return gate
        return self.add(gate, self.multiply(cell, self.peepholes[index]))

    def at_valid(self, step: int, new: Expr, old: Expr | None) -> Expr:
        """`new` for the sequences that have `step`, `old` (None: zeros) for those that ended."""
        if self.lengths is None:
            return new
        lasts = self.node.call("less", self.node.like(step, self.lengths), self.lengths)
        other = self.node.like(0, new) if old is None else old
        return self.node.call("where", lasts, new, other)

    def add(self, left: Expr, right: Expr) -> Expr:
        return self.node.call("add", left, right)

    def multiply(self, left: Expr, right: Expr) -> Expr:
        return self.node.call("multiply", left, right)

    def plus_state(self, gates: Expr, state: Expr | None, recurrence: Expr) -> Expr:
        """`gates` plus what `state` contributes."""
        return gates if state is None else self.add(gates, dense(self.node, state, recurrence))


@dataclass(frozen=True)
class _Run:
    """Outputs of one direction: the state after each time, and the last states."""

    hidden: list[Expr]  # by time, (batch, hidden) each
    last: list[Expr]


def _zeros_as_none(node: Node, state: Expr) -> Expr | None:
    known = node.known(state)
    return None if known is not None and not np.any(known) else state


def _layers(node: Node, gates: int, states: int, defaults: Sequence[str]) -> list[_Layer]:
    """The directions of the layer, with checked shapes."""
    data, weights, recurrences = node.arg(0), node.arg(1), node.arg(2)
    direction = node.text("direction", "forward")
    if direction not in ("forward", "reverse", "bidirectional"):
        node.fail(f"its direction {direction!r} is not forward, reverse or bidirectional")
    count = 2 if direction == "bidirectional" else 1
    batch_first = bool(node.integer("layout", 0))
    if batch_first:
        data = node.transpose(data, (1, 0, 2))
    (steps,), batch = node.fixed(node.dims(data)[:1]), node.dims(data)[1]
    (inputs,) = node.fixed(node.dims(data)[2:])
    if steps > _MAX_STEPS:
        node.unsupported(f"it runs for {steps} steps; at most {_MAX_STEPS} are supported")
    hidden = node.shape(recurrences)[-1]
    _expect(node, "weight", weights, (count, gates * hidden, inputs))
    _expect(node, "recurrence weight", recurrences, (count, gates * hidden, hidden))
    biases = node.optional(3)
    if biases is not None:
        _expect(node, "bias", biases, (count, 2 * gates * hidden))
    lengths = _lengths(node, steps, batch)
    peepholes = node.optional(7)
    if peepholes is not None:
        _expect(node, "peephole weight", peepholes, (count, 3 * hidden))
    clip = node.number("clip", 0.0) if node.has("clip") else None
    initial = [_initial(node, 5 + i, (count, batch, hidden)) for i in range(states)]
    rows = node.reshape(data, (steps * batch, inputs))
    activations = _activations(node, defaults, count)

    def pick(value: Expr, index: int) -> Expr:
        part = node.slice_axis(value, 0, index, index + 1)
        return node.reshape(part, node.dims(value)[1:])

    layers = []
    for i in range(count):
        bias = None if biases is None else pick(biases, i)
        half = gates * hidden
        layers.append(
            _Layer(
                node,
                steps,
                batch,
                hidden,
                direction == "reverse" or i == 1,
                rows,
                pick(weights, i),
                pick(recurrences, i),
                None if bias is None else node.slice_axis(bias, 0, 0, half),
                None if bias is None else node.slice_axis(bias, 0, half, 2 * half),
                [None if s is None else _zeros_as_none(node, pick(s, i)) for s in initial],
                activations[i],
                clip,
                lengths,
                None if peepholes is None else _thirds(node, pick(peepholes, i), hidden),
            )
        )
    return layers


def _lengths(node: Node, steps: int, batch: Extent) -> Expr | None:
    """How many steps each sequence has, as a column; None where all have all."""
    lengths = node.optional(4)
    if lengths is None:
        return None
    _expect(node, "sequence lengths", lengths, (batch,))
    known = node.known(lengths)
    same = known is not None and all(n == steps for n in known.flat)
    return None if same else node.reshape(lengths, (batch, 1))


def _initial(node: Node, index: int, shape: tuple[Extent, ...]) -> Expr | None:
    """The states at the start, of all directions; None stands for zeros."""
    state = node.optional(index)
    if state is None:
        return None
    state = node.transpose(state, (1, 0, 2)) if node.integer("layout", 0) else state
    _expect(node, "initial state", state, shape)
    return state


def _thirds(node: Node, value: Expr, size: int) -> list[Expr]:
    return [node.slice_axis(value, 0, k * size, (k + 1) * size) for k in range(3)]


def _expect(node: Node, what: str, value: Expr, shape: tuple[Extent, ...]) -> None:
    found = node.dims(value)
    fits = len(found) == len(shape) and all(
        compared(a, b) in (0, None) for a, b in zip(found, shape, strict=True)
    )
    if not fits:
        node.fail(f"its {what} must have the shape {shape}, found {found}")


def _outputs(node: Node, layers: Sequence[_Layer], runs: Sequence[_Run]) -> list[Expr | None]:
    """Y, and the last states, in ONNX's arrangement."""
    batch_first = bool(node.integer("layout", 0))
    first = layers[0]
    results: list[Expr | None] = [None]
    if node.output_is_used(0):
        shape = (first.steps, 1, first.batch, first.hidden)
        rows = [node.reshape(node.concatenate(run.hidden, 0), shape) for run in runs]
        everything = node.concatenate(rows, 1)
        results[0] = node.transpose(everything, (2, 0, 1, 3)) if batch_first else everything
    for i in range(len(runs[0].last)):
        if not node.output_is_used(i + 1):
            results.append(None)
            continue
        states = [node.call("expand_dims", run.last[i], axis=0) for run in runs]
        state = node.concatenate(states, 0)
        results.append(node.transpose(state, (1, 0, 2)) if batch_first else state)
    return results


def _zero_state(layer: _Layer) -> Expr:
    node, dtype = layer.node, layer.node.dtype(layer.data)
    if isinstance(layer.batch, int):
        return node.filled((layer.batch, layer.hidden), 0.0, dtype)
    shape = (layer.batch, layer.hidden)
    return node.full(node.constant(0.0, dtype), shape, node.vector(shape))


def _run_lstm(layer: _Layer, coupled: bool) -> _Run:
    """Gates in the order input, output, forget, cell."""
    projected = layer.project(layer.both_biases())
    hidden, cell = layer.states
    outputs: dict[int, Expr] = {}
    for step in layer.order():
        gates = layer.plus_state(layer.at(projected, step), hidden, layer.recurrence)
        enter = layer.gated(0, layer.peep(layer.gate(gates, 0), 0, cell))
        proposed = layer.multiply(enter, layer.gated(1, layer.gate(gates, 3)))
        new = proposed
        if cell is not None:
            if coupled:
                forget = affine(layer.node, enter, -1, 1)
            else:
                forget = layer.gated(0, layer.peep(layer.gate(gates, 2), 2, cell))
            new = layer.add(layer.multiply(forget, cell), proposed)
        leave = layer.gated(0, layer.peep(layer.gate(gates, 1), 1, new))
        shown = layer.multiply(leave, layer.apply(2, new))
        outputs[step] = layer.at_valid(step, shown, None)
        hidden, cell = layer.at_valid(step, shown, hidden), layer.at_valid(step, new, cell)
    last = [s if s is not None else _zero_state(layer) for s in (hidden, cell)]
    return _Run([outputs[t] for t in range(layer.steps)], last)


def _run_gru(layer: _Layer, reset_after: bool) -> _Run:
    """Gates in the order update, reset, hidden."""
    node = layer.node
    (hidden,) = layer.states
    size = layer.hidden
    update_reset = node.slice_axis(layer.recurrence, 0, 0, 2 * size)
    proposal = node.slice_axis(layer.recurrence, 0, 2 * size, 3 * size)
    state_bias = layer.state_bias
    if not reset_after or layer.input_bias is None or state_bias is None:
        projected = layer.project(layer.both_biases())
        proposal_bias = None
    else:
        # The reset gate multiplies the bias of the state, which therefore cannot be folded.
        folded = node.slice_axis(state_bias, 0, 0, 2 * size)
        bias = node.concatenate([folded, node.filled((size,), 0.0, node.dtype(layer.data))], 0)
        projected = layer.project(layer.add(layer.input_bias, bias))
        proposal_bias = node.slice_axis(state_bias, 0, 2 * size, 3 * size)
    outputs: dict[int, Expr] = {}
    for step in layer.order():
        inputs = layer.at(projected, step)
        candidate = layer.gate(inputs, 2)
        if reset_after:
            # One product serves all gates.
            product = None if hidden is None else dense(node, hidden, layer.recurrence)
            gates = layer.gate(inputs, 0, 2)
            if product is not None:
                gates = layer.add(gates, layer.gate(product, 0, 2))
            memory = None if product is None else layer.gate(product, 2)
            if proposal_bias is not None:
                memory = proposal_bias if memory is None else layer.add(memory, proposal_bias)
            reset = layer.gated(0, layer.gate(gates, 1))
            if memory is not None:
                candidate = layer.add(candidate, layer.multiply(reset, memory))
        else:
            gates = layer.plus_state(layer.gate(inputs, 0, 2), hidden, update_reset)
            if hidden is not None:
                reset = layer.gated(0, layer.gate(gates, 1))
                kept = layer.multiply(reset, hidden)
                candidate = layer.plus_state(candidate, kept, proposal)
        update = layer.gated(0, layer.gate(gates, 0))
        fresh = layer.multiply(affine(node, update, -1, 1), layer.gated(1, candidate))
        new = fresh if hidden is None else layer.add(fresh, layer.multiply(update, hidden))
        outputs[step] = layer.at_valid(step, new, None)
        hidden = layer.at_valid(step, new, hidden)
    last = [hidden if hidden is not None else _zero_state(layer)]
    return _Run([outputs[t] for t in range(layer.steps)], last)


def _run_rnn(layer: _Layer) -> _Run:
    projected = layer.project(layer.both_biases())
    (hidden,) = layer.states
    outputs: dict[int, Expr] = {}
    for step in layer.order():
        gates = layer.plus_state(layer.at(projected, step), hidden, layer.recurrence)
        new = layer.gated(0, gates)
        outputs[step] = layer.at_valid(step, new, None)
        hidden = layer.at_valid(step, new, hidden)
    last = [hidden if hidden is not None else _zero_state(layer)]
    return _Run([outputs[t] for t in range(layer.steps)], last)


@onnx_op("", "LSTM")
def lstm(node: Node) -> list[Expr | None]:
    """Long short-term memory."""
    layers = _layers(node, 4, 2, ("Sigmoid", "Tanh", "Tanh"))
    coupled = bool(node.integer("input_forget", 0))
    return _outputs(node, layers, [_run_lstm(layer, coupled) for layer in layers])


@onnx_op("", "GRU")
def gru(node: Node) -> list[Expr | None]:
    """Gated recurrent unit."""
    layers = _layers(node, 3, 1, ("Sigmoid", "Tanh"))
    reset_after = bool(node.integer("linear_before_reset", 0))
    return _outputs(node, layers, [_run_gru(layer, reset_after) for layer in layers])


@onnx_op("", "RNN")
def rnn(node: Node) -> list[Expr | None]:
    """Simple recurrent network."""
    layers = _layers(node, 1, 1, ("Tanh",))
    return _outputs(node, layers, [_run_rnn(layer) for layer in layers])
