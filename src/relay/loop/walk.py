"""Walks over loop programs. Loop nests are shallow, so statements recurse; expressions never do."""

from collections.abc import Callable, Iterator, Mapping

from relay.loop.ir import Allocate, Block, Buffer, For, Func, If, Load, Stmt, Store, block
from relay.loop.simplify import Range, linear, simplify
from relay.te.expr import Const, Expr, Var
from relay.te.walk import post_order, rewrite, substitute, variables


def statements(root: Stmt) -> Iterator[Stmt]:
    """Every statement of `root`, outer ones first."""
    stack: list[Stmt] = [root]
    while stack:
        stmt = stack.pop()
        yield stmt
        stack.extend(reversed(children(stmt)))


def children(stmt: Stmt) -> tuple[Stmt, ...]:
    """The statements directly inside `stmt`."""
    match stmt:
        case For() | Allocate():
            return (stmt.body,)
        case Block():
            return stmt.stmts
        case If():
            return (stmt.then,) if stmt.otherwise is None else (stmt.then, stmt.otherwise)
        case Store():
            return ()


def with_children(stmt: Stmt, new: tuple[Stmt, ...]) -> Stmt:
    """`stmt` with other statements directly inside it."""
    match stmt:
        case For():
            return For(stmt.var, stmt.extent, stmt.kind, new[0])
        case Block():
            return block(*new)
        case Store():
            return stmt
        case Allocate():
            return Allocate(stmt.buffer, new[0])
        case If():
            return If(stmt.cond, *new)


def expressions(stmt: Stmt) -> tuple[Expr, ...]:
    """The expressions directly in `stmt`."""
    match stmt:
        case Store():
            return (*stmt.indices, stmt.value)
        case If():
            return (stmt.cond,)
        case _:
            return ()


def loads(root: Stmt) -> Iterator[Load]:
    """Every load in `root`."""
    for stmt in statements(root):
        for expr in expressions(stmt):
            yield from (e for e in post_order(expr) if isinstance(e, Load))


def stores(root: Stmt) -> Iterator[Store]:
    """Every store in `root`."""
    return (s for s in statements(root) if isinstance(s, Store))


def loops(root: Stmt) -> Iterator[For]:
    """Every loop in `root`, outer ones first."""
    return (s for s in statements(root) if isinstance(s, For))


def allocated(root: Stmt) -> set[Buffer]:
    """The buffers that `root` allocates."""
    return {s.buffer for s in statements(root) if isinstance(s, Allocate)}


def map_expressions(stmt: Stmt, fn: Callable[[Expr], Expr]) -> Stmt:
    """`stmt` with each of its expressions (indices, values, conditions) replaced by `fn` of it."""
    match stmt:
        case For():
            return For(stmt.var, stmt.extent, stmt.kind, map_expressions(stmt.body, fn))
        case Block():
            return Block(tuple(map_expressions(s, fn) for s in stmt.stmts))
        case If():
            otherwise = stmt.otherwise and map_expressions(stmt.otherwise, fn)
            return If(fn(stmt.cond), map_expressions(stmt.then, fn), otherwise)
        case Allocate():
            return Allocate(stmt.buffer, map_expressions(stmt.body, fn))
        case Store():
            indices = tuple(fn(i) for i in stmt.indices)
            return Store(stmt.buffer, indices, fn(stmt.value), stmt.reduce)


def map_buffers(stmt: Stmt, mapping: Mapping[Buffer, Buffer]) -> Stmt:
    """`stmt` with accesses to buffers redirected to others of the same rank."""

    def redirect(expr: Expr) -> Expr:
        if isinstance(expr, Load) and expr.buffer in mapping:
            return Load(mapping[expr.buffer], expr.indices, expr.ahead)
        return expr

    def visit(s: Stmt) -> Stmt:
        match s:
            case For():
                return For(s.var, s.extent, s.kind, visit(s.body))
            case Block():
                return Block(tuple(visit(c) for c in s.stmts))
            case If():
                return If(
                    rewrite(s.cond, redirect), visit(s.then), s.otherwise and visit(s.otherwise)
                )
            case Allocate():
                return Allocate(mapping.get(s.buffer, s.buffer), visit(s.body))
            case Store():
                return Store(
                    mapping.get(s.buffer, s.buffer),
                    tuple(rewrite(i, redirect) for i in s.indices),
                    rewrite(s.value, redirect),
                    s.reduce,
                )

    return visit(stmt)


def substitute_in(stmt: Stmt, values: Mapping[Var, Expr]) -> Stmt:
    """`stmt` with variables replaced by `values` (bound ones must not be among them)."""
    return map_expressions(stmt, lambda e: substitute(e, values))


def drop_unit_loops(stmt: Stmt) -> Stmt:
    """`stmt` without loops of one iteration."""
    match stmt:
        case For(extent=1):
            zero = Const(0, stmt.var.dtype)
            return drop_unit_loops(substitute_in(stmt.body, {stmt.var: zero}))
        case For():
            return For(stmt.var, stmt.extent, stmt.kind, drop_unit_loops(stmt.body))
        case Block():
            return block(*(drop_unit_loops(s) for s in stmt.stmts))
        case If():
            otherwise = stmt.otherwise and drop_unit_loops(stmt.otherwise)
            return If(stmt.cond, drop_unit_loops(stmt.then), otherwise)
        case Allocate():
            return Allocate(stmt.buffer, drop_unit_loops(stmt.body))
        case Store():
            return stmt


def simplify_in(stmt: Stmt, ranges: Mapping[Var, Range]) -> Stmt:
    """`stmt` with all index arithmetic simplified; conditions that are decided disappear."""
    match stmt:
        case For():
            inner = {**ranges, stmt.var: (0, stmt.extent - 1)}
            return For(stmt.var, stmt.extent, stmt.kind, simplify_in(stmt.body, inner))
        case Block():
            return block(*(simplify_in(s, ranges) for s in stmt.stmts))
        case If():
            cond = simplify(stmt.cond, ranges)
            if isinstance(cond, Const):
                chosen = stmt.then if cond.value else stmt.otherwise
                return Block(()) if chosen is None else simplify_in(chosen, ranges)
            otherwise = stmt.otherwise and simplify_in(stmt.otherwise, ranges)
            return If(cond, simplify_in(stmt.then, ranges), otherwise)
        case Allocate():
            return Allocate(stmt.buffer, simplify_in(stmt.body, ranges))
        case Store():
            return Store(
                stmt.buffer,
                tuple(simplify(i, ranges) for i in stmt.indices),
                simplify(stmt.value, ranges),
                stmt.reduce,
            )


def with_body(func: Func, body: Stmt) -> Func:
    """`func` with another body."""
    return Func(func.name, func.params, body, func.workspaces, func.outputs)


def stride(load: Load, variable: Var) -> int | None:
    """Elements from one iteration of `variable` to the next; None where that is not constant."""
    total = 0
    for index, step in zip(load.indices, load.buffer.strides, strict=True):
        for atom, factor in linear(index).terms.values():
            if atom is variable:
                total += factor * step
            elif variable in variables(atom):
                return None
    return total
