"""The virtual machine: runs a program's instructions, with a stack of its own.

A machine may be used from several threads at once: what an activation needs is its own, and scratch
memory for graphs is kept for each thread.
"""

import ctypes
import threading
from collections.abc import Sequence

from relay.executor.vm.executable import Graph, VMExecutable
from relay.executor.vm.instructions import (
    AllocClosure,
    AllocData,
    AllocTuple,
    AnyInstruction,
    Fatal,
    GetField,
    Goto,
    Invoke,
    InvokeClosure,
    InvokeGraph,
    JumpUnless,
    JumpUnlessTag,
    LoadConst,
    Move,
    RefCreate,
    RefRead,
    RefWrite,
    Ret,
)
from relay.executor.vm.values import Closure, Data, Reference, Registers, Tensor, Value
from relay.runtime.memory import aligned_empty
from relay.runtime.threads import ensure_started
from relay.support.errors import InputError, InternalError, RelayError


class _Frame:
    """An activation: code, where it is, its registers, and where its result goes in the caller."""

    __slots__ = ("code", "pc", "registers", "result")

    def __init__(self, code: tuple[AnyInstruction, ...], registers: Registers, result: int) -> None:
        self.code = code
        self.pc = 0
        self.registers = registers
        self.result = result


class VirtualMachine:
    """Runs the functions of a compiled program."""

    def __init__(self, executable: VMExecutable) -> None:
        self.executable = executable
        self._functions = executable.functions
        self._constants = executable.constant_values
        self._graphs = executable.graphs
        self._scratch = threading.local()

    def invoke(self, name: str, arguments: Sequence[Value]) -> Value:
        """The value of the global function `name` applied to `arguments`.

        Raises `InputError` for an unknown function or a wrong number of arguments, and `RelayError`
        where a ``match?`` has no clause for a value.
        """
        number = self.executable.entries.get(name)
        if number is None:
            known = ", ".join(f"@{n}" for n in self.executable.entries)
            raise InputError(f"there is no function @{name}; the functions are {known}")
        function = self._functions[number]
        if len(arguments) != len(function.params):
            raise InputError(
                f"@{name} takes {len(function.params)} arguments "
                f"({', '.join(function.params) or 'none'}), found {len(arguments)}"
            )
        return self.run(number, arguments)

    def call(self, closure: Closure, arguments: Sequence[Value]) -> Value:
        """The value of `closure` applied to `arguments`."""
        return self.run(closure.function, (*closure.captured, *arguments))

    def run(self, number: int, arguments: Sequence[Value]) -> Value:
        """The value of function `number` applied to all of its `arguments`."""
        ensure_started()
        frame = self._frame(number, arguments, -1)
        stack: list[_Frame] = []
        while True:
            instruction = frame.code[frame.pc]
            registers = frame.registers
            frame.pc += 1
            match instruction:
                case InvokeGraph():
                    self._invoke_graph(instruction, registers)
                case JumpUnless(cond, offset):
                    tested = registers[cond]
                    assert isinstance(tested, Tensor)
                    if not tested.truth():
                        frame.pc += offset - 1
                case Invoke(dst, function, args, tail):
                    if not tail:
                        stack.append(frame)
                    result = frame.result if tail else dst
                    frame = self._frame(function, [registers[a] for a in args], result)
                case InvokeClosure(dst, source, args, tail):
                    closure = registers[source]
                    assert isinstance(closure, Closure)
                    if not tail:
                        stack.append(frame)
                    result = frame.result if tail else dst
                    values = (*closure.captured, *(registers[a] for a in args))
                    frame = self._frame(closure.function, values, result)
                case Ret(source):
                    value = registers[source]
                    assert value is not None
                    if not stack:
                        return value
                    result = frame.result
                    frame = stack.pop()
                    frame.registers[result] = value
                case Goto(offset):
                    frame.pc += offset - 1
                case JumpUnlessTag(source, tag, offset):
                    data = registers[source]
                    assert isinstance(data, Data)
                    if data.tag != tag:
                        frame.pc += offset - 1
                case _:
                    self._simple(instruction, registers)

    def _simple(self, instruction: AnyInstruction, registers: Registers) -> None:
        """Instructions that only move and make values."""
        match instruction:
            case Move(dst, source):
                registers[dst] = registers[source]
            case LoadConst(dst, index):
                registers[dst] = self._constants[index]
            case GetField(dst, source, index):
                whole = registers[source]
                fields = whole.fields if isinstance(whole, Data) else whole
                assert isinstance(fields, tuple)
                registers[dst] = fields[index]
            case AllocTuple(dst, sources):
                registers[dst] = _gather(registers, sources)
            case AllocData(dst, tag, sources):
                registers[dst] = Data(tag, _gather(registers, sources))
            case AllocClosure(dst, function, captured, itself):
                registers[dst] = _make_closure(registers, dst, function, captured, itself)
            case RefCreate(dst, source):
                (value,) = _gather(registers, (source,))
                registers[dst] = Reference(value)
            case RefRead(dst, source):
                cell = registers[source]
                assert isinstance(cell, Reference)
                registers[dst] = cell.value
            case RefWrite(source, new):
                cell = registers[source]
                assert isinstance(cell, Reference)
                (cell.value,) = _gather(registers, (new,))
            case Fatal():
                raise RelayError("a match has no clause for the value it was given")
            case _:
                raise InternalError(f"unexpected instruction {instruction}")

    def _frame(self, number: int, arguments: "Sequence[Value | None]", result: int) -> _Frame:
        function = self._functions[number]
        registers = [*arguments, *([None] * (function.registers - len(arguments)))]
        return _Frame(function.code, registers, result)

    def _invoke_graph(self, call: InvokeGraph, registers: Registers) -> None:
        tensors = [registers[a] for a in call.args]
        graph = self._graphs[call.graph].specialise(tensors)  # type: ignore[arg-type]
        pointers = (ctypes.c_void_p * (len(tensors) + 1))(*[t.address for t in tensors])  # type: ignore[union-attr]
        outputs = [Tensor(*spec) for spec in graph.output_specs]
        results = (ctypes.c_void_p * (len(outputs) + 1))(*[t.address for t in outputs])
        graph.entry(pointers, results, graph.constants, self._arena(graph))
        for dst, tensor in zip(call.dsts, outputs, strict=True):
            registers[dst] = tensor

    def _arena(self, graph: Graph) -> int:
        """Scratch memory of this thread, large enough for `graph`."""
        scratch = self._scratch
        if getattr(scratch, "size", -1) < graph.arena_bytes:
            scratch.memory = aligned_empty((max(64, graph.arena_bytes),), "uint8")
            scratch.size = graph.arena_bytes
            scratch.address = scratch.memory.__array_interface__["data"][0]
        address: int = scratch.address
        return address


def _gather(registers: Registers, sources: Sequence[int]) -> tuple[Value, ...]:
    values = tuple(registers[s] for s in sources)
    assert None not in values, "a register is read before it is written"
    return values  # type: ignore[return-value]


def _make_closure(
    registers: Registers,
    dst: int,
    function: int,
    captured: Sequence[int],
    itself: int | None,
) -> Closure:
    closure = Closure(function, ())
    if itself is not None:
        registers[dst] = closure
    closure.captured = _gather(registers, captured)
    return closure
