"""The engine of the virtual machine: runs a program's instructions, with a stack of its own.

An engine may be used from several threads at once: what an activation needs is its own, and scratch
memory for graphs is kept for each thread.
"""

import threading
from collections.abc import Sequence
from typing import Never

from relay.executor.vm.executable import VMExecutable
from relay.executor.vm.instructions import (
    AllocClosure,
    AllocData,
    AllocTuple,
    AnyInstruction,
    Fatal,
    GetField,
    Invoke,
    InvokeClosure,
    InvokeGraph,
    InvokeHost,
    Jump,
    JumpUnless,
    JumpUnlessTag,
    Kill,
    LoadConst,
    Move,
    RefCreate,
    RefRead,
    RefWrite,
    Ret,
    TailInvoke,
    TailInvokeClosure,
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


class Engine:
    """Runs the functions of a compiled program."""

    def __init__(self, executable: VMExecutable) -> None:
        self.executable = executable
        self._functions = executable.functions
        self._constants = executable.constant_values
        self._graphs = executable.graphs
        self._operators = executable.operators
        self._scratch = threading.local()

    def call(self, closure: Closure, arguments: Sequence[Value]) -> Value:
        """The value of `closure` applied to `arguments`."""
        return self.run(closure.function, (*closure.arguments(), *arguments))

    def run(self, number: int, arguments: Sequence[Value]) -> Value:
        """The value of function `number` applied to all of its `arguments`.

        Raises `InputError` for a wrong number of arguments or unfit ones, and `RelayError` where a
        ``match?`` has no clause for a value.
        """
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
                    if not isinstance(tested, Tensor):
                        _unfit("a condition", tested)
                    if not tested.truth():
                        frame.pc += offset - 1
                case TailInvokeClosure(source, args):
                    closure = registers[source]
                    if not isinstance(closure, Closure):
                        _unfit("a function", closure)
                    values = (*closure.arguments(), *[registers[a] for a in args])
                    frame = self._frame(closure.function, values, frame.result)
                case TailInvoke(function, args):
                    frame = self._frame(function, [registers[a] for a in args], frame.result)
                case Ret(source):
                    if not stack:
                        return _present(registers[source])
                    result = frame.result
                    frame, value = stack.pop(), registers[source]
                    frame.registers[result] = value
                case Invoke(dst, function, args):
                    stack.append(frame)
                    frame = self._frame(function, [registers[a] for a in args], dst)
                case InvokeClosure(dst, source, args):
                    closure = registers[source]
                    if not isinstance(closure, Closure):
                        _unfit("a function", closure)
                    stack.append(frame)
                    values = (*closure.arguments(), *[registers[a] for a in args])
                    frame = self._frame(closure.function, values, dst)
                case InvokeHost(dst, operator, args):
                    registers[dst] = self._operators[operator].run([registers[a] for a in args])
                case Jump(offset):
                    frame.pc += offset - 1
                case JumpUnlessTag(source, tag, offset):
                    data = registers[source]
                    if not isinstance(data, Data):
                        _unfit("data to match", data)
                    if data.tag != tag:
                        frame.pc += offset - 1
                case _:
                    self._simple(instruction, registers)

    def _simple(self, instruction: AnyInstruction, registers: Registers) -> None:
        """Instructions that only move and make values."""
        match instruction:
            case Kill(dead):
                for register in dead:
                    registers[register] = None
            case LoadConst(dst, index):
                registers[dst] = self._constants[index]
            case GetField(dst, source, index):
                registers[dst] = _field(registers[source], index)
            case AllocTuple(dst, sources):
                registers[dst] = _gather(registers, sources)
            case AllocData(dst, tag, sources):
                registers[dst] = Data(tag, _gather(registers, sources))
            case AllocClosure(dst, function, captured, recursive):
                registers[dst] = Closure(function, _gather(registers, captured), recursive)
            case Move(dst, source):
                registers[dst] = registers[source]
            case RefCreate(dst, source):
                registers[dst] = Reference(_present(registers[source]))
            case RefRead(dst, source):
                registers[dst] = _reference(registers[source]).value
            case RefWrite(source, new):
                _reference(registers[source]).value = _present(registers[new])
            case Fatal():
                raise RelayError("a match has no clause for the value it was given")
            case _:
                raise InternalError(f"unexpected instruction {instruction}")

    def _frame(self, number: int, arguments: "Sequence[Value | None]", result: int) -> _Frame:
        function = self._functions[number]
        if len(arguments) != len(function.params):
            raise InputError(
                f"the function {function.name} takes {len(function.params)} arguments, "
                f"found {len(arguments)}"
            )
        registers = [*arguments, *([None] * (function.registers - len(arguments)))]
        return _Frame(function.code, registers, result)

    def _invoke_graph(self, call: InvokeGraph, registers: Registers) -> None:
        tensors: list[Tensor] = []
        for source in call.args:
            value = registers[source]
            if not isinstance(value, Tensor):
                _unfit("a tensor", value)
            tensors.append(value)
        graph = self._graphs[call.graph].specialise(tensors)
        results = graph.run(tensors, self._arena(graph.arena_bytes) if graph.arena_bytes else 0)
        for dst, tensor in zip(call.dsts, results, strict=True):
            registers[dst] = tensor

    def _arena(self, size: int) -> int:
        """The address of `size` bytes of this thread's scratch memory."""
        scratch = self._scratch
        if getattr(scratch, "size", 0) < size:
            scratch.memory = aligned_empty((size,), "uint8")
            scratch.size = size
            scratch.address = scratch.memory.ctypes.data
        address: int = scratch.address
        return address


def _unfit(expected: str, found: "Value | None") -> Never:
    shown = "nothing" if found is None else f"a {type(found).__name__.lower()}"
    raise InputError(f"expected {expected}, found {shown}")


def _present(value: "Value | None") -> Value:
    if value is None:
        raise InternalError("a register is read before it is written")
    return value


def _gather(registers: Registers, sources: Sequence[int]) -> tuple[Value, ...]:
    return tuple([_present(registers[s]) for s in sources])


def _field(whole: "Value | None", index: int) -> Value:
    fields = whole.fields if isinstance(whole, Data) else whole
    if not isinstance(fields, tuple) or index >= len(fields):
        _unfit(f"something with a field {index}", whole)
    return fields[index]


def _reference(value: "Value | None") -> Reference:
    if not isinstance(value, Reference):
        _unfit("a reference", value)
    return value
