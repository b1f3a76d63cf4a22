"""Visitors that users derive from: one method per kind of expression, results memoised.

A method may call ``self.visit`` on the children as if nothing were deep: before a node is given to
its method, `visit` has visited what the node depends on, without recursion. Bodies of functions,
branches of ifs and clauses of matches are left to the method, which may want to prepare for them
(or leave them out), except where they nest very deeply.
"""

from typing import Generic, TypeVar

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
from relay.ir.reference import RefCreate, RefRead, RefWrite
from relay.support.errors import UnsupportedError

R = TypeVar("R")

DEEP = 40
"""So many methods in progress, one inside the other, and bodies are visited ahead, too."""


class ExprFunctor(Generic[R]):
    """A function on expressions: `visit`, with a method for each kind: ``visit_call`` and so on.

    A derived class that defines ``__init__`` has to call ``super().__init__()``.
    """

    def __init__(self) -> None:
        self.memo_map: dict[Expr, R] = {}
        self._depth = 0

    def visit(self, expr: Expr) -> R:
        """The result for `expr`: computed once, kept in `memo_map`."""
        if expr in self.memo_map:
            return self.memo_map[expr]
        for node in self._pending(expr):
            self.visit(node)
        self._depth += 1
        try:
            result = self.dispatch(expr)
        finally:
            self._depth -= 1
        self.memo_map[expr] = result
        return result

    def _pending(self, expr: Expr) -> list[Expr]:
        """What `expr` depends on and has no result yet, children first; not `expr` itself."""
        order: list[Expr] = []
        seen: set[Expr] = set()
        stack = [(expr, False)]
        while stack:
            node, ready = stack.pop()
            if ready:
                order.append(node)
            elif node not in seen and node not in self.memo_map:
                seen.add(node)
                stack.append((node, True))
                stack.extend((child, False) for child in reversed(self._ahead(node)))
        order.pop()
        return order

    def _ahead(self, node: Expr) -> tuple[Expr, ...]:
        """The children that are visited before the method of `node` is called."""
        if self._depth >= DEEP:
            return node.children()
        match node:
            case Function():
                return ()
            case If(cond=cond):
                return (cond,)
            case Match(data=data):
                return (data,)
            case _:
                return node.children()

    def dispatch(self, expr: Expr) -> R:
        """Call the method for the kind of `expr`."""
        match expr:
            case Call():
                return self.visit_call(expr)
            case Var():
                return self.visit_var(expr)
            case Constant():
                return self.visit_constant(expr)
            case Tuple():
                return self.visit_tuple(expr)
            case TupleGetItem():
                return self.visit_tuple_getitem(expr)
            case Function():
                return self.visit_function(expr)
            case Let():
                return self.visit_let(expr)
            case If():
                return self.visit_if(expr)
            case GlobalVar():
                return self.visit_global_var(expr)
            case Op():
                return self.visit_op(expr)
            case Match():
                return self.visit_match(expr)
            case Constructor():
                return self.visit_constructor(expr)
            case RefCreate():
                return self.visit_ref_create(expr)
            case RefRead():
                return self.visit_ref_read(expr)
            case RefWrite():
                return self.visit_ref_write(expr)
            case _:
                return self.visit_default(expr)

    def visit_default(self, expr: Expr) -> R:
        """What is done where the derived class has no method for the kind of `expr`.

        Raises `UnsupportedError` unless overridden.
        """
        raise UnsupportedError(
            f"{type(self).__name__} has no case for a {type(expr).__name__}", expr.span
        )

    def visit_call(self, call: Call) -> R:
        """A call."""
        return self.visit_default(call)

    def visit_var(self, var: Var) -> R:
        """A local variable."""
        return self.visit_default(var)

    def visit_constant(self, const: Constant) -> R:
        """A constant."""
        return self.visit_default(const)

    def visit_tuple(self, tup: Tuple) -> R:
        """A tuple."""
        return self.visit_default(tup)

    def visit_tuple_getitem(self, t: TupleGetItem) -> R:
        """A projection."""
        return self.visit_default(t)

    def visit_function(self, fn: Function) -> R:
        """A function; its body has not been visited yet."""
        return self.visit_default(fn)

    def visit_let(self, let: Let) -> R:
        """A let."""
        return self.visit_default(let)

    def visit_if(self, if_: If) -> R:
        """An if; its branches have not been visited yet."""
        return self.visit_default(if_)

    def visit_global_var(self, gvar: GlobalVar) -> R:
        """A global variable."""
        return self.visit_default(gvar)

    def visit_op(self, op: Op) -> R:
        """An operator."""
        return self.visit_default(op)

    def visit_match(self, m: Match) -> R:
        """A match; its clauses have not been visited yet."""
        return self.visit_default(m)

    def visit_constructor(self, c: Constructor) -> R:
        """A constructor of a data type."""
        return self.visit_default(c)

    def visit_ref_create(self, r: RefCreate) -> R:
        """A new reference."""
        return self.visit_default(r)

    def visit_ref_read(self, r: RefRead) -> R:
        """A read of a reference."""
        return self.visit_default(r)

    def visit_ref_write(self, r: RefWrite) -> R:
        """A write to a reference."""
        return self.visit_default(r)


class ExprVisitor(ExprFunctor[None]):
    """Visits everything once; override the methods for the kinds of interest.

    An overriding method calls ``super().visit_call(call)``, or ``self.visit`` on the children.
    """

    def visit_default(self, expr: Expr) -> None:
        """Visit the children."""
        for child in expr.children():
            self.visit(child)

    def visit_call(self, call: Call) -> None:
        """Visit the callee and the arguments."""
        self.visit(call.op)
        for argument in call.args:
            self.visit(argument)


class ExprMutator(ExprFunctor[Expr]):
    """Rebuilds expressions over what its methods return; what does not change stays as it is."""

    def visit_default(self, expr: Expr) -> Expr:
        """Rebuild `expr` over its visited children."""
        return expr.rebuild([self.visit(child) for child in expr.children()])

    def visit_call(self, call: Call) -> Expr:
        """Rebuild the call over the visited callee and arguments."""
        op = self.visit(call.op)
        arguments = [self.visit(argument) for argument in call.args]
        if op is call.op:
            children = arguments if isinstance(op, Op) else [op, *arguments]
            return call.rebuild(children)
        attrs = call.attrs if isinstance(op, Op) and isinstance(call.op, Op) else None
        return Call(op, arguments, attrs, call.type_args, call.span)
