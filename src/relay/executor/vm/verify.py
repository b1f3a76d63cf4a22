"""Checks of bytecode: what passes them refers to nothing that is not there."""

from collections.abc import Sequence

from relay.executor.vm.instructions import (
    ENDS,
    AllocClosure,
    AllocData,
    AnyInstruction,
    GetField,
    Invoke,
    InvokeGraph,
    InvokeHost,
    JumpUnless,
    JumpUnlessTag,
    Kill,
    TailInvoke,
    VMFunction,
    numbers,
    reads,
    writes,
)
from relay.executor.vm.text import Program, instruction_text
from relay.support.errors import ArtifactError

#: An activation's registers are allocated at once: no function has more than this.
MAX_REGISTERS = 1 << 24


def verify(program: Program) -> None:
    """Raise `ArtifactError` unless every function of `program` is well formed.

    Registers, functions, graphs, operators, constants and constructors exist; calls, graphs,
    operators and constructors get as many arguments as they take; jumps go forward and stay inside;
    the end is never passed; no register is read before it is written or after it is killed,
    whichever way is taken.
    """
    for name, number in program.entries.items():
        if not 0 <= number < len(program.functions):
            raise ArtifactError(f"@{name} is function {number}, which does not exist")
    for function in program.functions:
        try:
            _verify_function(function, program)
        except _FlawError as flaw:
            raise ArtifactError(f"in function {function.name}: {flaw}") from None


class _FlawError(Exception):
    """What is wrong, and where in a function."""


def _verify_function(function: VMFunction, program: Program) -> None:
    if not len(function.params) <= function.registers <= MAX_REGISTERS:
        raise _FlawError(
            f"{function.registers} registers do not hold its parameters, or are too many"
        )
    if not function.code or not isinstance(function.code[-1], ENDS):
        raise _FlawError("its code does not end with a return")
    for at, instruction in enumerate(function.code):
        flaw = _flaw(instruction, at, function, program)
        if flaw is not None:
            raise _FlawError(f"instruction {at}, {instruction_text(instruction)!r}: {flaw}")
    _verify_registers(function)


def _flaw(
    instruction: AnyInstruction, at: int, function: VMFunction, program: Program
) -> str | None:
    """What is wrong with an instruction by itself."""
    limits = {
        "wWrR": (function.registers, "register"),
        "f": (len(program.functions), "function"),
        "g": (len(program.graphs), "graph"),
        "h": (len(program.operators), "operator"),
        "c": (program.constants, "constant"),
        "k": (len(program.constructors), "constructor"),
    }
    for letters, (limit, what) in limits.items():
        if not all(0 <= number < limit for number in numbers(instruction, letters)):
            return f"the {what} does not exist"
    if not all(0 < offset < len(function.code) - at for offset in numbers(instruction, "j")):
        return "it jumps backwards or out of the function"
    return _arity_flaw(instruction, program)


def _arity_flaw(instruction: AnyInstruction, program: Program) -> str | None:
    match instruction:
        case InvokeGraph(dsts, graph, args):
            if (len(args), len(dsts)) != program.graphs[graph]:
                return "the graph takes {} tensors and gives {}".format(*program.graphs[graph])
            if len(set(dsts)) != len(dsts):
                return "two results go to one register"
        case InvokeHost(_, number, args):
            name, wanted = program.operators[number]
            if len(args) != wanted:
                return f"the operator {name} takes {wanted} arguments"
        case Invoke(_, number, args) | TailInvoke(number, args):
            wanted = len(program.functions[number].params)
            if len(args) != wanted:
                return f"the function takes {wanted} arguments"
        case AllocClosure(_, number, captured, recursive):
            wanted = len(program.functions[number].params)
            if len(captured) + recursive > wanted:
                return f"the function takes {wanted} arguments, fewer than are captured"
        case AllocData(_, tag, fields):
            wanted = program.constructors[tag][1]
            if len(fields) != wanted:
                return f"the constructor takes {wanted} fields"
        case GetField(_, _, index):
            if index < 0:
                return "there is no such field"
        case _:
            pass
    return None


def _verify_registers(function: VMFunction) -> None:
    """No way through the code reads a register that has no value.

    Jumps go forward, so one walk in order sees every way into an instruction before it. Registers
    are sets in one number, a bit each; only jump targets keep one of their own.
    """
    known = (1 << len(function.params)) - 1
    waiting: dict[int, int] = {}
    reached = True
    for at, instruction in enumerate(function.code):
        if at in waiting:
            known = known & waiting[at] if reached else waiting[at]
            del waiting[at]
            reached = True
        if not reached:
            continue
        for register in reads(instruction):
            if not known >> register & 1:
                shown = instruction_text(instruction)
                raise _FlawError(f"instruction {at}, {shown!r}: r{register} has no value")
        changed = _mask(writes(instruction))
        known = known & ~changed if isinstance(instruction, Kill) else known | changed
        for offset in numbers(instruction, "j"):
            target = at + offset
            waiting[target] = known & waiting[target] if target in waiting else known
        conditional = isinstance(instruction, JumpUnless | JumpUnlessTag)
        reached = conditional or not (isinstance(instruction, ENDS) or numbers(instruction, "j"))


def _mask(registers: Sequence[int]) -> int:
    mask = 0
    for register in registers:
        mask |= 1 << register
    return mask
