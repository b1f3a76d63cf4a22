"""Which functions of a module can be invoked by name."""

from pathlib import Path

import numpy as np
import pytest

import relay
from relay.ir.visit import post_order
from relay.prelude import Prelude
from relay.support.errors import InputError, UnsupportedError

HEADER = '#[version = "0.0.5"]\n'
T = "Tensor[(2), float32]"
X = np.array([1, 2], np.float32)
FUNCTIONS = f"""
def @helper(%x: {T}) -> {T} {{ add(%x, 1f) }}
def @encode(%x: {T}) -> ({T}, int32) {{ (@twice(@helper, %x), 2) }}
def @decode(%code: ({T}, int32)) -> {T} {{ subtract(%code.0, 2f) }}
def @twice[A](%f: fn(A) -> A, %x: A) -> A {{ %f(%f(%x)) }}
def @pair[A](%x: A) -> (A, A) {{ (%x, %x) }}
def @apply(%f: fn({T}) -> {T}) -> {T} {{ %f(ones(shape=[2], dtype="float32")) }}
def @maker(%x: {T}) -> fn({T}) -> {T} {{ fn(%y: {T}) -> {T} {{ add(%x, %y) }} }}
def @inner(%x: {T}, Primitive=1) -> {T} {{ add(%x, %x) }}
"""


def compiled(text: str) -> relay.vm.VMExecutable:
    return relay.vm.compile(relay.parse(HEADER + text))


def test_a_module_without_main() -> None:
    executable = compiled(FUNCTIONS)
    # What they call is compiled, and may be invoked, too.
    assert set(executable.globals) == {"helper", "encode", "decode", "twice"}
    machine = relay.vm.VirtualMachine(executable)
    code = machine.invoke("encode", X)
    np.testing.assert_array_equal(code[0].numpy(), X + 2)
    np.testing.assert_array_equal(machine.invoke("decode", code).numpy(), X)
    np.testing.assert_array_equal(machine.invoke("decode", code=code).numpy(), X)
    assert executable.get_function_params("decode") == ["code"]
    for name in ("pair", "apply", "maker", "inner"):
        with pytest.raises(InputError, match="only where another function calls them"):
            machine.invoke(name, X)


def test_main_and_others() -> None:
    executable = compiled(FUNCTIONS + f"def @main(%x: {T}) {{ (@maker(%x))(@apply(@helper)) }}")
    machine = relay.vm.VirtualMachine(executable)
    np.testing.assert_array_equal(machine.invoke("main", X).numpy(), X + 2)
    np.testing.assert_array_equal(machine.invoke("helper", X).numpy(), X + 1)
    np.testing.assert_array_equal(machine.invoke("maker", X)(X).numpy(), X + X)
    machine.set_input("decode", (X, 2))
    np.testing.assert_array_equal(machine.invoke("decode").numpy(), X - 2)


def test_only_what_is_wanted() -> None:
    mod = relay.parse(HEADER + FUNCTIONS)
    kept = relay.transform.RemoveUnusedFunctions(["decode"])(mod)
    assert relay.vm.compile(kept).globals == ["decode"]


def test_a_saved_program_has_the_same_functions(tmp_path: Path) -> None:
    executable = compiled(FUNCTIONS)
    executable.save(tmp_path / "p.rlyvm")
    again = relay.vm.load(tmp_path / "p.rlyvm")
    assert again.globals == executable.globals
    machine = relay.vm.VirtualMachine(again)
    np.testing.assert_array_equal(machine.invoke("helper", X).numpy(), X + 1)


def test_polymorphic_functions_of_the_prelude_are_left_out() -> None:
    module = Prelude().mod
    module["main"] = relay.Function([], relay.const(1))
    functions = {v.name_hint: f for v, f in module.functions.items()}
    found = relay.vm.compile(module).globals
    assert "main" in found
    assert not any(functions[n].type_params for n in set(found) - called(functions, found))


def called(functions: dict[str, relay.Function], names: list[str]) -> set[str]:
    """The functions that those called `names` call themselves."""
    nodes = [node for name in names for node in post_order(functions[name])]
    return {node.name_hint for node in nodes if isinstance(node, relay.GlobalVar)}


def test_operators_without_a_compiled_form() -> None:
    """They are refused where ``@main`` reaches them; else the functions that do are left out."""
    text = f"""def @bad(%x: {T}) {{ debug(%x) }}
        def @worse(%x: {T}) {{ @bad(%x) }}
        def @good(%x: {T}) {{ exp(%x) }}"""
    assert compiled(text).globals == ["good"]
    assert compiled(text + f"def @main(%x: {T}) {{ @good(%x) }}").globals == ["good", "main"]
    with pytest.raises(UnsupportedError, match=r"form: debug \("):
        compiled(text + f"def @main(%x: {T}) {{ @worse(%x) }}")


def test_an_executor_compiles_what_it_calls() -> None:
    mod = relay.parse(HEADER + FUNCTIONS + f"def @main(%x: {T}) {{ @helper(%x) }}")
    evaluate = relay.create_executor("vm", mod=mod).evaluate
    np.testing.assert_array_equal(evaluate()(X).numpy(), X + 1)
    code = (relay.const(X), relay.const(2))
    decode = relay.Call(mod.get_global_var("decode"), [relay.Tuple(code)])
    np.testing.assert_array_equal(evaluate(decode).numpy(), X - 2)
