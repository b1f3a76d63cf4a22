"""The loader of object files: the same results as LLVM's linker, and errors for what is damaged."""

import ctypes
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import relay
from kernel_programs import programs
from relay.codegen import llvm
from relay.codegen.llvm.host import host_target
from relay.codegen.llvm.link import link, object_code, thread_pool
from relay.codegen.llvm.support import KERNEL_SYMBOLS, support_text
from relay.executor.graph import GraphFactory
from relay.runtime import library
from relay.runtime.elf import MACHINES, Part
from relay.runtime.linker import Image
from relay.support.errors import ArtifactError
from relay.target import for_cpu, machine

PROGRAMS = programs()
TARGETS = {
    "x86_64": for_cpu("x86_64-unknown-linux-gnu"),
    "aarch64": for_cpu("aarch64-unknown-linux-gnu", features=("neon",)),
}
#: Every kind of section and of reference: calls, addresses of what is elsewhere, tables, variables.
TEXT = """
@zeros = global [10 x i64] zeroinitializer, align 64
@number = global i64 41, align 8
@pointer = global ptr @number, align 8
@table = constant [4 x i32] [i32 7, i32 8, i32 9, i32 10], align 16
@elsewhere = external global i64
declare double @exp(double)
declare ptr @malloc(i64)

define i64 @add() {
  %p = load ptr, ptr @pointer
  %a = load i64, ptr %p
  %b = add i64 %a, 1
  store i64 %b, ptr @number
  %z = getelementptr i64, ptr @zeros, i64 9
  store i64 %b, ptr %z
  %c = load i64, ptr %z
  ret i64 %c
}
define i32 @look(i64 %i) {
  %p = getelementptr i32, ptr @table, i64 %i
  %v = load i32, ptr %p
  ret i32 %v
}
define double @e(double %x) {
  %y = fmul double %x, 3.25
  %z = call double @exp(double %y)
  %r = fadd double %z, 0.125
  ret double %r
}
define ptr @where() {
  ret ptr @malloc
}
define i64 @other() {
  %v = load i64, ptr @elsewhere
  ret i64 %v
}
"""
needs_loader = pytest.mark.skipif(not library.is_supported(), reason="LLVM links on this platform")
on_x86_64 = pytest.mark.skipif(machine() != "x86_64", reason="the code is for x86-64")


def compiled(text: str = TEXT, name: str = "x86_64") -> bytes:
    return object_code(text, TARGETS[name])


def image_of(data: bytes, name: str = "x86_64") -> Image:
    return Image([data], MACHINES[name], 4096)


def address(function: object) -> int:
    found = ctypes.cast(function, ctypes.c_void_p).value  # type: ignore[arg-type]
    assert found
    return found


# ---------------------------------------------------------------------- the same as LLVM's linker


@needs_loader
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_compute_what_they_do_when_llvm_links_them(name: str) -> None:
    program = PROGRAMS[name]
    factory = relay.build(program.function)
    pool = thread_pool().addresses
    imports = {symbol: pool[symbol] for symbol in KERNEL_SYMBOLS}
    results = []
    for load in (library.load, llvm.native.load):
        factory.library = load(factory.objects, ["relay_main"], imports)
        results.append([a.numpy() for a in factory.create()(*program.inputs)])
    program.check(results[0])
    for own, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(own, theirs)


@on_x86_64
@needs_loader
@pytest.mark.parametrize("load", [library.load, lambda *a: llvm.native.load(*a)])
def test_every_kind_of_reference(load: Callable[..., library.Library]) -> None:
    value = ctypes.c_int64(1234)
    names = ["add", "look", "e", "where", "other"]
    found = load([compiled()], names, {"elsewhere": ctypes.addressof(value)})
    int64 = ctypes.c_int64
    assert ctypes.CFUNCTYPE(int64)(found["add"])() == 42
    assert ctypes.CFUNCTYPE(int64)(found["add"])() == 43
    look = ctypes.CFUNCTYPE(ctypes.c_int32, int64)(found["look"])
    assert [look(k) for k in range(4)] == [7, 8, 9, 10]
    e = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(found["e"])
    assert e(2.0) == pytest.approx(np.exp(6.5) + 0.125, rel=1e-15)
    where = ctypes.CFUNCTYPE(ctypes.c_void_p)(found["where"])
    assert where() == address(ctypes.CDLL(None).malloc)
    assert ctypes.CFUNCTYPE(int64)(found["other"])() == 1234


