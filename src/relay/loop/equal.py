"""Structural equality of loop programs."""

from relay.loop.ir import Allocate, Block, Buffer, For, Func, If, Load, Stmt, Store
from relay.loop.printer import flatten, literal
from relay.te.expr import Binary, Compare, Const, Expr, Unary, Var


def equal(a: Func, b: Func) -> bool:
    """Whether two functions are the same but for the names of variables and buffers.

    Blocks directly inside blocks make no difference.
    """
    if (a.name, a.outputs) != (b.name, b.outputs):
        return False
    if len(a.params) != len(b.params) or len(a.workspaces) != len(b.workspaces):
        return False
    matcher = _Matcher()
    buffers = zip((*a.params, *a.workspaces), (*b.params, *b.workspaces), strict=True)
    return all(matcher.bind_buffer(x, y) for x, y in buffers) and matcher.stmts(a.body, b.body)


class _Matcher:
    """What stands for what so far."""

    def __init__(self) -> None:
        self.vars: dict[Var, Var] = {}
        self.buffers: dict[Buffer, Buffer] = {}

    def bind_buffer(self, a: Buffer, b: Buffer) -> bool:
        """Take `a` for `b`, if they are alike."""
        self.buffers[a] = b
        return a.shape == b.shape and a.dtype == b.dtype

    def stmts(self, a: Stmt, b: Stmt) -> bool:
        """Whether two statements are the same."""
        work = [(a, b)]
        while work:
            xs, ys = (flatten(stmt) for stmt in work.pop())
            if len(xs) == 1 and len(ys) == 1:
                if not self.stmt(xs[0], ys[0], work):
                    return False
            elif len(xs) == len(ys):
                work.extend(reversed(list(zip(xs, ys, strict=True))))
            else:
                return False
        return True

    def stmt(self, a: Stmt, b: Stmt, work: list[tuple[Stmt, Stmt]]) -> bool:
        """Whether two statements agree but for the bodies that are left in `work`."""
        match a, b:
            case For(), For():
                self.vars[a.var] = b.var
                work.append((a.body, b.body))
                return (a.extent, a.kind, a.var.dtype) == (b.extent, b.kind, b.var.dtype)
            case Allocate(), Allocate():
                work.append((a.body, b.body))
                return self.bind_buffer(a.buffer, b.buffer)
            case If(), If():
                empty = Block(())
                if (a.otherwise is None) != (b.otherwise is None):
                    return False
                work.append((a.otherwise or empty, b.otherwise or empty))
                work.append((a.then, b.then))
                return self.exprs([(a.cond, b.cond)])
            case Store(), Store():
                pairs = [*zip(a.indices, b.indices, strict=False), (a.value, b.value)]
                same_place = self.buffers.get(a.buffer) is b.buffer
                return same_place and a.reduce == b.reduce and self.exprs(pairs)
            case _:
                return False

    def exprs(self, pairs: list[tuple[Expr, Expr]]) -> bool:
        """Whether the expressions of each pair are the same."""
        seen: set[tuple[int, int]] = set()
        while pairs:
            a, b = pairs.pop()
            if (id(a), id(b)) in seen:
                continue
            seen.add((id(a), id(b)))
            if type(a) is not type(b) or a.dtype != b.dtype or not self.heads(a, b):
                return False
            pairs.extend(zip(a.children(), b.children(), strict=True))
        return True

    def heads(self, a: Expr, b: Expr) -> bool:
        """Whether two nodes of one class agree but for their children."""
        match a, b:
            case Var(), Var():
                return self.vars.get(a) is b
            case Const(), Const():
                return literal(a) == literal(b)
            case Unary(), Unary():
                return a.op == b.op
            case Binary(), Binary():
                return a.op == b.op
            case Compare(), Compare():
                return a.op == b.op
            case Load(), Load():
                return self.buffers.get(a.buffer) is b.buffer and a.ahead == b.ahead
            case _:
                return True  # a cast, whose dtype was compared, or a selection
