"""Text, and operators on the host: what the virtual machine does not compile."""

from pathlib import Path

import numpy as np
import pytest

import relay
from op.record import Record
from op.records_text import RECORDS
from relay.executor.vm.host import HostCall
from relay.executor.vm.instructions import InvokeHost
from relay.executor.vm.text import parse as parse_bytecode
from relay.executor.vm.text import program_text
from relay.executor.vm.verify import verify
from relay.ir.expr import Call, Function, Var
from relay.ir.module import IRModule
from relay.ir.types import TensorType
from relay.op import strings
from relay.runtime.memory import ALIGNMENT
from relay.runtime.ndarray import array as new_array
from relay.support.errors import ArtifactError, InputError, RelayError, UnsupportedError

PROGRAM = """#[version = "0.0.5"]
def @main(%x: Tensor[(?), string], %y: Tensor[(2), float32]) {
  let %loud = strings.concat(strings.upper(%x), "!");
  let %parts = strings.split(%x, delimiter=",");
  let %n = add(%y, cast("1.5", dtype="float32"));
  (%loud, %parts.0, %parts.1, multiply(%n, 2f), meta[relay.Constant][0], cast(%n, dtype="string"))
}
"""
TEXT = np.array([["\u00fcber"], ["\U0001f600"]], object)


def compiled() -> relay.vm.Executable:
    mod = relay.parse(PROGRAM, init_meta_table={"relay.Constant": [relay.const(TEXT)]})
    return relay.vm.compile(mod)


def shown(result: tuple[relay.NDArray, ...]) -> list[object]:
    return [v.numpy().tolist() for v in result]


EXPECTED = [
    ["A,B!", "!"],
    [["a", "b"], ["", ""]],
    [2, 1],
    [3.0, 5.0],
    TEXT.tolist(),
    ["1.5", "2.5"],
]
Y = np.array([0, 1], np.float32)


@pytest.mark.parametrize("given", [["a,b", ""], np.array(["a,b", ""]), np.array(["a,b", ""], "O")])
def test_text_goes_in_and_out(given: object) -> None:
    machine = relay.vm.VirtualMachine(compiled())
    assert shown(machine.invoke("main", given, Y)) == EXPECTED
    mod = relay.parse(PROGRAM, init_meta_table={"relay.Constant": [relay.const(TEXT)]})
    assert shown(relay.create_executor("debug", mod).evaluate()(given, Y)) == EXPECTED


def test_in_files(tmp_path: Path) -> None:
    executable = compiled()
    executable.save(tmp_path / "text.rlyvm")
    loaded = relay.vm.load(tmp_path / "text.rlyvm")
    assert loaded.program == executable.program
    assert [o.arity for o in loaded.operators] == [o.arity for o in executable.operators]
    assert ("strings.split", 1) in [o.arity for o in loaded.operators]
    assert shown(relay.vm.VirtualMachine(loaded).invoke("main", ["a,b", ""], Y)) == EXPECTED
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "text.rlyvm").read_bytes()


