"""Modules to programs of the virtual machine.

The module is brought into A-normal form. Within one scope, neighbouring operator calls are gathered
into graphs, which go through the whole graph compiler; what is left is control flow, closures,
data, references and what runs on the host, which become instructions. Scopes are compiled with an
explicit stack.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from relay.executor.vm.captures import Variables
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
    LoadConst,
    Move,
    RefCreate,
    RefRead,
    RefWrite,
    Ret,
    TailInvoke,
    TailInvokeClosure,
    VMFunction,
)
from relay.executor.vm.liveness import allocate
from relay.executor.vm.operators import holds_text, late_arguments, runs_on_host
from relay.executor.vm.segments import Segment, leaves
from relay.ir import reference
from relay.ir.adt import Constructor
from relay.ir.change import CallWithFields
from relay.ir.expr import (
    Call,
    Constant,
    Expr,
    Function,
    GlobalVar,
    If,
    Let,
    Op,
    Tuple,
    TupleGetItem,
    Var,
)
from relay.ir.match import Match
from relay.ir.module import IRModule
from relay.ir.patterns import Pattern, PatternConstructor, PatternTuple, PatternVar
from relay.ir.types import GlobalTypeVar, TensorType, TupleType, Type
from relay.ir.visit import free_vars
from relay.support.errors import InternalError, UnsupportedError

_Steps: TypeAlias = "Generator[_Steps, None, None]"


@dataclass
class CompiledModule:
    """Functions by number (global ones by name), graphs as functions still to compile, calls on the

    host as functions of one operator, constants, constructors by number.
    """

    functions: list[VMFunction] = field(default_factory=list)
    entries: dict[str, int] = field(default_factory=dict)
    graphs: list[Function] = field(default_factory=list)
    operators: list[Function] = field(default_factory=list)
    constants: dict[Constant, int] = field(default_factory=dict)
    constructors: list[Constructor] = field(default_factory=list)


def compile_module(module: IRModule) -> CompiledModule:
    """The program of a module that `normalize` gives."""
    program = CompiledModule()
    program.constructors = [
        c for data in module.type_definitions.values() for c in data.constructors
    ]
    pending: list[_FunctionCompiler] = []
    numbers: dict[str, int] = {}
    for variable in sorted(module.functions, key=lambda v: v.name_hint):
        numbers[variable.name_hint] = len(numbers)
    program.entries = dict(numbers)
    program.functions = [VMFunction(name, (), 0, ()) for name in numbers]
    tags = {(c.belong_to, c.name_hint): k for k, c in enumerate(program.constructors)}
    shared = _Shared(program, numbers, tags, pending)
    for variable, function in module.functions.items():
        number = numbers[variable.name_hint]
        scope = _Scope(variable.name_hint, Variables.of(function))
        pending.append(_FunctionCompiler(shared, scope, number, scope.name, function, ()))
    while pending:
        pending.pop().run()
    return program


@dataclass
class _Shared:
    """What all function compilers write to."""

    program: CompiledModule
    numbers: Mapping[str, int]
    tags: Mapping[tuple[GlobalTypeVar, str], int]
    pending: "list[_FunctionCompiler]"

    def add_function(
        self, scope: "_Scope", name: str, function: Function, captured: Sequence[Var]
    ) -> int:
        """Number a function inside of a global one, to be compiled later."""
        number = len(self.program.functions)
        self.program.functions.append(VMFunction(name, (), 0, ()))
        self.pending.append(_FunctionCompiler(self, scope, number, name, function, captured))
        return number

    def add_constant(self, constant: Constant) -> int:
        """The number of a constant."""
        constants = self.program.constants
        return constants.setdefault(constant, len(constants))

    def tag(self, constructor: Constructor) -> int:
        """The number of a constructor."""
        return self.tags[constructor.belong_to, constructor.name_hint]

    def add_operator(self, call: Call) -> int:
        """The number of a call on the host."""
        params = [Var(f"x{k}", a.checked_type) for k, a in enumerate(call.args)]
        body = CallWithFields(call, args=params)
        self.program.operators.append(Function(params, body, call.checked_type))
        return len(self.program.operators) - 1

    def add_graph(self, graph: Function) -> int:
        """The number of a graph."""
        self.program.graphs.append(graph)
        return len(self.program.graphs) - 1


@dataclass(frozen=True)
class _Scope:
    """The global function that a function is, or is inside of."""

    name: str
    variables: Variables


def _is_numeric(type_: Type) -> bool:
    return isinstance(type_, TensorType) and not holds_text(type_)


class _FunctionCompiler:
    """Compiles one function, `captured` variables being parameters before its own."""

    def __init__(
        self,
        shared: _Shared,
        scope: _Scope,
        number: int,
        name: str,
        function: Function,
        captured: Sequence[Var],
    ) -> None:
        self.shared = shared
        self.owner = scope
        self.number = number
        self.name = name
        self.function = function
        self.params = (*captured, *function.params)
        self.code: list[AnyInstruction] = []
        self.registers: dict[Expr, int] = {v: k for k, v in enumerate(self.params)}
        self.count = len(self.params)
        self.segment = Segment()
        self.uses = scope.variables.uses

    def run(self) -> None:
        """Compile the body and store the function in the program."""
        stack: list[_Steps] = [self._scope(self.function.body, None)]
        while stack:
            inner = next(stack[-1], None)
            if inner is None:
                stack.pop()
            else:
                stack.append(inner)
        names = tuple(v.name_hint for v in self.params)
        code, registers = allocate(self.code, len(names))
        self.shared.program.functions[self.number] = VMFunction(self.name, names, registers, code)

    # ------------------------------------------------------------------ registers

    def _fresh(self) -> int:
        self.count += 1
        return self.count - 1

    def _forget(self, known: int) -> None:
        """Leave a scope: of all registers, keep the `known` first, those from before it."""
        while len(self.registers) > known:
            self.registers.popitem()  # the last one in

    def _register(self, atom: Expr) -> int:
        """The register that holds an atom: a variable, constant, global or constructor."""
        if isinstance(atom, Var) and atom in self.segment.bindings:
            self._flush()
        found = self.registers.get(atom)
        if found is not None:
            return found
        register = self._fresh()
        match atom:
            case Constant():
                self.code.append(LoadConst(register, self.shared.add_constant(atom)))
            case GlobalVar():
                number = self.shared.numbers[atom.name_hint]
                self.code.append(AllocClosure(register, number, ()))
            case Constructor():
                self._constructor_function(register, atom)
            case Op():
                raise UnsupportedError(
                    f"the operator {atom.name} is used as a value; wrap it in a function"
                )
            case Tuple(fields=()):
                self.code.append(AllocTuple(register, ()))
            case _:
                raise InternalError(f"{type(atom).__name__} is no atom")
        return register

    def _constructor_function(self, register: int, constructor: Constructor) -> None:
        """A constructor as a function value (or its value, where it has no fields)."""
        tag = self.shared.tag(constructor)
        fields = tuple(range(len(constructor.inputs)))
        if not fields:
            self.code.append(AllocData(register, tag, ()))
            return
        number = len(self.shared.program.functions)
        code = (AllocData(len(fields), tag, fields), Ret(len(fields)))
        names = tuple(f"field{k}" for k in fields)
        self.shared.program.functions.append(
            VMFunction(constructor.name_hint, names, len(fields) + 1, code)
        )
        self.code.append(AllocClosure(register, number, ()))

    # ------------------------------------------------------------------ graphs

    def _flush(self) -> None:
        """End the segment: its bindings become one graph, whose results are used later."""
        segment, self.segment = self.segment, Segment()
        if not segment.bindings:
            return
        tuples, results = segment.results(self.uses)
        if results:
            self._graph(segment, results)
        for variable in tuples:
            value = segment.bindings[variable]
            assert isinstance(value, Tuple)
            fields = self._registers_of(value.fields)
            self.registers[variable] = self._fresh()
            self.code.append(AllocTuple(self.registers[variable], fields))

    def _graph(self, segment: Segment, results: Sequence[Var]) -> None:
        """One graph for a segment, and the instruction that runs it."""
        outputs = [leaf for v in results for leaf in leaves(v)]
        body: Expr = outputs[0] if len(outputs) == 1 else Tuple(outputs)
        for variable, value in reversed(segment.bindings.items()):
            body = Let(variable, value, body)
        params: list[Var] = []
        args: list[int] = []
        for free in free_vars(body):
            if isinstance(free.checked_type, TupleType):
                body = Let(free, self._opened(free, free.checked_type, params, args), body)
            else:
                params.append(free)
                args.append(self._register(free))
        graph = self.shared.add_graph(Function(params, body))
        dsts = tuple(self._fresh() for _ in outputs)
        self.code.append(InvokeGraph(dsts, graph, tuple(args)))
        remaining = iter(dsts)
        for variable in results:
            self.registers[variable] = self._closed(variable.checked_type, remaining)

    def _opened(self, value: Expr, type_: TupleType, params: list[Var], args: list[int]) -> Tuple:
        """A tuple that a graph takes, rebuilt from one parameter for each of its tensors."""
        whole = self._register(value)
        fields: list[Expr] = []
        for index, field_type in enumerate(type_.fields):
            register = self._fresh()
            self.code.append(GetField(register, whole, index))
            variable = Var(f"field{index}", field_type)
            self.registers[variable] = register
            if isinstance(field_type, TupleType):
                fields.append(self._opened(variable, field_type, params, args))
            else:
                params.append(variable)
                args.append(register)
                fields.append(variable)
        return Tuple(fields)

    def _closed(self, type_: Type, registers: Iterator[int]) -> int:
        """The register of a result, put together from those of its tensors."""
        if not isinstance(type_, TupleType):
            return next(registers)
        fields = tuple(self._closed(f, registers) for f in type_.fields)
        whole = self._fresh()
        self.code.append(AllocTuple(whole, fields))
        return whole

    # ------------------------------------------------------------------ scopes

    def _scope(self, expr: Expr, result: int | None) -> _Steps:
        """Compile a chain of lets. Its value goes to register `result`, or is returned if None."""
        while isinstance(expr, Let):
            yield from self._bind(expr.variable, expr.value)
            expr = expr.body
        yield from self._finish(expr, result)

    def _bind(self, variable: Var, value: Expr) -> _Steps:
        if self._joins_segment(value):
            self.segment.add(variable, value)
            return
        register = self._fresh()
        yield from self._value(value, register, variable)
        self.registers[variable] = register

    def _joins_segment(self, value: Expr) -> bool:
        """Whether `value` is tensor dataflow: an operator call, or a tuple or field in it."""
        if isinstance(value, Call):
            if not isinstance(value.op, Op) or runs_on_host(value):
                return False
            if any(map(self.segment.undecided, late_arguments(value))):
                self._flush()  # a graph is compiled for the values of such arguments
            return True
        if isinstance(value, TupleGetItem):
            return value.tuple_value in self.segment.bindings
        if isinstance(value, Tuple) and value.fields:
            # A tuple of tensors may be what an operator takes: it is dataflow as well.
            inside = any(f in self.segment.bindings for f in value.fields)
            return inside and all(_is_numeric(f.checked_type) for f in value.fields)
        return False

    def _finish(self, expr: Expr, result: int | None) -> _Steps:
        """The last expression of a scope."""
        if result is None and isinstance(expr, Call) and not isinstance(expr.op, Op | Constructor):
            self._call(expr, None)
            return
        if isinstance(expr, If):
            yield from self._if(expr, result)
            return
        if isinstance(expr, Match):
            yield from self._match(expr, result)
            return
        register = yield from self._last_value(expr)
        if result is None:
            self.code.append(Ret(register))
        else:
            self.code.append(Move(result, register))

    def _last_value(self, expr: Expr) -> "Generator[_Steps, None, int]":
        if isinstance(expr, Var | Constant | GlobalVar | Constructor | Op):
            register = self._register(expr)
            self._flush()
            return register
        if self._joins_segment(expr):
            variable = Var("result", expr.checked_type)
            self.uses[variable] = 1
            self.segment.add(variable, expr)
            self._flush()
            return self.registers[variable]
        register = self._fresh()
        yield from self._value(expr, register, None)
        self._flush()
        return register

    def _value(self, value: Expr, dst: int, name: Var | None) -> _Steps:
        """Compile one operation into register `dst`."""
        match value:
            case Var() | Constant() | GlobalVar() | Constructor():
                self.code.append(Move(dst, self._register(value)))
            case If():
                yield from self._if(value, dst)
            case Match():
                yield from self._match(value, dst)
            case Call():
                self._call(value, dst)
            case Tuple():
                self.code.append(AllocTuple(dst, self._registers_of(value.fields)))
            case TupleGetItem():
                self.code.append(GetField(dst, self._register(value.tuple_value), value.index))
            case Function():
                self._closure(value, dst, name)
            case reference.RefCreate():
                self.code.append(RefCreate(dst, self._register(value.value)))
            case reference.RefRead():
                self.code.append(RefRead(dst, self._register(value.ref)))
            case reference.RefWrite():
                self.code.append(RefWrite(self._register(value.ref), self._register(value.value)))
                if name is None or self.uses[name]:
                    self.code.append(AllocTuple(dst, ()))
            case _:
                raise UnsupportedError(
                    f"the virtual machine does not run {type(value).__name__} expressions"
                )

    def _registers_of(self, atoms: Sequence[Expr]) -> tuple[int, ...]:
        return tuple(self._register(a) for a in atoms)

    def _call(self, call: Call, dst: int | None) -> None:
        """A call whose result goes to register `dst`, or is that of the function if None."""
        args = self._registers_of(call.args)
        if isinstance(call.op, Op):
            assert dst is not None, "operators are not called last"
            self.code.append(InvokeHost(dst, self.shared.add_operator(call), args))
            return
        if isinstance(call.op, Constructor):
            assert dst is not None, "constructors make values, they are not called last"
            self.code.append(AllocData(dst, self.shared.tag(call.op), args))
            return
        if isinstance(call.op, GlobalVar):
            number = self.shared.numbers[call.op.name_hint]
            self._flush()
            self.code.append(TailInvoke(number, args) if dst is None else Invoke(dst, number, args))
            return
        closure = self._register(call.op)
        self._flush()
        self.code.append(
            TailInvokeClosure(closure, args) if dst is None else InvokeClosure(dst, closure, args)
        )

    def _closure(self, function: Function, dst: int, name: Var | None) -> None:
        """A local function: its free variables are captured; one that calls itself comes first."""
        free = self.owner.variables.free[function]
        recursive = name is not None and name in free
        captured = [v for v in free if v is not name]
        params = [name, *captured] if name is not None and recursive else captured
        label = f"{self.owner.name}.{name.name_hint if name else 'fn'}"
        number = self.shared.add_function(self.owner, label, function, params)
        self.code.append(AllocClosure(dst, number, self._registers_of(captured), recursive))

    # ------------------------------------------------------------------ branches

    def _if(self, expr: If, result: int | None) -> _Steps:
        cond = self._register(expr.cond)
        self._flush()
        test = self._placeholder()
        known = len(self.registers)
        yield self._scope(expr.true_branch, result)
        skip = self._placeholder() if result is not None else None
        self._forget(known)
        self.code[test] = JumpUnless(cond, len(self.code) - test)
        yield self._scope(expr.false_branch, result)
        self._forget(known)
        if skip is not None:
            self.code[skip] = Jump(len(self.code) - skip)

    def _placeholder(self) -> int:
        """The place of a jump whose target is not known yet."""
        self.code.append(Fatal())
        return len(self.code) - 1

    def _match(self, expr: Match, result: int | None) -> _Steps:
        data = self._register(expr.data)
        self._flush()
        ends: list[int] = []
        known = len(self.registers)
        for clause in expr.clauses:
            tests = self._test(clause.lhs, data)
            yield self._scope(clause.rhs, result)
            if not tests:
                break  # what comes after a pattern that always matches is never reached
            if result is not None:
                ends.append(self._placeholder())
            for test, (src, tag) in tests.items():
                self.code[test] = JumpUnlessTag(src, tag, len(self.code) - test)
            self._forget(known)
        else:
            self.code.append(Fatal())
        for end in ends:
            self.code[end] = Jump(len(self.code) - end)
        self._forget(known)

    def _test(self, pattern: Pattern, data: int) -> dict[int, tuple[int, int]]:
        """Code that binds a pattern's variables; the tests in it jump when it does not match."""
        tests: dict[int, tuple[int, int]] = {}
        pending = [(pattern, data)]
        while pending:
            current, register = pending.pop()
            if isinstance(current, PatternVar):
                self.registers[current.var] = register
            if isinstance(current, PatternConstructor):
                tests[self._placeholder()] = (register, self.shared.tag(current.constructor))
            if isinstance(current, PatternConstructor | PatternTuple):
                inner: list[tuple[Pattern, int]] = []
                for index, part in enumerate(current.patterns):
                    inner.append((part, self._fresh()))
                    self.code.append(GetField(inner[-1][1], register, index))
                pending.extend(reversed(inner))
        return tests
