"""Quantised operators with constant parameters, their exact arithmetic, and a small network."""

import math
from fractions import Fraction

import numpy as np
import pytest

import relay
from op import records_qnn
from op.record import Array, Record
from relay import qnn
from relay.executor import create_executor
from relay.ir.expr import Call, Expr, Function, Tuple, Var, const
from relay.ir.module import IRModule
from relay.ir.op import Operator
from relay.ir.visit import post_order
from relay.support.errors import RelayError, TypeInferenceError
from relay.transform import ExpandOps, FoldConstant, PassContext

EXPANDED = [r for r in records_qnn.RECORDS if not r.op.startswith("qnn.simulated")]


def run(kind: str, program: IRModule | Function, *arrays: Array) -> Array:
    """What an executor gives for a program, or for one of that function alone."""
    module = program if isinstance(program, IRModule) else IRModule.from_expr(program)
    return create_executor(kind, module).evaluate()(*arrays).numpy()


def constant(value: Array | tuple[Array, ...]) -> Expr:
    if isinstance(value, tuple):
        return Tuple([const(v) for v in value])
    return const(value)


def with_constants(record: Record) -> tuple[Function, list[Array]]:
    """A function of the quantised values alone: scales and zero points are constants."""
    call, variables = record.call()
    arrays = record.arrays()
    names = call.attrs.inputs
    values = {"data", "weight", "lhs", "rhs", "x", "y"}
    arguments = [
        a if n in values else constant(v) for n, a, v in zip(names, call.args, arrays, strict=True)
    ]
    given = [v for n, v in zip(names, arrays, strict=True) if n in values]
    flat = [a for v in given for a in (v if isinstance(v, tuple) else (v,))]
    return Function(variables[: len(flat)], Call(call.op, arguments, call.attrs)), flat


@pytest.mark.parametrize("level", [0, 3])
@pytest.mark.parametrize("record", EXPANDED, ids=str)
def test_constant_parameters(record: Record, level: int) -> None:
    function, arrays = with_constants(record)
    declaration = record.call()[0].attrs
    assert isinstance(declaration, Operator)
    with PassContext(opt_level=level):
        found = run("graph", function, *arrays)
    expected = declaration.reference(*record.arrays())
    if record.op == "qnn.softmax":  # the sum of exponentials is in another order
        assert np.max(np.abs(found.astype("int32") - expected)) <= 1
    else:
        np.testing.assert_array_equal(found, expected)


def exact_requantize(q: int, ratio: float, rounding: str) -> int:
    """``q * ratio`` with a factor of 31 bits, rounded exactly and kept within int8."""
    significand, exponent = math.frexp(ratio)
    factor = math.floor(Fraction(significand) * 2**31 + Fraction(1, 2))
    product = Fraction(q * factor) * Fraction(2) ** (exponent - 31)
    half = Fraction(1, 2)
    if rounding == "UPWARD" or product >= 0:
        rounded = math.floor(product + half)
    else:
        rounded = math.ceil(product - half)
    return max(-128, min(127, rounded))


@pytest.mark.parametrize("rounding", ["UPWARD", "TONEAREST"])
@pytest.mark.parametrize("at_run_time", [False, True])
def test_requantize_is_exact(rounding: str, at_run_time: bool) -> None:
    random = np.random.default_rng(0)
    data = np.concatenate(
        [random.integers(-(2**31), 2**31, 500), random.integers(-300, 300, 500), [-(2**31)]]
    ).astype("int32")
    x = Var("x", relay.TensorType(data.shape, "int32"))
    scale = Var("scale", relay.TensorType((), "float32"))
    for value in (1.0, 0.5, 0.99999994, 0.0078125, 3.7e-7, 0.3, 2.5, 100.0, 1e6, 2.0**-29, 1e-38):
        known = np.float32(value)
        given = scale if at_run_time else const(known)
        call = qnn.op.requantize(x, given, 0, const(1.0), 0, rounding=rounding)
        params = [x, scale] if at_run_time else [x]
        arguments = (data, known) if at_run_time else (data,)
        found = run("graph", Function(params, call), *arguments)
        expected = [exact_requantize(int(q), float(known), rounding) for q in data]
        np.testing.assert_array_equal(found, np.asarray(expected, "int8"))


