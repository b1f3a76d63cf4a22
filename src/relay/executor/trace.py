"""Values on the way to a result: which expressions to note, and what they were."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from relay.ir.adt import Constructor
from relay.ir.expr import Call, Constant, Expr, Function, GlobalVar, If, Let, Op, Tuple, Var
from relay.ir.match import Match
from relay.ir.visit import post_order_all
from relay.support.diagnostics import did_you_mean
from relay.support.errors import InputError

At: TypeAlias = "Expr | str | Callable[[Expr], bool] | Sequence[Expr | str]"
"""Expressions, names of operators, or a function that tells of an expression whether it is one."""


@dataclass(frozen=True)
class Trace:
    """The `result` of a run, and its `events`: chosen expressions and their values, as they came.

    ``trace[expr]`` are the values of an expression, ``trace["nn.relu"]`` those of all calls of an
    operator, in order of evaluation; none where it was not evaluated.
    """

    result: Any
    events: tuple[tuple[Expr, Any], ...]

    def __getitem__(self, key: Expr | str) -> list[Any]:
        if isinstance(key, str):
            return [value for expr, value in self.events if _calls(expr, key)]
        return [value for expr, value in self.events if expr is key]

    def __iter__(self) -> Iterator[tuple[Expr, Any]]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)


def chosen(roots: Iterable[Expr], at: At) -> list[Expr]:
    """The expressions inside of `roots` that `at` chooses, in order of evaluation.

    Variables, constants and names are never chosen: nothing is computed there. Raises `InputError`
    for an expression or an operator that is not in the program, and when nothing is chosen.
    """
    nodes = [n for n in post_order_all(roots) if not _is_atomic(n)]
    if callable(at) and not isinstance(at, Expr):
        found = [n for n in nodes if at(n)]
        if not found:
            raise InputError("the function that chooses expressions to trace chose none")
        return found
    wanted = [at] if isinstance(at, Expr | str) else list(at)
    inside = set(nodes)
    names = {n.op.name for n in nodes if isinstance(n, Call) and isinstance(n.op, Op)}
    for item in wanted:
        if isinstance(item, str) and item not in names:
            known = ", ".join(sorted(names)) or "none"
            hint = "".join(f"; {line}" for line in did_you_mean(item, names))
            raise InputError(
                f"no operator {item!r} is called in the program, which calls: {known}{hint}"
            )
        if isinstance(item, Expr) and item not in inside:
            raise InputError(
                f"the {type(item).__name__} to trace is not part of the program, or is a variable "
                "or a constant. Passes make new expressions: choose from the module that is run"
            )
    if not wanted:
        raise InputError("nothing is chosen to be traced")
    exprs = {item for item in wanted if isinstance(item, Expr)}
    operators = {item for item in wanted if isinstance(item, str)}
    return [n for n in nodes if n in exprs or any(_calls(n, name) for name in operators)]


def with_results(function: Function, extra: Sequence[Expr]) -> Function:
    """`function` returning a tuple of its result and the values of the expressions `extra`.

    Raises `InputError` for an expression in a branch or an inner function, which has not always
    exactly one value.
    """
    spine: list[Let] = []
    body = function.body
    while isinstance(body, Let):
        spine.append(body)
        body = body.body
    outside = _evaluated_once(function.body)
    for expr in extra:
        if expr not in outside:
            raise InputError(
                f"a {type(expr).__name__} to trace is in a branch, an inner function or another "
                'function; relay.create_executor("debug", mod).trace(...) traces those'
            )
    own = dict.fromkeys(spine, body)  # a let on the way has the value of the innermost body
    result: Expr = Tuple([body, *(own.get(e, e) if isinstance(e, Let) else e for e in extra)])
    for let in reversed(spine):
        result = Let(let.variable, let.value, result, let.span)
    return function.with_body(result)


def _evaluated_once(body: Expr) -> set[Expr]:
    """The nodes that are evaluated when `body` is, and see no more variables than its end does."""
    found: set[Expr] = set()
    stack: list[Expr] = []
    while isinstance(body, Let):
        found.add(body)
        stack.append(body.value)
        body = body.body
    stack.append(body)
    while stack:
        node = stack.pop()
        if node in found:
            continue
        found.add(node)
        match node:
            case Let():
                stack.append(node.value)
            case If():
                stack.append(node.cond)
            case Match():
                stack.append(node.data)
            case Function():
                pass
            case _:
                stack.extend(node.children())
    return found


def _calls(expr: Expr, name: str) -> bool:
    return isinstance(expr, Call) and isinstance(expr.op, Op) and expr.op.name == name


def _is_atomic(node: Expr) -> bool:
    return isinstance(node, Var | GlobalVar | Constant | Constructor | Op)
