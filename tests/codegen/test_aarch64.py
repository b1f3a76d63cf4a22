"""The same schedules for AArch64 with NEON: cross-compiled, and run on an emulated CPU."""

import re
from pathlib import Path

import numpy as np
import pytest

import relay
from emulation import RETURN, Emulator, run_graph
from kernel_programs import programs
from relay import dtypes
from relay.codegen.llvm.host import host_target
from relay.codegen.llvm.jit import assembly_text
from relay.codegen.llvm.link import compile_text, object_code
from relay.codegen.llvm.support import support_text
from relay.executor import artifact
from relay.executor.build import lower_module
from relay.executor.graph import GraphFactory
from relay.support.errors import ArtifactError, InputError
from relay.target import for_cpu

TARGET = for_cpu("aarch64-unknown-linux-gnu", features=("neon",), cores=3)
PROGRAMS = programs()
#: What programs may call from the C library: where a function is not computed by our own code.
LIBRARY = {
    "the C library": {"tan", "atan", "sinh", "pow", "exp", "sinf"},
}


@pytest.fixture(scope="module")
def support() -> bytes:
    return compile_text(support_text(TARGET), TARGET)


def emulated(
    factory: GraphFactory, inputs: tuple[np.ndarray, ...], support: bytes
) -> tuple[list[np.ndarray], set[str]]:
    """The outputs of a program, and what it called from the C library."""
    outputs = [(spec.shape, dtypes.to_numpy(spec.dtype)) for spec in factory.outputs]
    images = [*dict.fromkeys(factory.objects), support]
    return run_graph(images, inputs, factory.constants, outputs, factory.arena_bytes)


@pytest.mark.parametrize("name", PROGRAMS)
def test_results(name: str, support: bytes) -> None:
    program = PROGRAMS[name]
    factory = relay.build(program.function, TARGET)
    assert any(program.kernel in kernel for kernel in factory.kernel_names)
    outputs, called = emulated(factory, program.inputs, support)
    program.check(outputs)
    assert called == LIBRARY.get(name, set())


def test_vectors_are_multiplied_and_added_in_one_instruction() -> None:
    lowered = lower_module(PROGRAMS["dense"].function, TARGET)
    text = assembly_text([kernel.scheduled for kernel in lowered.kernels], TARGET)
    assert len(re.findall(r"fmla\s+v\d+\.4s", text)) > 4


def test_scratch_memory(support: bytes) -> None:
    """A row too long for the stack lies in a block that the support code hands out."""
    x = relay.var("x", shape=(4, 20_000))
    factory = relay.build(relay.Function([x], relay.nn.softmax(x)), TARGET)
    data = np.random.default_rng(1).standard_normal((4, 20_000)).astype("float32")
    (actual,), called = emulated(factory, (data,), support)
    exponentials = np.exp(data - data.max(1, keepdims=True))
    np.testing.assert_allclose(actual, exponentials / exponentials.sum(1, keepdims=True), 1e-4)
    assert called == {"malloc"}


# ---------------------------------------------------------------------- cross-compiling

foreign = pytest.mark.skipif(
    artifact.obstacle(TARGET, host_target()) is None, reason="this machine is the target"
)


@foreign
def test_a_program_for_another_machine_is_written_and_not_run(tmp_path: Path) -> None:
    program = PROGRAMS["dense"]
    factory = relay.build(program.function, TARGET)
    refused = "compiled for aarch64 linux, this machine is"
    with pytest.raises(InputError, match=refused):
        factory["default"](relay.cpu(0))
    path = tmp_path / "dense.rly"
    factory.export_library(path)
    assert artifact.read(path).target == TARGET
    assert tuple(artifact.read(path).objects.values()) == factory.objects
    with pytest.raises(ArtifactError, match=refused):
        relay.load(path)


@pytest.mark.parametrize(
    ("triple", "magic"),
    [
        ("aarch64-unknown-linux-gnu", b"\x7fELF"),
        ("arm64-apple-macosx14.0.0", b"\xcf\xfa\xed\xfe"),
        ("aarch64-pc-windows-msvc", b"\x64\xaa"),
        ("x86_64-pc-windows-msvc", b"\x64\x86"),
    ],
)
def test_formats_of_objects(triple: str, magic: bytes) -> None:
    factory = relay.build(PROGRAMS["dense"].function, for_cpu(triple))
    assert all(image.startswith(magic) for image in factory.objects)


@foreign
def test_the_virtual_machine_of_another_machine(tmp_path: Path) -> None:
    program = PROGRAMS["dense"]
    executable = relay.vm.compile(program.function, TARGET)
    with pytest.raises(InputError, match="compiled for aarch64 linux"):
        relay.vm.VirtualMachine(executable).invoke("main", *program.inputs)
    path = tmp_path / "dense.rly"
    executable.save(path)
    with pytest.raises(ArtifactError, match="compiled for aarch64 linux"):
        relay.vm.load(path)


# ---------------------------------------------------------------------- the emulator


def test_the_emulated_cpu_has_no_later_instructions() -> None:
    text = """target triple = "aarch64-unknown-linux-gnu"
declare <4 x i32> @llvm.aarch64.neon.sdot.v4i32.v16i8(<4 x i32>, <16 x i8>, <16 x i8>)
define void @f(ptr %a) {
  %x = load <16 x i8>, ptr %a
  %y = call <4 x i32> @llvm.aarch64.neon.sdot.v4i32.v16i8(
    <4 x i32> zeroinitializer, <16 x i8> %x, <16 x i8> %x)
  store <4 x i32> %y, ptr %a
  ret void
}
"""
    image = object_code(text, for_cpu(TARGET.triple, features=("neon", "dotprod")))
    machine = Emulator([image])
    with pytest.raises(AssertionError, match="instruction 4e8"):
        machine.call("f", machine.reserve(16))


def test_an_access_behind_an_array_is_found() -> None:
    text = """target triple = "aarch64-unknown-linux-gnu"
define void @f(ptr %a) {
  %next = getelementptr i8, ptr %a, i64 64
  store i8 1, ptr %next
  ret void
}
"""
    machine = Emulator([object_code(text, TARGET)])
    with pytest.raises(AssertionError, match="Invalid memory"):
        machine.call("f", machine.reserve(64))


def test_references_of_every_kind() -> None:
    """Tables, variables, addresses of variables and of what is far away."""
    text = """
@number = global i64 41, align 8
@pointer = global ptr @number, align 8
@table = internal constant [4 x i32] [i32 7, i32 8, i32 9, i32 10], align 16
@elsewhere = external global i32
define void @f(ptr %out, i64 %i) {
  %p = load ptr, ptr @pointer
  %a = load i64, ptr %p
  %b = add i64 %a, 1
  store i64 %b, ptr @number
  store i64 %b, ptr %out
  %t = getelementptr i32, ptr @table, i64 %i
  %v = load i32, ptr %t
  %w = zext i32 %v to i64
  %o1 = getelementptr i64, ptr %out, i64 1
  store i64 %w, ptr %o1
  %x = load i32, ptr @elsewhere
  %y = zext i32 %x to i64
  %o2 = getelementptr i64, ptr %out, i64 2
  store i64 %y, ptr %o2
  ret void
}
"""
    machine = Emulator([object_code(text, TARGET)])
    place = machine.reserve(64)
    for number in (42, 43):
        machine.call("f", place, 2)
        found = machine.read(place, (3,), np.dtype(np.uint64))
        assert found.tolist() == [number, 9, RETURN]