def network() -> tuple[IRModule, Array, dict[str, Array]]:
    """quantize, conv2d, requantize, dense, dequantize; and what it approximates."""
    random = np.random.default_rng(3)
    conv = random.uniform(-1, 1, (8, 3, 3, 3)).astype("float32")
    dense = random.uniform(-1, 1, (10, 8 * 6 * 6)).astype("float32")
    conv_scales = (np.abs(conv).max(axis=(1, 2, 3)) / 127).astype("float32")
    conv_weight = np.rint(conv / conv_scales.reshape(-1, 1, 1, 1)).astype("int8")
    dense_scale = np.float32(np.ptp(dense) / 255)
    dense_zero = int(np.rint(128 - dense.max() / dense_scale * 0.999))
    dense_weight = np.clip(np.rint(dense / dense_scale) + dense_zero, -128, 127).astype("int8")
    x = relay.var("x", shape=(2, 3, 6, 6))
    q = qnn.op.quantize(x, const(1 / 127), 7, out_dtype="uint8")
    q = qnn.op.conv2d(
        q, const(conv_weight), 7, 0, const(1 / 127), const(conv_scales),
        kernel_size=(3, 3), channels=8, padding=(1, 1),
    )  # fmt: skip
    q = qnn.op.requantize(
        q, relay.multiply(const(1 / 127), const(conv_scales)), 0, const(0.1), -3, axis=1
    )
    q = relay.nn.batch_flatten(q)
    q = qnn.op.dense(q, const(dense_weight), -3, dense_zero, const(0.1), const(dense_scale), 10)
    scale = relay.multiply(const(0.1), const(dense_scale))
    module = IRModule.from_expr(Function([x], qnn.op.dequantize(q, scale, 0)))
    data = random.uniform(0, 1, (2, 3, 6, 6)).astype("float32")
    return module, data, {"conv": conv, "dense": dense}


def test_network_is_the_same_everywhere_and_close_to_floats() -> None:
    module, data, weights = network()
    found = {kind: run(kind, module, data) for kind in ("debug", "graph", "vm")}
    with PassContext(opt_level=0):
        found["plain"] = run("graph", module, data)
    for result in found.values():
        np.testing.assert_array_equal(result, found["debug"])
    x = relay.var("x", shape=data.shape)
    y = relay.nn.conv2d(x, const(weights["conv"]), padding=(1, 1))
    y = relay.nn.dense(relay.nn.batch_flatten(y), const(weights["dense"]))
    exact = run("debug", Function([x], y), data)
    # Steps of 0.1 after the convolution, 288 of them in a sum: the error is about 0.3.
    assert np.max(np.abs(found["graph"] - exact)) < 1.5
    assert np.corrcoef(found["graph"].ravel(), exact.ravel())[0, 1] > 0.99


def test_nothing_quantised_is_left() -> None:
    module, _, _ = network()
    expanded = qnn.transform.CanonicalizeOps()(relay.transform.InferType()(module))
    names = {n.op.name for n in post_order(expanded["main"]) if isinstance(n, Call)}
    assert not any(n.startswith("qnn.") for n in names)
    assert "fixed_point_multiply_per_axis" in names
    assert ExpandOps()(expanded) is expanded


def test_dynamic_sizes() -> None:
    weight = const(np.arange(-12, 12, dtype="int8").reshape(4, 6))
    x = relay.var("x", shape=(relay.Any(), 6), dtype="int8")
    y = qnn.op.dense(x, weight, 3, -2, const(0.5), const(0.5), 4)
    y = qnn.op.requantize(y, const(0.25), 0, const(3.0), 1)
    module = IRModule.from_expr(Function([x], y))
    data = np.arange(-30, 30, dtype="int8").reshape(10, 6)
    np.testing.assert_array_equal(run("vm", module, data), run("debug", module, data))


