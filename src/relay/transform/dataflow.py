"""A program of functions and lets as one of operators alone, which share what they use twice.

Calls of functions are replaced by what the functions compute, lets by their values, projections of
known tuples by the fields. What stays are operator calls, tuples, projections of operators' results
and ifs, whose conditions are known only at run time.
"""

from dataclasses import dataclass, field

from relay.ir.expr import (
    Call,
    Constant,
    Expr,
    Function,
    GlobalVar,
    If,
    Let,
    Op,
    TempExpr,
    Tuple,
    TupleGetItem,
    Var,
)
from relay.ir.module import IRModule
from relay.support.errors import UnsupportedError

DEPTH = 200
"""So many calls of one function, one inside the other, are taken to be recursion without end."""


@dataclass(frozen=True, eq=False)
class _Frame:
    """One activation of a function: what its expressions stand for."""

    values: dict[Expr, Expr] = field(default_factory=dict)
    outer: "_Frame | None" = None


class _Closure(TempExpr):
    """A function value, with the frame that its free variables live in."""

    __slots__ = ("frame", "function")
    _fields = ("function", "frame")
    function: Function
    frame: _Frame

    def __init__(self, function: Function, frame: _Frame) -> None:
        self._init(function.span, function, frame)


@dataclass(slots=True)
class _Task:
    node: Expr
    frame: _Frame
    called: _Frame | None = None


def dataflow(function: Function, module: IRModule) -> Function:
    """`function` without calls of functions and without lets; `module` has the global ones.

    Raises `UnsupportedError` for recursion, references and matches, and where a function is the
    result or depends on an if.
    """
    frame = _Frame()
    body = _Tracer(module).run(function.body, frame)
    return function.with_body(body)


class _Tracer:
    """Evaluates expressions to expressions, over a stack of its own."""

    def __init__(self, module: IRModule) -> None:
        self.module = module
        self.active: dict[Function, int] = {}

    def run(self, root: Expr, frame: _Frame) -> Expr:
        """What `root` stands for in `frame`."""
        stack = [_Task(root, frame)]
        while stack:
            task = stack[-1]
            if task.node in task.frame.values:
                stack.pop()
            else:
                stack.extend(self._step(task))
        return _no_function(frame.values[root])

    def _step(self, task: _Task) -> list[_Task]:
        """Finish `task`, or say what must be evaluated before it can go on."""
        node, values = task.node, task.frame.values
        match node:
            case Constant() | Op():
                values[node] = node
            case Var():
                values[node] = _lookup(node, task.frame)
            case GlobalVar():
                values[node] = _Closure(self.module[node], _Frame())
            case Function():
                values[node] = _Closure(node, task.frame)
            case Let(variable=variable, value=value, body=body):
                if value not in values:
                    return [_Task(value, task.frame)]
                values[variable] = values[value]
                if body not in values:
                    return [_Task(body, task.frame)]
                values[node] = values[body]
            case Call() if not isinstance(node.op, Op):
                return self._call(task, node)
            case Tuple() | TupleGetItem() | If() | Call():
                waiting = [c for c in node.children() if c not in values]
                if waiting:
                    return [_Task(c, task.frame) for c in reversed(waiting)]
                values[node] = _rebuilt(node, [values[c] for c in node.children()])
            case _:
                raise UnsupportedError(
                    f"expected a program of operators, functions and ifs, found a "
                    f"{type(node).__name__}; for references, matches and recursion use "
                    'mode="higher_order"',
                    node.span,
                )
        return []

    def _call(self, task: _Task, call: Call) -> list[_Task]:
        values = task.frame.values
        if task.called is not None:
            closure = values[call.op]
            assert isinstance(closure, _Closure)
            self.active[closure.function] -= 1
            values[call] = task.called.values[closure.function.body]
            return []
        waiting = [c for c in call.children() if c not in values]
        if waiting:
            return [_Task(c, task.frame) for c in reversed(waiting)]
        callee, arguments = values[call.op], [values[a] for a in call.args]
        if isinstance(callee, Op):
            values[call] = Call(callee, [_no_function(a) for a in arguments], span=call.span)
            return []
        if not isinstance(callee, _Closure):
            raise UnsupportedError(
                'which function is called here is known only at run time; use mode="higher_order"',
                call.span,
            )
        function = callee.function
        self.active[function] = self.active.get(function, 0) + 1
        if self.active[function] > DEPTH:
            raise UnsupportedError(
                'the function calls itself, and has to be kept as one: use mode="higher_order"',
                call.span,
            )
        bound = dict[Expr, Expr](zip(function.params, arguments, strict=True))
        task.called = _Frame(bound, callee.frame)
        return [_Task(function.body, task.called)]


def _lookup(variable: Var, frame: _Frame) -> Expr:
    current: _Frame | None = frame
    while current is not None:
        if variable in current.values:
            return current.values[variable]
        current = current.outer
    return variable


def _rebuilt(node: Expr, children: list[Expr]) -> Expr:
    if isinstance(node, TupleGetItem) and isinstance(children[0], Tuple):
        return children[0].fields[node.index]
    if isinstance(node, Call | If):
        children = [_no_function(c) for c in children]
    return node.rebuild(children)


def _no_function(value: Expr) -> Expr:
    """`value`, which must not be or hold a function."""
    fields = [value]
    while fields:
        current = fields.pop()
        if isinstance(current, _Closure):
            raise UnsupportedError(
                "a function is used as a value here; functions can only be called in first-order "
                'programs: use mode="higher_order"',
                current.span,
            )
        if isinstance(current, Tuple):
            fields.extend(current.fields)
    return value