@on_x86_64
@needs_loader
def test_functions_far_away_are_called_by_trampolines() -> None:
    """Those of the interpreter's program, say: libraries and code are in the upper half."""
    text = """
declare i32 @Py_IsInitialized()
define i32 @f() {
  %r = call i32 @Py_IsInitialized()
  ret i32 %r
}
"""
    found = library.load([compiled(text)], ["f"])
    assert ctypes.CFUNCTYPE(ctypes.c_int32)(found["f"])() == 1
    image = image_of(compiled(text))
    memory = bytearray(image.bytes)
    image.write(memory, 0x1_0000, lambda _: 0x7FFF_1234_5678)
    span = image.parts[Part.CODE]
    assert memory[span.end - 16 : span.end] == bytes.fromhex("ff25020000006690") + struct.pack(
        "<Q", 0x7FFF_1234_5678
    )


@needs_loader
def test_objects_call_each_other() -> None:
    target = host_target()
    first = "declare i32 @g()\ndefine i32 @f() {\n  %r = call i32 @g()\n  ret i32 %r\n}\n"
    second = "define i32 @g() {\n  ret i32 77\n}\n"
    images = [object_code(text, target) for text in (first, second)]
    for order in (images, images[::-1]):
        found = link(order, ["f"])
        assert ctypes.CFUNCTYPE(ctypes.c_int32)(found["f"])() == 77


@needs_loader
def test_code_goes_when_nobody_has_it() -> None:
    before = Path("/proc/self/maps").read_text().count("r-xp")
    found = [link([object_code(support_text(host_target()), host_target())], []) for _ in range(3)]
    assert Path("/proc/self/maps").read_text().count("r-xp") >= before + 2  # neighbours join
    found.clear()
    assert Path("/proc/self/maps").read_text().count("r-xp") <= before + 1


@on_x86_64
@needs_loader
def test_nothing_is_writable_and_executable() -> None:
    code = library.load([compiled()], ["add", "number", "table"], {"elsewhere": 1})
    rights = {name: rights_at(code[name]) for name in code.addresses}
    assert rights == {"add": "r-xp", "number": "rw-p", "table": "r--p"}


def rights_at(place: int) -> str:
    """What may be done with the memory at an address."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, rights = line.split()[:2]
        start, end = (int(part, 16) for part in span.split("-"))
        if start <= place < end:
            return rights
    return "nothing"


@pytest.mark.skipif(sys.platform != "linux", reason="a rule of Linux")
def test_a_system_that_refuses_executable_memory(tmp_path: Path) -> None:
    x = relay.var("x", shape=(3,))
    path = tmp_path / "model.rly"
    relay.build(relay.Function([x], relay.exp(x))).export_library(path)
    program = f"""
import ctypes, sys
import relay
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
if ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0):
    print("this kernel has no such rule")
    sys.exit()
try:
    relay.load({str(path)!r})
except relay.RelayError as error:
    print(error)
