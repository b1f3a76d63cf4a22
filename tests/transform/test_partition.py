"""From patterns to functions for an external compiler: meaning and form."""

import numpy as np
import pytest

import relay
from relay import transform
from relay.dataflow_pattern import is_op, wildcard
from relay.op.contrib import (
    get_pattern_table,
    is_supported,
    register_pattern_table,
    register_supported,
)
from relay.support.errors import RelayError

for name in ("nn.conv2d", "exp", "add", "split", "concatenate", "nn.relu"):
    register_supported(name, "toy")
register_supported("tanh", "other")
register_supported("multiply", "other", lambda call: call.args[0] is not call.args[1])


@register_pattern_table("toy")
def toy_patterns() -> list[tuple[object, ...]]:
    conv = is_op("nn.conv2d")(wildcard(), wildcard())
    bias = is_op("nn.bias_add")(conv, wildcard())

    def narrow(expr: relay.Expr) -> bool:
        return expr.checked_type.concrete_shape[1] <= 4

    return [("toy.conv2d_bias_relu", is_op("nn.relu")(bias), narrow)]


X = relay.var("x", shape=(1, 3, 8, 8))
Y = relay.var("y", shape=(1, 3, 8, 8))


def conv_bias_relu(channels: int = 4) -> relay.Expr:
    w = relay.var("w", shape=(channels, 3, 3, 3))
    b = relay.var("b", shape=(channels,))
    return relay.nn.relu(relay.nn.bias_add(relay.nn.conv2d(X, w), b))


def results(module: relay.IRModule, kind: str = "debug") -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    inputs = [
        rng.standard_normal(p.checked_type.concrete_shape).astype("float32")
        for p in module["main"].params
    ]
    found = relay.create_executor(kind, module).evaluate()(*inputs)
    return [f.numpy() for f in (found if isinstance(found, tuple | list) else (found,))]


