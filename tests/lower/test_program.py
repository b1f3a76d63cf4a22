"""Fused graphs as programs: views, results that nothing computes, kernels made once."""

import numpy as np
import pytest

import relay
from relay.codegen.llvm.host import host_target
from relay.lower.compile import CompileOptions, Lowered, lower, optimise
from relay.lower.program import Program, linearize
from relay.lower.translate import function_key, operators
from relay.support.errors import UnsupportedError

HEAD = '#[version = "0.0.5"]\n'


def lowered(text: str) -> Lowered:
    """A program, optimised and lowered."""
    options = CompileOptions(host_target())
    return lower(optimise(relay.parse(HEAD + text), options), options)


def called(found: Lowered) -> list[list[str]]:
    """The operators of every step."""
    return [operators(step.source) for step in found.program.steps]


def check_values(text: str, *shapes: tuple[int, ...]) -> None:
    """The compiled program computes what the interpreter says."""
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    results = []
    for kind in ("debug", "graph"):
        module = relay.parse(HEAD + text)
        found = relay.create_executor(kind, mod=module).evaluate()(*inputs)
        found = found if isinstance(found, tuple | list) else [found]
        results.append([value.numpy() for value in found])
    for wanted, found in zip(*results, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


VIEW = """def @main(%x: Tensor[(4, 6), float32]) {
  %0 = exp(%x);
  %1 = reshape(%0, newshape=[3, 8]);
  nn.softmax(%1)
}"""
INPUT_OUT = "def @main(%x: Tensor[(4, 6), float32]) { (%x, exp(%x)) }"
TWICE = "def @main(%x: Tensor[(4, 6), float32]) { %0 = exp(%x); (%0, %0) }"
VIEW_OUT = """def @main(%x: Tensor[(4, 6), float32]) {
  %0 = nn.softmax(%x);
  (%0, reshape(%0, newshape=[24]))
}"""
VIEW_OF_INPUT = "def @main(%x: Tensor[(4, 6), float32]) { reshape(%x, newshape=[24]) }"
SAME_TWICE = """def @main(%x: Tensor[(4, 6), float32], %y: Tensor[(4, 6), float32]) {
  %0 = nn.softmax(%x);
  %1 = nn.softmax(%y);
  (%0, %1)
}"""
DIFFERENT = """def @main(%x: Tensor[(4, 6), float32]) {
  (nn.softmax(%x, axis=0), nn.softmax(%x, axis=1))
}"""


def test_a_view_costs_nothing() -> None:
    found = lowered(VIEW)
    assert all("reshape" not in ops or len(ops) > 1 for ops in called(found))
    check_values(VIEW, (4, 6))


def test_an_input_as_result_is_copied() -> None:
    found = lowered(INPUT_OUT)
    assert ["copy"] in called(found)
    assert all(value.input is None for value in found.program.outputs)
    check_values(INPUT_OUT, (4, 6))


def test_a_constant_as_result_is_copied() -> None:
    x = relay.var("x", shape=(4,), dtype="float32")
    held = relay.const(np.arange(5, dtype=np.float32))
    module = relay.IRModule.from_expr(relay.Function([x], relay.Tuple([relay.exp(x), held])))
    found = relay.create_executor("graph", mod=module).evaluate()(np.zeros(4, np.float32))
    np.testing.assert_array_equal(found[1].numpy(), np.arange(5))


def test_one_value_given_out_twice_is_copied() -> None:
    found = lowered(TWICE)
    first, second = found.program.outputs
    assert first.storage is not second.storage
    assert called(found).count(["copy"]) == 1
    check_values(TWICE, (4, 6))


def test_a_view_of_a_result() -> None:
    found = lowered(VIEW_OUT)
    first, second = found.program.outputs
    assert first.storage is not second.storage
    assert second.type.concrete_shape == (24,)
    check_values(VIEW_OUT, (4, 6))


def test_a_view_of_an_input() -> None:
    (out,) = lowered(VIEW_OF_INPUT).program.outputs
    assert out.input is None
    assert out.type.concrete_shape == (24,)
    check_values(VIEW_OF_INPUT, (4, 6))


def test_every_output_is_written_by_a_step() -> None:
    for text in (VIEW, INPUT_OUT, TWICE, VIEW_OUT, VIEW_OF_INPUT, SAME_TWICE):
        program = lowered(text).program
        written = {value.storage for step in program.steps for value in step.outputs}
        assert {value.storage for value in program.outputs} <= written
        assert len({value.storage for value in program.outputs}) == len(program.outputs)


def test_values_are_computed_before_they_are_read() -> None:
    for text in (VIEW, INPUT_OUT, TWICE, VIEW_OUT, SAME_TWICE):
        ready = set()
        for step in lowered(text).program.steps:
            for value in step.inputs:
                storage = value.storage
                given = storage.input is not None or storage.constant is not None
                assert given or storage in ready
            ready |= {value.storage for value in step.outputs}


def test_equal_functions_share_a_kernel() -> None:
    found = lowered(SAME_TWICE)
    assert len(found.program.steps) == 2
    assert len(found.kernels) == 1
    assert [step.kernel for step in found.steps] == [found.kernels[0].name] * 2
    check_values(SAME_TWICE, (4, 6), (4, 6))


def test_other_attributes_make_another_kernel() -> None:
    found = lowered(DIFFERENT)
    assert len(found.kernels) == 2
    assert len({kernel.name for kernel in found.kernels}) == 2
    keys = {function_key(step.source) for step in found.program.steps}
    assert len(keys) == 2
    check_values(DIFFERENT, (4, 6))


def test_unknown_kernel() -> None:
    found = lowered(SAME_TWICE)
    with pytest.raises(UnsupportedError, match=f"the kernels are {found.kernels[0].name}"):
        found.kernel("nothing")


def test_control_flow_is_refused() -> None:
    text = """def @main(%c: bool, %x: Tensor[(4,), float32]) {
      if (%c) { exp(%x) } else { log(%x) }
    }"""
    with pytest.raises(UnsupportedError, match="straight-line programs"):
        lowered(text)


def test_tuples_as_parameters_are_refused() -> None:
    text = "def @main(%t: (Tensor[(4,), float32], Tensor[(4,), float32])) { exp(%t.0) }"
    with pytest.raises(UnsupportedError, match="the parameter %t has type"):
        lowered(text)


def test_unknown_shapes_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="needs static shapes"):
        lowered("def @main(%x: Tensor[(?, 4), float32]) { exp(%x) }")


def test_long_programs() -> None:
    """Linear in the number of calls, and not recursive."""
    x = relay.var("x", shape=(4,), dtype="float32")
    body = x
    for _ in range(3_000):
        body = relay.nn.softmax(body)
    module = relay.IRModule.from_expr(relay.Function([x], body))
    options = CompileOptions(host_target())
    found = lower(optimise(module, options), options)
    assert len(found.program.steps) == 3_000
    assert len(found.kernels) == 1
    assert found.arena_bytes <= 8 * 64


def test_program_of_no_calls() -> None:
    module = relay.parse(HEAD + "def @main(%x: Tensor[(4,), float32]) { (%x, %x) }")
    options = CompileOptions(host_target())
    main = optimise(module, options)["main"]
    program = linearize(main, lambda _: main)
    assert isinstance(program, Program)
    assert len(program.steps) == 2