def test_config_counts_where_the_operator_does_not_say() -> None:
    x = relay.var("x", shape=(3,), dtype="int32")
    data = np.asarray([-3, -1, 1], "int32")
    plain = qnn.op.requantize(x, const(0.5), 0, const(1.0), 0)
    fixed = qnn.op.requantize(x, const(0.5), 0, const(1.0), 0, rounding="UPWARD")

    def values(call: Expr, kind: str) -> list[int]:
        return run(kind, Function([x], call), data).tolist()

    for kind in ("debug", "graph"):
        assert values(plain, kind) == [-1, 0, 1]
        with qnn.op.requantize_config(rounding="TONEAREST", compute_dtype="float32"):
            assert qnn.op.current_requantize_config().compute_dtype == "float32"
            assert values(plain, kind) == [-2, -1, 1]
            assert values(fixed, kind) == [-1, 0, 1]
    with pytest.raises(RelayError, match="rounding must be one of UPWARD, TONEAREST"):
        qnn.op.requantize(x, 1.0, 0, 1.0, 0, rounding="DOWN")


def test_functions_follow_signatures_that_users_know() -> None:
    x = relay.var("x", shape=(1, 4, 4, 2), dtype="uint8")
    pooled = qnn.op.avg_pool2d(x, 0.1, 3, 0.2, 4, (2, 2), (2, 2), (0, 0), (1, 1))
    assert pooled.checked_type == relay.TensorType((1, 2, 2, 2), "uint8")
    assert qnn.op.leaky_relu(x, 0.1, 0.1, 3, 0.2, 4).attrs.alpha == 0.1
    numbers = relay.var("y", shape=(3,))
    assert qnn.op.simulated_quantize(numbers, 0.1, 3).checked_type == numbers.checked_type
    assert (
        qnn.op.simulated_dequantize(numbers, 0.1, 3, in_dtype="disable").args[1].data.numpy() == 0
    )
    flat = relay.var("z", shape=(3, 4), dtype="int8")
    weight = relay.var("w", shape=(2, 4, 8), dtype="int8")
    packed = qnn.op.contrib_dense_pack(flat, weight, 0, 0, 0.1, 0.1, "NC8n", 16)
    assert packed.checked_type == relay.TensorType((3, 16), "int32")
    assert relay.op.qnn is qnn.op


X = relay.var("x", shape=(3, 4), dtype="int8")
Y = relay.var("y", shape=(3, 4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (qnn.op.quantize(X, 0.1, 0), "expected a floating-point tensor for data"),
        (qnn.op.dequantize(Y, 0.1, 0), "data must be one of int8, uint8"),
        (
            qnn.op.dequantize(X, const([0.1, 0.2]), 0),
            "input_scale must be one number or a vector of size 4",
        ),
        (qnn.op.dequantize(X, 1, 0), "expected a floating-point tensor for input_scale"),
        (qnn.op.tanh(X, 0.1, const([0, 1]), 0.1, 0), "zero_point must be one number"),
        (
            qnn.op.concatenate([X, X], [0.1], [0, 0], 0.1, 0, 0),
            "2 tensors need as many input_scales, found 1",
        ),
        (
            qnn.op.mul(X, X, const([0.1] * 4), 0, const([0.1] * 4), 0, 0.1, 0),
            "only one of the scales may be a vector",
        ),
    ],
)
def test_errors(call: Expr, message: str) -> None:
    with pytest.raises(TypeInferenceError, match=message):
        call.checked_type  # noqa: B018


def test_weights_are_quantised_at_compile_time() -> None:
    x = relay.var("x", shape=(2, 4), dtype="int8")
    weight = qnn.op.quantize(const(np.ones((3, 4), "float32")), 0.5, 0)
    call = qnn.op.dense(x, weight, 1, 0, const(0.1), const(0.5), 3)
    module = FoldConstant()(ExpandOps()(IRModule.from_expr(Function([x], call))))
    assert [n.op.name for n in post_order(module["main"]) if isinstance(n, Call)] == [
        "nn.dense",
        "subtract",
    ]