def partitioned(expr: relay.Expr, targets: str | list[str] = "toy") -> relay.IRModule:
    """The module of `expr` after all passes; the meaning has to stay after each."""
    module = transform.InferType()(relay.IRModule.from_expr(expr))
    expected = results(module)
    for step in (
        transform.MergeComposite(get_pattern_table("toy")),
        transform.AnnotateTarget(targets),
        transform.MergeCompilerRegions(),
        transform.PartitionGraph(),
    ):
        module = step(module)
        again = relay.parse(module.astext())
        relay.assert_structural_equal(again["main"], transform.InferType()(module)["main"])
        for a, b in zip(results(module), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    return module


def compilers(module: relay.IRModule) -> list[object]:
    found = [f.attrs.get("Compiler") for f in module.functions.values()]
    return sorted(str(c) for c in found if c is not None)


def test_composite_becomes_a_function() -> None:
    module = partitioned(relay.tanh(conv_bias_relu()))
    assert compilers(module) == ["toy"]
    function = module["tvmgen_default_toy_main_0"]
    assert function.attrs["global_symbol"] == "tvmgen_default_toy_main_0"
    assert isinstance(function.body, relay.Call)
    assert isinstance(function.body.op, relay.Function)
    assert function.body.op.attrs["Composite"] == "toy.conv2d_bias_relu"


def test_the_check_of_a_pattern_can_refuse() -> None:
    module = partitioned(conv_bias_relu(8))
    assert not any(
        isinstance(f.body, relay.Call) and isinstance(f.body.op, relay.Function)
        for f in module.functions.values()
    )
    assert compilers(module) == ["toy", "toy"]  # bias_add alone stays on the host


def test_a_way_out_and_back_keeps_regions_apart() -> None:
    e = relay.exp(X)
    assert compilers(partitioned(relay.add(e, relay.tanh(e)))) == ["toy", "toy"]
    assert compilers(partitioned(relay.add(e, relay.tanh(X)))) == ["toy"]


def test_two_targets() -> None:
    module = partitioned(relay.multiply(relay.tanh(relay.exp(X)), Y), ["toy", "other"])
    assert compilers(module) == ["other", "toy"]


def test_several_results_and_tuples() -> None:
    e = relay.exp(X)
    module = partitioned(relay.Tuple([relay.tanh(e), relay.tanh(relay.add(e, Y))]))
    assert compilers(module) == ["toy"]
    parts = relay.split(relay.exp(X), 3, axis=1)
    joined = relay.tanh(relay.concatenate((parts[2], parts[0]), axis=1))
    assert compilers(partitioned(joined)) == ["toy"]
    assert compilers(partitioned(relay.concatenate((X, relay.tanh(Y)), axis=1))) == ["toy"]


def test_without_non_call_operators_projections_stay() -> None:
    parts = relay.split(X, 3, axis=1)
    module = relay.IRModule.from_expr(relay.exp(parts[1]))
    step = transform.AnnotateTarget("toy", include_non_call_ops=False)
    module = transform.MergeCompilerRegions()(step(transform.InferType()(module)))
    assert compilers(transform.PartitionGraph()(module)) == ["toy", "toy"]


def test_annotating_again_changes_nothing() -> None:
    step = transform.AnnotateTarget("toy")
    once = step(transform.InferType()(relay.IRModule.from_expr(relay.tanh(relay.exp(X)))))
    assert step(once) is once


def test_predicates_and_unsupported_calls() -> None:
    assert is_supported(relay.multiply(X, Y), "other")
    assert not is_supported(relay.multiply(X, X), "other")
    module = relay.IRModule.from_expr(relay.multiply(X, X))
    assert transform.AnnotateTarget("other")(module) is module
    assert transform.MergeCompilerRegions()(module) is module
    assert transform.PartitionGraph()(module) is module


def test_inlined_again_it_compiles() -> None:
    module = partitioned(relay.tanh(relay.exp(X)))
    expected = results(module)
    names = [g for g, f in module.functions.items() if "Compiler" in f.attrs]
    module = transform.InlineCompilerFunctionsBoundTo(names)(module)
    assert list(module) == [module.get_global_var("main")]
    np.testing.assert_allclose(results(module, "graph")[0], expected[0], rtol=1e-5)


@pytest.mark.parametrize("seed", range(12))
def test_random_graphs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values: list[relay.Expr] = [X, Y]
    for _ in range(30):
        a, b = (values[int(k)] for k in rng.integers(max(0, len(values) - 6), len(values), 2))
        unary = [relay.tanh, relay.sigmoid, relay.nn.relu]
        binary = [relay.add, relay.subtract, relay.multiply, relay.maximum]
        pick = int(rng.integers(0, 7))
        values.append(unary[pick](a) if pick < 3 else binary[pick - 3](a, b))
    partitioned(relay.Tuple(values[-3:]), ["toy", "other"])


def test_refusals() -> None:
    mark = relay.annotation.compiler_begin(X, "toy")
    module = relay.IRModule.from_expr(relay.annotation.compiler_end(relay.exp(mark), "other"))
    with pytest.raises(RelayError, match="overlap"):
        transform.PartitionGraph()(module)
    with pytest.raises(RelayError, match="no dots"):
        register_supported("exp", "a.b")
    with pytest.raises(RelayError, match="no operator named"):
        register_supported("no.such", "toy")
    with pytest.raises(RelayError, match="no function @f"):
        transform.InlineCompilerFunctionsBoundTo(["f"])(module)
    assert get_pattern_table("nobody") is None


def test_a_long_chain() -> None:
    expr: relay.Expr = X
    for _ in range(3_000):
        expr = relay.exp(expr)
    module = transform.AnnotateTarget("toy")(relay.IRModule.from_expr(relay.tanh(expr)))
    module = transform.PartitionGraph()(transform.MergeCompilerRegions()(module))
    assert compilers(module) == ["toy"]
