"""The reference interpreter: what a program means, by the NumPy references of its operators.

It shares no code with the compiler, evaluates each expression once and only where its value is
needed, and keeps its own stack, so that depth of a program is bounded by memory alone.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np

from relay import dtypes
from relay.executor.debugging import pause
from relay.executor.lists import apply_to_lists
from relay.executor.trace import At, Trace, chosen
from relay.executor.values import (
    Argument,
    Callee,
    Closure,
    ConstructorValue,
    Frame,
    RefValue,
    Value,
    bind_arguments,
    describe,
    enter,
    from_numpy,
    to_numpy,
    to_value,
    type_of,
)
from relay.ir.adt import Constructor
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
from relay.ir.op import Array, Operator, attributes
from relay.ir.patterns import (
    Pattern,
    PatternConstructor,
    PatternTuple,
    PatternVar,
    PatternWildcard,
)
from relay.ir.reference import RefCreate, RefRead, RefWrite
from relay.ir.types import TensorType, TupleType, Type, flatten_tensor_types
from relay.op.debugging import Debug
from relay.op.lists import LIST, ListOperator
from relay.runtime.ndarray import NDArray
from relay.support.errors import InputError, InternalError, RelayError

__all__ = [
    "Argument",
    "Closure",
    "ConstructorValue",
    "Interpreter",
    "Machine",
    "RefValue",
    "Value",
    "apply_operator",
    "bind_arguments",
    "construct",
    "matches",
    "truth",
]

_NOT_NATIVE = frozenset(name for name in dtypes.NAMES if not dtypes.is_native(name))


@dataclass(slots=True)
class _Task:
    """An expression to evaluate in `frame`; `called` is the activation that a call waits for."""

    node: Expr
    frame: Frame
    called: Frame | None = None


class Machine:
    """Evaluates expressions over the functions of a module."""

    def __init__(self, module: IRModule) -> None:
        self.module = module

    def run(self, root: Expr, frame: Frame) -> Value:
        """The value of `root`, whose free variables have their values in `frame`."""
        stack = [_Task(root, frame)]
        with np.errstate(all="ignore"):
            while stack:
                task = stack[-1]
                if task.node in task.frame.values:
                    stack.pop()
                else:
                    stack.extend(self._step(task))
        return frame.values[root]

    def _step(self, task: _Task) -> list[_Task]:
        """Finish `task`, or say what must be evaluated before it can go on."""
        node, values = task.node, task.frame.values
        match node:
            case Constant():
                values[node] = node.data
            case Var():
                values[node] = _lookup(node, task.frame)
            case GlobalVar():
                values[node] = Closure(self.module[node], Frame())
            case Function():
                values[node] = Closure(node, task.frame)
            case Op() | Constructor():
                values[node] = node
            case RefCreate() | RefRead() | RefWrite():
                waiting = _unfinished(node.children(), task.frame)
                if waiting:
                    return waiting
                values[node] = _reference(node, values)
            case Match():
                if node.data not in values:
                    return [_Task(node.data, task.frame)]
                return self._forward(task, _chosen_clause(node, values))
            case Tuple() | TupleGetItem():
                waiting = _unfinished(node.children(), task.frame)
                if waiting:
                    return waiting
                values[node] = _project(node, values)
            case Let():
                if node.value not in values:
                    return [_Task(node.value, task.frame)]
                values[node.variable] = values[node.value]
                return self._forward(task, node.body)
            case If():
                if node.cond not in values:
                    return [_Task(node.cond, task.frame)]
                chosen = node.true_branch if truth(values[node.cond]) else node.false_branch
                return self._forward(task, chosen)
            case Call():
                return self._call(task, node)
            case _:
                raise InternalError(f"the interpreter does not know {type(node).__name__}")
        return []

    def _forward(self, task: _Task, part: Expr) -> list[_Task]:
        """The value of `task` is that of `part`."""
        if part not in task.frame.values:
            return [_Task(part, task.frame)]
        task.frame.values[task.node] = task.frame.values[part]
        return []

    def _call(self, task: _Task, call: Call) -> list[_Task]:
        values = task.frame.values
        if task.called is not None:
            callee = values[call.op]
            assert isinstance(callee, Closure)
            values[call] = task.called.values[callee.function.body]
            return []
        waiting = _unfinished(call.children(), task.frame)
        if waiting:
            return waiting
        arguments = [values[a] for a in call.args]
        if isinstance(call.op, Op):
            values[call] = self._apply(call.attrs, arguments)
            return []
        callee = values[call.op]
        if isinstance(callee, Op):
            values[call] = self._apply(callee.default_attrs(), arguments)
            return []
        if isinstance(callee, Constructor):
            values[call] = construct(callee, arguments)
            return []
        if not isinstance(callee, Closure):
            raise RelayError(f"expected a function to call, found {describe(callee)}", call.span)
        task.called = enter(callee, arguments)
        return [_Task(callee.function.body, task.called)]

    def _apply(self, declaration: object, arguments: Sequence[Value]) -> Value:
        if isinstance(declaration, Debug):
            (value,) = arguments
            pause(declaration, self.shown(value))
            return value
        return apply_operator(declaration, arguments)

    def shown(self, value: Value, params: Mapping[str, Argument] | None = None) -> Any:
        """`value` as users get it: a function as a Python function, with some `params` given."""
        if isinstance(value, tuple):
            return tuple(self.shown(f) for f in value)
        if not isinstance(value, Closure):
            return value
        closure, given = value, params or {}

        def run(*args: Argument, **kwargs: Argument) -> Any:
            """Call the function with arrays, by position or by name."""
            function = closure.function
            frame = enter(closure, bind_arguments(function.params, args, {**given, **kwargs}))
            return self.shown(self.run(function.body, frame))

        return run


class _Observer(Machine):
    """A machine that notes the values of the expressions in `watched`, whenever it has one."""

    def __init__(self, module: IRModule, watched: AbstractSet[Expr]) -> None:
        super().__init__(module)
        self.watched = watched
        self.events: list[tuple[Expr, Any]] = []

    def _step(self, task: _Task) -> list[_Task]:
        waiting = super()._step(task)
        if not waiting and task.node in self.watched:
            self.events.append((task.node, self.shown(task.frame.values[task.node])))
        return waiting


def construct(constructor: Constructor, fields: Sequence[Value]) -> ConstructorValue:
    """The value that `constructor` makes of `fields`."""
    wanted = len(constructor.inputs)
    if len(fields) != wanted:
        name = constructor.name_hint
        raise RelayError(f"{name} takes {wanted} fields, found {len(fields)}")
    return ConstructorValue(constructor, tuple(fields))


def _chosen_clause(node: Match, values: "dict[Expr, Value]") -> Expr:
    """The right-hand side of the first clause that matches, its variables bound in `values`."""
    value = values[node.data]
    for clause in node.clauses:
        bound = matches(clause.lhs, value)
        if bound is not None:
            values.update(bound)
            return clause.rhs
    raise RelayError(f"no clause of the match covers {describe(value)}", node.span)


def matches(pattern: Pattern, value: Value) -> dict[Expr, Value] | None:
    """The variables that `pattern` binds when it matches `value`; None when it does not."""
    bound: dict[Expr, Value] = {}
    stack: list[tuple[Pattern, Value]] = [(pattern, value)]
    while stack:
        current, found = stack.pop()
        match current:
            case PatternVar(var=variable):
                bound[variable] = found
            case PatternWildcard():
                pass
            case PatternConstructor(constructor=constructor, patterns=patterns):
                if not isinstance(found, ConstructorValue):
                    raise RelayError(f"expected a {constructor.belong_to}, found {describe(found)}")
                if not constructor.same_as(found.constructor):
                    return None
                stack.extend(zip(patterns, found.fields, strict=True))
            case PatternTuple(patterns=patterns):
                if not isinstance(found, tuple) or len(found) != len(patterns):
                    raise RelayError(f"expected a tuple to match, found {describe(found)}")
                stack.extend(zip(patterns, found, strict=True))
            case _:
                raise InternalError(f"the interpreter does not know {type(current).__name__}")
    return bound


def _unfinished(nodes: Sequence[Expr], frame: Frame) -> list[_Task]:
    return [_Task(n, frame) for n in reversed(nodes) if n not in frame.values]


def _lookup(variable: Var, frame: Frame) -> Value:
    current: Frame | None = frame
    while current is not None:
        if variable in current.values:
            return current.values[variable]
        current = current.outer
    raise RelayError(f"the variable %{variable.name_hint} has no value here", variable.span)


def _project(node: Tuple | TupleGetItem, values: Mapping[Expr, Value]) -> Value:
    if isinstance(node, Tuple):
        return tuple(values[f] for f in node.fields)
    found = values[node.tuple_value]
    if not isinstance(found, tuple):
        raise RelayError(f"expected a tuple before .{node.index}, found {describe(found)}")
    return found[node.index]


def _reference(node: RefCreate | RefRead | RefWrite, values: Mapping[Expr, Value]) -> Value:
    if isinstance(node, RefCreate):
        return RefValue(values[node.value])
    reference = values[node.ref]
    if not isinstance(reference, RefValue):
        raise RelayError(f"expected a reference, found {describe(reference)}", node.span)
    if isinstance(node, RefRead):
        return reference.value
    reference.value = values[node.value]
    return ()


def truth(value: Value) -> bool:
    """The condition of an if as a bool; raises `RelayError` for anything but a scalar."""
    if not isinstance(value, NDArray) or value.shape != ():
        raise RelayError(f"an if needs a scalar condition, found {describe(value)}")
    return bool(value.numpy())


def apply_operator(declaration: object, arguments: Sequence[Value]) -> Value:
    """The result of an operator by its reference; ``bfloat16`` is computed in ``float32``."""
    assert isinstance(declaration, Operator)
    if isinstance(declaration, ListOperator):
        given = [_listed(a) if isinstance(a, ConstructorValue) else a for a in arguments]
        return _chained(apply_to_lists(declaration, given, _array_of, NDArray))
    types = [type_of(a) for a in arguments]
    if declaration.reads_stored:
        return _apply_to_stored(declaration, arguments, types)
    result = _referenced(declaration, [to_numpy(a) for a in arguments], types)
    narrow = any(v in _NOT_NATIVE for v in attributes(declaration).values() if type(v) is str)
    narrow = narrow or any(
        not dtypes.is_native(t.dtype) for type_ in types for t in flatten_tensor_types(type_)
    )
    if not narrow:
        if isinstance(result, tuple):
            return tuple(NDArray(np.asarray(r)) for r in result)
        return NDArray(np.asarray(result))
    declared = declaration.call_type(types)
    fields = flatten_tensor_types(declared)
    arrays = result if isinstance(result, tuple) else (result,)
    found = tuple(from_numpy(a, t.dtype) for a, t in zip(arrays, fields, strict=True))
    return found if isinstance(declared, TupleType) else found[0]


def _array_of(value: Value) -> tuple[Array, str] | None:
    return (value.numpy(), value.dtype) if isinstance(value, NDArray) else None


def _listed(value: ConstructorValue) -> "Value | list[Value]":
    """The elements of a list of the prelude; other data as they are."""
    if value.constructor.belong_to != LIST:
        return value
    found: list[Value] = []
    rest: Value = value
    while isinstance(rest, ConstructorValue) and rest.fields:
        found.append(rest.fields[0])
        rest = rest.fields[1]
    return found


def _chained(value: "Value | list[Value]") -> Value:
    """A list of Python as one of the prelude."""
    if not isinstance(value, list):
        return value
    cons, nil = IRModule.library("prelude.rly")[LIST].constructors
    chain = ConstructorValue(nil)
    for element in reversed(value):
        chain = ConstructorValue(cons, (element, chain))
    return chain


def _apply_to_stored(
    declaration: Operator, arguments: Sequence[Value], types: Sequence[Type]
) -> NDArray:
    """The result of an operator whose reference takes and gives what is stored."""
    declared = declaration.call_type(types)
    assert isinstance(declared, TensorType)
    stored = [a.numpy() for a in arguments if isinstance(a, NDArray)]
    return NDArray(np.asarray(_referenced(declaration, stored, types)), declared.dtype)


def _referenced(declaration: Operator, arrays: Sequence[Any], types: Sequence[Type]) -> Any:
    """The result of the reference; sizes unknown before may turn out not to fit each other."""
    try:
        return declaration.reference(*arrays)
    except (ValueError, IndexError, MemoryError) as error:
        given = ", ".join(map(str, types)) or "nothing"
        reason = str(error) or "there is not enough memory"
        raise InputError(f"{declaration.name} of {given}: {reason}") from error


class Interpreter:
    """Runs programs of `mod` on the host: ``Interpreter(mod).evaluate()(x)``.

    `params` are values of parameters of ``@main`` by name. `device` and `target` are accepted as
    every executor has them; the interpreter has no use for either.
    """

    def __init__(
        self,
        mod: IRModule | None = None,
        device: object = None,
        target: object = None,
        params: Mapping[str, Argument] | None = None,
    ) -> None:
        self.mod = IRModule() if mod is None else mod
        self.device = device
        self.target = target
        self.params = dict(params or {})

    def evaluate(
        self, expr: Expr | None = None, binds: Mapping[Var, Argument] | None = None
    ) -> Any:
        """The value of `expr`, by default ``@main`` of the module.

        A function comes back as a Python function taking arrays (NumPy's, `NDArray`, numbers,
        tuples of them) by position or name; anything else as an `NDArray`, a tuple of them, a
        `ConstructorValue` or a `RefValue`.
        `binds` gives values to free variables.

        Raises `RelayError` when a variable has no value, `InputError` for unfit arguments.
        """
        return self._evaluate(Machine(self.mod), self._root(expr), binds)

    def trace(
        self,
        at: At,
        expr: Expr | None = None,
        binds: Mapping[Var, Argument] | None = None,
    ) -> Any:
        """Like `evaluate`, but what comes back is a `Trace`: the result, and values on the way.

        `at` chooses the expressions to note: expressions of the program, names of operators, or a
        function that tells for each expression. One that is evaluated several times, in a function
        that is called several times, has several values. A function comes back as a Python function
        whose result is a `Trace`.

        Raises what `evaluate` raises, and `InputError` when `at` chooses nothing.
        """
        root = self._root(expr)
        watched = frozenset(chosen([root, *self.mod.functions.values()], at))
        observer = _Observer(self.mod, watched)
        value = self._evaluate(observer, root, binds)
        if not callable(value):
            return Trace(value, tuple(observer.events))
        call: Callee = value

        def run(*args: Argument, **kwargs: Argument) -> Trace:
            """Call the function with arrays, by position or by name."""
            observer.events = []
            result = call(*args, **kwargs)
            return Trace(result, tuple(observer.events))

        return run

    def _root(self, expr: Expr | None) -> Expr:
        return self.mod.get_global_var("main") if expr is None else expr

    def _evaluate(self, machine: Machine, root: Expr, binds: Mapping[Var, Argument] | None) -> Any:
        bound: dict[Expr, Value] = {v: to_value(a, v) for v, a in (binds or {}).items()}
        is_main = isinstance(root, GlobalVar) and root.name_hint == "main"
        return machine.shown(machine.run(root, Frame(bound)), self.params if is_main else None)
