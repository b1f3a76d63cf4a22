"""`EtaExpand`: functions written out around constructors and global functions."""

from dataclasses import dataclass

from relay.ir.adt import Constructor
from relay.ir.expr import Call, Expr, Function, GlobalVar, Var
from relay.ir.module import IRModule
from relay.ir.types import FuncType, Type, TypeVar, substitute_types
from relay.ir.visit import post_order
from relay.transform.base import FunctionPass, PassContext


@dataclass(frozen=True)
class EtaExpand(FunctionPass):
    """Write a function around constructors and global functions that are used as values.

    `expand_constructor` and `expand_global_var` say which of the two. Those that are called, or
    matched on, stay. ::

        Cons   ->   fn [A](%x0: A, %x1: List[A]) -> List[A] { Cons(%x0, %x1) }
    """

    expand_constructor: bool = False
    expand_global_var: bool = False

    opt_level = 1
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        return self.expanded(func)

    def expanded(self, func: Function) -> Function:
        """`func`, which is typed, with functions written around its values."""
        done: dict[Expr, Expr] = {}
        values: dict[Expr, Expr] = {}

        def value(node: Expr) -> Expr:
            """What `node` has become where it is used as a value."""
            if not self._expands(node):
                return done[node]
            if node not in values:
                values[node] = eta_expanded(node)
            return values[node]

        for node in post_order(func):
            children = node.children()
            new = [value(child) for child in children]
            if isinstance(node, Call) and children and children[0] is node.op:
                new[0] = done[node.op]
            done[node] = node.rebuild(new)
        result = done[func]
        assert isinstance(result, Function)
        return result

    def _expands(self, node: Expr) -> bool:
        if isinstance(node, Constructor):
            return self.expand_constructor
        return isinstance(node, GlobalVar) and self.expand_global_var


def eta_expanded(callee: Expr) -> Function:
    """A function that calls `callee`, of which the type is known, with its own parameters."""
    type_ = callee.checked_type
    assert isinstance(type_, FuncType)
    type_params = [TypeVar(t.name_hint, t.kind) for t in type_.type_params]
    types: dict[TypeVar, Type] = dict(zip(type_.type_params, type_params, strict=True))
    params = [Var(f"x{i}", substitute_types(t, types)) for i, t in enumerate(type_.arg_types)]
    result = substitute_types(type_.ret_type, types)
    return Function(params, Call(callee, params, None, type_params), result, type_params)
