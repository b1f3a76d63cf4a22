"""`relay.build`, its modules, and ``create_executor("graph")``."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import relay
from cli_helpers import expected, small_model
from onnx_models import floats
from relay.executor import GraphExecutor, Interpreter
from relay.runtime.memory import aligned_empty
from relay.support.errors import InputError, RelayError


def linear() -> relay.IRModule:
    """``x @ w.T + b`` with `w` and `b` as parameters."""
    x = relay.var("x", shape=(2, 4))
    w = relay.var("w", shape=(3, 4))
    b = relay.var("b", shape=(3,))
    body = relay.add(relay.nn.dense(x, w), b)
    return relay.IRModule.from_expr(relay.Function([x, w, b], body))


X, W, B = floats(2, 4, seed=1), floats(3, 4, seed=2), floats(3, seed=3)


class TestBuild:
    def test_a_numpy_scalar_is_an_input(self) -> None:
        x = relay.var("x", "float32")
        module = relay.IRModule.from_expr(relay.Function([x], relay.exp(x)))
        runner = relay.build(module)["default"](relay.cpu(0))
        assert_allclose(runner(np.float32(1))[0].numpy(), np.exp(1), rtol=1e-6)
        with pytest.raises(InputError, match=r"'x' expects float32\[\], not float64\[\]"):
            runner.set_input("x", np.float64(1))
        with pytest.raises(InputError, match=r"'x' expects an array float32\[\], not a float; np"):
            runner.set_input("x", 1.0)

    @pytest.mark.parametrize("offset", [0, 4])
    def test_an_array_set_again_gives_what_it_holds_now(self, offset: int) -> None:
        """In place where it is aligned (offset 0), copied each time where it is not."""
        x = relay.var("x", shape=(8,))
        module = relay.IRModule.from_expr(relay.Function([x], relay.negative(x)))
        runner = relay.build(module)["default"](relay.cpu(0))
        array = aligned_empty((16,), "float32")[offset : offset + 8]
        other = np.full(8, 9, "float32")
        for value in (1, 2):
            array[...] = value
            runner.set_input("x", array)
            runner.run()
            assert_allclose(runner.get_output(0).numpy(), -array)
        runner.set_input("x", other)
        runner.run()
        assert_allclose(runner.get_output(0).numpy(), -other)
        runner.set_input("x", array)
        runner.run()
        assert_allclose(runner.get_output(0).numpy(), -array)

    def test_outputs_have_the_names_of_the_model(self, tmp_path: Path) -> None:
        path = tmp_path / "small.onnx"
        onnx.save(small_model(), path)
        module, params = relay.frontend.from_onnx(path, freeze_params=False)
        factory = relay.build(module, target="llvm", params=params)
        assert [spec.name for spec in factory.outputs] == ["y", "total"]
        runner = factory["default"](relay.cpu(0))
        x = floats(2, 4, seed=5)
        runner.set_input("x", x)
        runner.run()
        for index, value in enumerate(expected(x).values()):
            assert_allclose(runner.get_output(index).numpy(), value, rtol=1e-5, atol=1e-5)

    def test_outputs_without_names_are_numbered(self) -> None:
        assert [spec.name for spec in relay.build(linear()).outputs] == ["output0"]

    def test_errors_name_the_input_and_the_expectation(self) -> None:
        factory = relay.build(linear(), params={"w": W, "b": B})
        runner = factory["default"](relay.cpu(0))
        with pytest.raises(InputError, match=r"these inputs have no value yet: x: float32\[2, 4\]"):
            runner.run()
        with pytest.raises(InputError, match=r"there is no input 'z'; the inputs are: x: float32"):
            runner.set_input("z", X)
        with pytest.raises(InputError, match=r"'x' expects float32\[2, 4\], not float32\[3, 4\]"):
            runner.set_input("x", W)
        with pytest.raises(InputError, match="it cannot run on gpu"):
            factory["default"](relay.Device("gpu"))
        with pytest.raises(InputError, match=r"no parameter is called 'v'; .* are: x, w, b"):
            relay.build(linear(), params={"v": W})
        with pytest.raises(RelayError, match="unknown target 'vax'"):
            relay.build(linear(), target="vax")


class TestCreateExecutor:
    def test_arguments_by_position_and_by_name(self) -> None:
        function = relay.create_executor("graph", mod=linear()).evaluate()
        wanted = X @ W.T + B
        for found in (function(X, W, B), function(X, b=B, w=W), function(b=B, w=W, x=X)):
            assert isinstance(found, relay.NDArray)
            assert_allclose(found.numpy(), wanted, rtol=1e-5, atol=1e-6)

    def test_params_are_bound(self) -> None:
        executor = relay.create_executor("graph", mod=linear(), params={"w": W, "b": B})
        assert isinstance(executor, GraphExecutor)
        assert_allclose(executor.evaluate()(X).numpy(), X @ W.T + B, rtol=1e-5, atol=1e-6)

    def test_it_agrees_with_the_interpreter(self) -> None:
        debug = relay.create_executor("debug", mod=linear())
        assert isinstance(debug, Interpreter)
        graph = relay.create_executor("graph", mod=linear())
        assert_allclose(
            graph.evaluate()(X, W, B).numpy(), debug.evaluate()(X, W, B).numpy(), rtol=1e-5
        )

    def test_results_are_nested_as_the_type_says(self) -> None:
        x = relay.var("x", shape=(2,))
        body = relay.Tuple([x, relay.Tuple([relay.negative(x), relay.Tuple([])])])
        module = relay.IRModule.from_expr(relay.Function([x], body))
        first, (second, third) = relay.create_executor("graph", mod=module).evaluate()(B[:2])
        assert_array_equal(first.numpy(), B[:2])
        assert_array_equal(second.numpy(), -B[:2])
        assert third == ()

    def test_results_keep_their_memory(self) -> None:
        function = relay.create_executor("graph", mod=linear()).evaluate()
        first = function(X, W, B)
        kept = first.numpy().copy()
        function(2 * X, W, B)
        assert_array_equal(first.numpy(), kept)

    def test_numbers_lists_and_arrays_of_other_libraries(self) -> None:
        class Foreign:
            def __init__(self, array: np.ndarray) -> None:
                self.array = array

            def __dlpack__(self, **options: object) -> object:
                return self.array.__dlpack__(**options)

            def __dlpack_device__(self) -> tuple[int, int]:
                return self.array.__dlpack_device__()

        x, y = relay.var("x", shape=(3,)), relay.var("y", shape=())
        module = relay.IRModule.from_expr(relay.Function([x, y], relay.multiply(x, y)))
        function = relay.create_executor("graph", mod=module).evaluate()
        for values in (B, Foreign(B), relay.NDArray(B), B.tolist()):
            assert_allclose(function(values, 2).numpy(), 2 * B, rtol=1e-6)

    def test_expressions(self) -> None:
        executor = relay.create_executor("graph")
        x = relay.var("x", shape=(3,))
        assert_array_equal(executor.evaluate(relay.add(x, x), {x: B}).numpy(), B + B)
        double = executor.evaluate(relay.Function([x], relay.add(x, x)))
        assert_array_equal(double(B).numpy(), B + B)
        module = linear()
        named = relay.create_executor("graph", mod=module).evaluate(module.get_global_var("main"))
        assert named(X, W, B).shape == (2, 3)

    def test_errors(self) -> None:
        function = relay.create_executor("graph", mod=linear()).evaluate()
        with pytest.raises(InputError, match=r"expected 3 inputs \(x, w, b\), found 1"):
            function(X)
        with pytest.raises(InputError, match="there is no parameter z; the function has x, w, b"):
            function(X, W, B, z=X)
        with pytest.raises(InputError, match=r"x: expected .*\(2, 4\).*found .*\(3, 4\)"):
            function(W, W, B)
        with pytest.raises(RelayError, match='expected one of "debug", "graph"'):
            relay.create_executor("quantum", mod=linear())
        with pytest.raises(RelayError, match="has no function @main"):
            relay.create_executor("graph").evaluate()
