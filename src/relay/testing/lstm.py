"""An unrolled network of long short-term memory cells (Hochreiter and Schmidhuber, 1997)."""

from relay.ir.expr import Call, Expr, Function, Tuple, TupleGetItem, Var
from relay.ir.module import IRModule
from relay.ir.types import TensorType, TupleType
from relay.ir.visit import free_vars
from relay.op.tensor import add, multiply, sigmoid, tanh, zeros
from relay.op.transform import split
from relay.runtime.ndarray import NDArray
from relay.scope_builder import ScopeBuilder
from relay.testing import layers
from relay.testing.init import create_workload


def lstm_cell(
    num_hidden: int, batch_size: int = 1, dtype: str = "float32", name: str = ""
) -> Function:
    """One cell: from inputs, the two states, and weights and biases to output and new states.

    Inputs, output and states are (`batch_size`, `num_hidden`), weights
    (4 * `num_hidden`, `num_hidden`), biases (4 * `num_hidden`,). The order of the gates is input,
    forget, transform, output. `name` is the prefix of the names of the products.
    """
    hidden = TensorType((batch_size, num_hidden), dtype)
    gates_type = TensorType((batch_size, 4 * num_hidden), dtype)
    weight = TensorType((4 * num_hidden, num_hidden), dtype)
    bias = TensorType((4 * num_hidden,), dtype)
    inputs, states = Var("inputs", hidden), Var("states", TupleType([hidden, hidden]))
    i2h_weight, i2h_bias = Var("i2h_weight", weight), Var("i2h_bias", bias)
    h2h_weight, h2h_bias = Var("h2h_weight", weight), Var("h2h_bias", bias)

    scope = ScopeBuilder()
    units = 4 * num_hidden
    i2h = layers.dense_add_bias(inputs, i2h_weight, i2h_bias, units, name=f"{name}i2h")
    previous = TupleGetItem(states, 0)
    h2h = layers.dense_add_bias(previous, h2h_weight, h2h_bias, units, name=f"{name}h2h")
    gates = scope.let(
        ("gates", gates_type),
        add(scope.let(("i2h", gates_type), i2h), scope.let(("h2h", gates_type), h2h)),
    )
    parts = scope.let(
        ("slice_gates", TupleType([hidden] * 4)),
        split(gates, indices_or_sections=4, axis=1).astuple(),
    )
    in_gate = scope.let(("in_gate", hidden), sigmoid(TupleGetItem(parts, 0)))
    forget_gate = scope.let(("forget_gate", hidden), sigmoid(TupleGetItem(parts, 1)))
    in_transform = scope.let(("in_transform", hidden), tanh(TupleGetItem(parts, 2)))
    out_gate = scope.let(("out_gate", hidden), sigmoid(TupleGetItem(parts, 3)))
    kept = multiply(forget_gate, TupleGetItem(states, 1))
    next_c = scope.let(("next_c", hidden), add(kept, multiply(in_gate, in_transform)))
    next_h = scope.let(("next_h", hidden), multiply(out_gate, tanh(next_c)))
    result_type = TupleType([hidden, TupleType([hidden, hidden])])
    result = scope.let(("ret", result_type), Tuple([next_h, Tuple([next_h, next_c])]))
    params = [inputs, states, i2h_weight, i2h_bias, h2h_weight, h2h_bias]
    scope.ret(result)
    return Function(params, scope.get(), result_type)


def get_net(
    iterations: int, num_hidden: int, batch_size: int = 1, dtype: str = "float32"
) -> Function:
    """`iterations` cells, each with its own weights and an input of its own called ``data``.

    The result is the output of the last cell. Raises `ValueError` for less than one iteration.
    """
    if iterations < 1:
        raise ValueError(f"an LSTM needs at least one iteration, found {iterations}")
    hidden = TensorType((batch_size, num_hidden), dtype)
    weight = TensorType((4 * num_hidden, num_hidden), dtype)
    bias = TensorType((4 * num_hidden,), dtype)
    state_type = TupleType([hidden, hidden])

    scope = ScopeBuilder()
    start = scope.let(("zeros", hidden), zeros(shape=(batch_size, num_hidden), dtype=dtype))
    states = scope.let(("init_states", state_type), Tuple([start, start]))
    output: Expr = start
    for step in range(iterations):
        arguments = [
            Var("data", hidden),
            states,
            Var(f"i2h_{step}_weight", weight),
            Var(f"i2h_{step}_bias", bias),
            Var(f"h2h_{step}_weight", weight),
            Var(f"h2h_{step}_bias", bias),
        ]
        cell = lstm_cell(num_hidden, batch_size, dtype, f"lstm_{step}")
        cell_type = TupleType([hidden, state_type])
        call = scope.let((f"call_{step}", cell_type), Call(cell, arguments))
        output = scope.let((f"out_{step}", hidden), TupleGetItem(call, 0))
        states = scope.let((f"states_{step}", state_type), TupleGetItem(call, 1))
    scope.ret(output)
    body = scope.get()
    return Function(free_vars(body), body, hidden)


def get_workload(
    iterations: int, num_hidden: int, batch_size: int = 1, dtype: str = "float32"
) -> tuple[IRModule, dict[str, NDArray]]:
    """The module of `get_net`, and values for its parameters."""
    return create_workload(get_net(iterations, num_hidden, batch_size, dtype))