"""
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    if "no such rule" in found:
        pytest.skip(found)
    assert "does not let a process run code that it has written (Permission denied)" in found


def test_other_platforms_link_by_llvm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "is_supported", lambda: False)
    image = object_code("define i32 @f() {\n  ret i32 5\n}\n", host_target())
    found = link([image], ["f"])
    assert ctypes.CFUNCTYPE(ctypes.c_int32)(found["f"])() == 5


# ---------------------------------------------------------------------- what is not one


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d[:40], "it ends after 40 bytes, in its header"),
        (lambda d: b"MZ" + d[2:], "does not begin like a 64-bit little-endian ELF file"),
        (lambda d: d[:16] + b"\x02" + d[17:], "its type is 2 instead of 1, relocatable"),
        (lambda d: d[:18] + b"\xb7" + d[19:], "is for machine 183 instead of 62"),
        (lambda d: d[:-1], "its table of sections goes beyond its end"),
        (lambda d: d[:60] + b"\0\0" + d[62:], "has no usable table of sections"),
    ],
)
def test_damaged_headers(change: Callable[[bytes], bytes], message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        image_of(change(compiled()))


def test_symbols_that_are_nowhere() -> None:
    image = image_of(compiled())
    assert image.undefined == {"exp", "malloc", "elsewhere"}
    with pytest.raises(ArtifactError, match="the code calls elsewhere, malloc, which this process"):
        image.write(bytearray(image.bytes), 0x10000, {"exp": 1}.get)
    with pytest.raises(ArtifactError, match="no object file defines the symbol 'nobody'"):
        image.address("nobody", 0)


def test_symbols_that_are_there_twice() -> None:
    with pytest.raises(ArtifactError, match="two object files define the symbol"):
        Image([compiled(), compiled()], MACHINES["x86_64"], 4096)


def test_what_does_not_reach() -> None:
    text = "@near = external hidden global i32\ndefine i32 @f() {\n  %v = load i32, ptr @near\n"
    image = image_of(compiled(text + "  ret i32 %v\n}\n"))
    with pytest.raises(
        ArtifactError, match=r"\.text refers to 'near' .* does not fit into 32 bits"
    ):
        image.write(bytearray(image.bytes), 0x1_0000, lambda _: 0x7FFF_0000_0000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@t = thread_local global i32 5", "is of kind|is of type"),
        ("@c = common global i32 0", "in the special section"),
    ],
)
def test_what_our_code_does_not_have(text: str, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        image_of(compiled(text))


def linked(data: bytes, name: str) -> bytes | None:
    """The image of a damaged object; None where it is refused. A write beside it is an error."""
    try:
        image = image_of(data, name)
        memory = bytearray(image.bytes)
        with memoryview(memory) as view:
            image.write(view, 0x1000_0000, lambda _: 0x1100_0000)
    except ArtifactError:
        return None
    return bytes(memory)


@pytest.mark.parametrize("name", TARGETS)
def test_flipped_bits_are_errors_or_stay_inside(name: str) -> None:
    """Those in machine code or in an offset cannot be seen here: files have checksums."""
    data = compiled(TEXT, name)
    whole = linked(data, name)
    assert whole is not None
    refused = 0
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1 << at % 8
        refused += linked(bytes(damaged), name) is None
    assert refused > len(data) / 10
    assert linked(data, name) == whole


@pytest.mark.parametrize("name", TARGETS)
def test_every_truncation_is_an_error(name: str) -> None:
    data = compiled(TEXT, name)
    assert all(linked(data[:size], name) is None for size in range(len(data)))


#: Where, as a part of the whole, and what is there then.
CHANGES = st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8))


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(sorted(TARGETS)),
    changes=st.lists(CHANGES, min_size=1, max_size=6),
)
def test_damage_anywhere(name: str, changes: list[tuple[float, bytes]]) -> None:
    data = bytearray(compiled_once(name))
    for where, what in changes:
        at = int(where * len(data))
        data[at : at + len(what)] = what[: len(data) - at]
    linked(bytes(data), name)


_compiled: dict[str, bytes] = {}


def compiled_once(name: str) -> bytes:
    if name not in _compiled:
        _compiled[name] = compiled(TEXT, name)
    return _compiled[name]


# ---------------------------------------------------------------------- without LLVM


def graph() -> GraphFactory:
    x = relay.var("x", shape=(40, 50))
    return relay.build(relay.Function([x], relay.nn.softmax(relay.exp(x))))


RUN = """
import sys
import numpy as np
import relay
x = np.ones((40, 50), "float32")
if sys.argv[1] == "graph":
    found = relay.load(sys.argv[2])["default"](relay.cpu(0))(x)[0]
else:
    loaded = relay.vm.load(sys.argv[2])
    found = relay.vm.VirtualMachine(loaded, relay.cpu(0)).invoke("main", x)
assert abs(float(np.asarray(found.numpy()).sum()) - 40) < 1e-4
print([m for m in ("llvmlite", "relay.codegen.llvm.native", "relay.lower") if m in sys.modules])
"""


@needs_loader
@pytest.mark.parametrize("kind", ["graph", "vm"])
@pytest.mark.parametrize("kept", ["on", "off"])
def test_ready_code_runs_without_llvm(
    kind: str, kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "program"
    if kind == "graph":
        graph().export_library(path)
    else:
        x = relay.var("x", shape=(40, 50))
        function = relay.Function([x], relay.nn.softmax(relay.exp(x)))
        relay.vm.compile(relay.IRModule.from_expr(function)).save(path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    monkeypatch.setenv("RELAY_CACHE", kept)
    command = [sys.executable, "-c", RUN, kind, str(path)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    loaded = found.stdout.strip()
    assert loaded == "[]" or (kind == "vm" and loaded == "['relay.lower']")


@needs_loader
def test_a_second_build_does_without_llvm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("RELAY_CACHE", raising=False)
    program = (
        "import sys, relay; x = relay.var('x', shape=(4, 5)); "
        "relay.build(relay.Function([x], relay.exp(x)))['default'](relay.cpu(0)); "
        "print('llvmlite' in sys.modules)"
    )
    found = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert [f.stdout.strip() for f in found] == ["True", "False"]