def test_bytecode() -> None:
    executable = compiled()
    text = str(executable)
    assert parse_bytecode(text) == executable.program
    assert program_text(parse_bytecode(text)) == text
    assert "strings.upper/1" in text
    for flaw, message in (
        ("strings.upper/1", "strings.upper takes 2 arguments"),
        ("host 1 (", "the operator does not exist"),
    ):
        changed = flaw.replace("/1", "/2").replace("1 (", "99 (")
        assert flaw in text
        with pytest.raises(ArtifactError, match=message):
            verify(parse_bytecode(text.replace(flaw, changed, 1)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1, 2], "x: expected text, found an element of type int"),
        ([b"a"], "x: expected text, found an element of type bytes"),
        (np.zeros(2), "found Tensor"),
        ([["a"]], "found Tensor"),
        (None, "expected an array"),
        ([["a"], ["b", "c"]], "expected text, found an element of type list|expected an array"),
    ],
)
def test_unfit_arguments(given: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        relay.vm.VirtualMachine(compiled()).invoke("main", given, Y)


def test_results_have_memory_of_their_own() -> None:
    mod = relay.parse("""#[version = "0.0.5"]
        def @main(%x: Tensor[(2), string], %n: Tensor[(4), float32]) {
          (reshape(%x, newshape=[2, 1]), vm.first(%n, 2), "constant") }""")
    x, n = np.array(["a", "b"], object), new_array(np.arange(4, dtype=np.float32)).numpy()
    first, second, constant = relay.vm.VirtualMachine(relay.vm.compile(mod)).invoke("main", x, n)
    assert not np.shares_memory(first.numpy(), x)
    assert not np.shares_memory(second.numpy(), n)
    assert second.numpy().ctypes.data % ALIGNMENT == 0
    assert not constant.numpy().flags.writeable


def test_control_flow_and_data() -> None:
    mod = relay.parse("""#[version = "0.0.5"]
        type List[A] { Cons(A, List[A]), Nil, }
        def @join(%l: List[string], %all: string) -> string {
          match (%l) { Cons(%h, %t) => { @join(%t, strings.concat(%all, %h)) }, Nil => { %all } } }
        def @main(%x: string) {
          if (equal(%x, "")) { "nothing" } else { @join(Cons(%x, Cons("-", Cons(%x, Nil))), "") } }
        """)
    machine = relay.vm.VirtualMachine(relay.vm.compile(mod))
    assert machine.invoke("main", "ab").item() == "ab-ab"
    assert machine.invoke("main", "").item() == "nothing"


@pytest.mark.parametrize("record", RECORDS, ids=str)
def test_operators(record: Record) -> None:
    """Every operator on text, and every one that finds, in a compiled program."""
    call, variables = record.call()
    arrays = record.arrays()
    flat = [a for array in arrays for a in (array if isinstance(array, tuple) else (array,))]
    machine = relay.vm.VirtualMachine(relay.vm.compile(Function(variables, call)))
    found = machine.invoke("main", *flat)
    expected = call.attrs.reference(*arrays)  # type: ignore[union-attr]
    pairs = zip(found, expected, strict=True) if isinstance(found, tuple) else [(found, expected)]
    for a, b in pairs:
        assert a.numpy().dtype == np.asarray(b).dtype
        np.testing.assert_array_equal(a.numpy(), b)


def test_nothing_is_compiled_for_a_number() -> None:
    mod = relay.parse("""#[version = "0.0.5"]
        def @main(%x: Tensor[(40, 3), float32]) { argwhere(%x) }""")
    executable = relay.vm.compile(mod)
    machine = relay.vm.VirtualMachine(executable)
    for share in (0, 0.1, 0.5, 1):
        x = (np.random.default_rng(0).random((40, 3)) < share).astype(np.float32)
        np.testing.assert_array_equal(machine.invoke("main", x).numpy(), np.argwhere(x))
    assert executable.compilations == []
    assert sum(isinstance(i, InvokeHost) for f in executable.functions for i in f.code) == 1


def test_long_searches() -> None:
    """What is searched in parts, and rows that start in the middle of one."""
    for shape in ((1, 50_000), (40_000,), (9, 7, 1000), (123, 457)):
        variable = relay.var("x", shape=shape, dtype="bool")
        machine = relay.vm.VirtualMachine(
            relay.vm.compile(Function([variable], relay.argwhere(variable)))
        )
        x = np.random.default_rng(1).random(shape) < 0.3
        np.testing.assert_array_equal(machine.invoke("main", x).numpy(), np.argwhere(x))


def test_more_is_asked_for_than_there_is() -> None:
    mod = relay.parse("""#[version = "0.0.5"]
        def @main(%x: Tensor[(3), float32], %n: int32) { vm.first(%x, %n) }""")
    machine = relay.vm.VirtualMachine(relay.vm.compile(mod))
    for number in (4, -1):
        with pytest.raises(InputError, match=f"{number} elements are asked for"):
            machine.invoke("main", np.zeros(3, np.float32), number)


def test_numbers_that_are_none() -> None:
    variable = relay.var("x", shape=(), dtype="string")
    for text, dtype in (("x", "float32"), ("1_0", "int32"), ("999", "int8"), ("inf", "int64")):
        run = relay.create_executor(
            "vm", IRModule.from_expr(Function([variable], relay.cast(variable, dtype)))
        ).evaluate()
        with pytest.raises(InputError, match=text):
            run(text)


def test_the_graph_executor_says_who_can() -> None:
    x = relay.var("x", shape=(2,), dtype="string")
    n = relay.var("n", shape=(2,))
    for params, body in (
        ([x], relay.equal(x, x)),
        ([n], relay.Tuple([n, relay.const("text")])),
        ([n], relay.cast(n, "string")),
    ):
        with pytest.raises(UnsupportedError, match=r"relay\.vm\.compile"):
            relay.build(Function(params, body))
    with pytest.raises(UnsupportedError, match="static shapes"):
        relay.build(Function([n], relay.argwhere(n)))


def test_text_is_not_computed_with() -> None:
    x = relay.var("x", shape=(2,), dtype="string")
    for build in (relay.exp, relay.negative, relay.sum, lambda v: relay.add(v, v)):
        with pytest.raises(RelayError, match=r"text|numbers|floating"):
            _ = build(x).checked_type
    with pytest.raises(RelayError, match="expected text"):
        _ = strings.upper(relay.var("n", shape=(2,))).checked_type


def test_a_call_on_the_host_is_one() -> None:
    n = Var("n", TensorType((2,), "float32"))
    for body in (n, relay.exp(n)):
        with pytest.raises(ArtifactError, match="not that of an operator that runs there"):
            HostCall(Function([n], body))
    x = Var("x", TensorType((2,), "string"))
    twice = relay.concatenate([x, x], 0)
    with pytest.raises(ArtifactError):
        HostCall(Function([x], twice))
    assert isinstance(twice, Call)
