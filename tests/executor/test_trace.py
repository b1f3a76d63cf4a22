"""The operator `debug`, and values on the way to a result."""

import sys

import numpy as np
import pytest

import relay
from relay.executor.debugging import as_plain
from relay.executor.interpreter import ConstructorValue, RefValue
from relay.executor.trace import Trace
from relay.ir.visit import post_order
from relay.support.errors import InputError, RelayError, UnsupportedError
from relay.transform import (
    DeadCodeElimination,
    DynamicToStatic,
    EliminateCommonSubexpr,
    FoldConstant,
    PartialEvaluate,
    Pass,
    RemoveDebug,
    ToANormalForm,
    ToGraphNormalForm,
)

HEADER = '#[version = "0.0.5"]\n'
X = np.array([1.0, 2.0], "float32")
INT = relay.TensorType((), "int32")


def listed(values: list[relay.NDArray]) -> list[object]:
    return [value.numpy().tolist() for value in values]


class TestDebug:
    def test_the_function_gets_every_value(self) -> None:
        seen: list[relay.NDArray] = []
        x = relay.var("x", shape=(2,))
        function = relay.Function([x], relay.add(relay.op.debug(relay.negative(x), seen.append), x))
        assert function.body.checked_type == x.checked_type
        run = relay.create_executor("debug").evaluate(function)
        assert run(X).numpy().tolist() == [0, 0]
        run(X * 2)
        assert listed(seen) == [[-1, -2], [-2, -4]]

    def test_any_value_passes(self) -> None:
        seen: list[object] = []
        prelude = relay.Prelude()
        run = relay.create_executor("debug", prelude.mod).evaluate
        x = relay.var("x", INT)
        for expr in (
            relay.Tuple([relay.const(1), relay.const(2)]),
            relay.RefCreate(relay.const(1)),
            prelude.cons(relay.const(1), prelude.nil()),
            relay.Function([x], relay.negative(x)),
        ):
            run(relay.debug(expr, seen.append))
        assert isinstance(seen[0], tuple)
        assert isinstance(seen[1], RefValue)
        assert isinstance(seen[2], ConstructorValue)
        assert seen[3](2).numpy() == -2  # type: ignore[operator]
        assert as_plain(tuple(seen[:3])) == ((1, 2), [1], ("Cons", 1, ("Nil",)))

    def test_what_the_function_raises_ends_the_run(self) -> None:
        def refuse(value: object) -> None:
            raise KeyError("found it")

        with pytest.raises(KeyError, match="found it"):
            relay.create_executor("debug").evaluate(relay.debug(relay.const(1), refuse))

    def test_pythons_breakpoint_is_the_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[dict[str, object]] = []
        monkeypatch.setattr(
            sys, "breakpointhook", lambda: seen.append(dict(sys._getframe(1).f_locals))
        )
        relay.create_executor("debug").evaluate(relay.debug(relay.const([1, 2])))
        (found,) = seen
        assert isinstance(found["value"], relay.NDArray)
        assert isinstance(found["plain"], np.ndarray)
        assert found["plain"].tolist() == [1, 2]

    def test_text_has_the_call_but_not_the_function(self) -> None:
        x = relay.var("x", shape=(2,))
        function = relay.Function([x], relay.debug(x, print))
        text = relay.infer_types(relay.IRModule.from_expr(function)).astext()
        assert "debug(%x)" in text
        again = relay.parse(text)
        assert again.astext() == text
        (call,) = [n for n in post_order(again["main"]) if isinstance(n, relay.Call)]
        assert call.attrs.debug_func is None  # type: ignore[union-attr]
        with pytest.raises(RelayError, match="debug_func is a Python function of a value"):
            relay.parse(text.replace("debug(%x)", 'debug(%x, debug_func="print")'))

    def test_passes_keep_it(self) -> None:
        text = """
        def @main() -> int32 {
          let %unused = debug(1);
          let %a = debug(2);
          let %b = debug(2);
          multiply(%a, %b)
        }
        """
        module = relay.infer_types(relay.parse(HEADER + text))
        passes = [
            DeadCodeElimination(inline_once=True),
            ToGraphNormalForm(),
            ToANormalForm(),
            FoldConstant(),
            EliminateCommonSubexpr(),
            PartialEvaluate(),
        ]
        for step in passes:
            with relay.transform.PassContext(opt_level=3):
                found = step(module)
            calls = [n for n in post_order(found["main"]) if isinstance(n, relay.Call)]
            debugged = [c.args[0] for c in calls if c.op == relay.op.get("debug")]
            values = [a.data.numpy() for a in debugged if isinstance(a, relay.Constant)]
            assert values == [1, 2, 2], step

    @pytest.mark.parametrize("kind", ["graph", "vm"])
    def test_what_compiles_says_what_to_do(self, kind: str) -> None:
        x = relay.var("x", shape=(2,))
        module = relay.IRModule.from_expr(relay.Function([x], relay.negative(relay.debug(x))))
        with pytest.raises(UnsupportedError, match=r"relay.transform.RemoveDebug\(\) takes it out"):
            relay.create_executor(kind, module).evaluate()(X)
        run = relay.create_executor(kind, RemoveDebug()(module)).evaluate()
        assert run(X).numpy().tolist() == [-1, -2]

    def test_remove_debug_keeps_what_has_none(self) -> None:
        module = relay.IRModule.from_expr(relay.negative(relay.const(1)))
        assert RemoveDebug()(module) is module

    @pytest.mark.parametrize("step", [FoldConstant(), DynamicToStatic()], ids=str)
    def test_what_has_an_effect_is_not_dropped(self, step: Pass) -> None:
        text = """
        def @main(%x: int32) -> (int32, Tensor[(1), int32]) {
          let %r = ref(%x);
          let %q = (ref_write(%r, 9), 1).1;
          let %s = shape_of(debug(expand_dims(%x, axis=0)));
          (add(%q, ref_read(%r)), %s)
        }
        """
        module = relay.infer_types(relay.parse(HEADER + text))
        assert step(module) is module
        assert relay.create_executor("vm", RemoveDebug()(module)).evaluate()(2)[0].numpy() == 10


def network() -> tuple[relay.Function, relay.Expr, relay.Expr]:
    x, y = relay.var("x", shape=(2,)), relay.Var("y")
    inner, outer = relay.exp(x), relay.negative(y)
    return relay.Function([x], relay.Let(y, inner, relay.add(outer, y))), inner, outer


@pytest.mark.parametrize("kind", ["debug", "graph"])
class TestTrace:
    def test_by_expression_operator_and_predicate(self, kind: str) -> None:
        function, inner, outer = network()
        executor = relay.create_executor(kind, relay.IRModule.from_expr(function))
        plain = executor.evaluate()(X).numpy()
        for at in ([inner, outer], ["exp", outer], lambda e: e in (inner, outer)):
            trace = executor.trace(at)(X)
            assert isinstance(trace, Trace)
            np.testing.assert_allclose(trace.result.numpy(), plain, rtol=1e-6)
            assert [expr for expr, _ in trace] == [inner, outer]
            assert len(trace) == 2
            np.testing.assert_allclose(trace[inner][0].numpy(), np.exp(X), rtol=1e-6)
            np.testing.assert_allclose(trace["negative"][0].numpy(), -np.exp(X), rtol=1e-6)
        assert len(executor.trace(inner)(x=X)) == 1
        (whole,) = executor.trace(function.body)(X)[function.body]
        np.testing.assert_allclose(whole.numpy(), plain, rtol=1e-6)

    def test_an_expression_with_bindings(self, kind: str) -> None:
        x = relay.var("x", shape=(2,))
        inner = relay.negative(x)
        trace = relay.create_executor(kind).trace(inner, relay.add(inner, x), {x: X})
        assert trace.result.numpy().tolist() == [0, 0]
        assert listed(trace[inner]) == [[-1, -2]]

    def test_tuples_and_params(self, kind: str) -> None:
        x, w = relay.var("x", shape=(2,)), relay.var("w", shape=(2,))
        pair = relay.Tuple([relay.multiply(x, w), x])
        function = relay.Function([x, w], relay.add(pair[0], relay.TupleGetItem(pair, 1)))
        module = relay.IRModule.from_expr(function)
        executor = relay.create_executor(kind, module, params={"w": X})
        # Parameters that become constants make new expressions, which names still find.
        trace = executor.trace("multiply")(X)
        assert listed(trace["multiply"]) == [[1, 4]]
        found = relay.create_executor(kind, module).trace(pair)(X, X)[pair]
        assert listed(list(found[0])) == [[1, 4], [1, 2]]

    def test_what_is_not_there_is_said(self, kind: str) -> None:
        function, inner, _ = network()
        trace = relay.create_executor(kind, relay.IRModule.from_expr(function)).trace
        with pytest.raises(InputError, match=r"no operator 'exq' .* did you mean `exp`"):
            trace("exq")
        with pytest.raises(InputError, match="the Call to trace is not part of the program"):
            trace([inner, relay.exp(relay.const(1.0))])
        with pytest.raises(InputError, match=r"the Var to trace .* is a variable"):
            trace(function.params[0])
        with pytest.raises(InputError, match="nothing is chosen"):
            trace([])
        with pytest.raises(InputError, match="chose none"):
            trace(lambda _: False)


def test_every_evaluation_counts_in_the_interpreter() -> None:
    text = """
    def @main(%n: int32) -> int32 {
      if (equal(%n, 0)) { 0 } else { multiply(%n, %n) + @main(%n - 1) }
    }
    """
    module = relay.parse(HEADER + text)
    run = relay.create_executor("debug", module).trace(["multiply", "equal"])
    trace = run(3)
    assert trace.result.numpy() == 14
    assert listed(trace["multiply"]) == [9, 4, 1]
    assert len(trace["equal"]) == 4
    assert listed(run(1)["multiply"]) == [1]  # a run of its own
    with pytest.raises(UnsupportedError):
        relay.create_executor("graph", module).trace("equal")


def test_compiled_programs_refuse_what_may_not_be_evaluated() -> None:
    x = relay.var("x", shape=())
    inside = relay.exp(x)
    body = relay.If(relay.less(x, relay.const(0.0)), inside, x)
    module = relay.IRModule.from_expr(relay.Function([x], body))
    with pytest.raises(InputError, match=r'in a branch, .*create_executor\("debug", mod\)'):
        relay.create_executor("graph", module).trace(inside)
    assert relay.create_executor("debug", module).trace(inside)(1.0)[inside] == []
