# ruff: noqa: N815 - these are Relay's names
"""Which constructs of the language a program uses."""

from enum import IntEnum
from typing import Final

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
from relay.ir.reference import RefCreate, RefRead, RefWrite
from relay.ir.visit import post_order_all, used_children


class Feature(IntEnum):
    """A construct of the language, as Relay numbers them.

    `fGraph`: a node other than a variable, an operator or a constructor has several users.
    `fLetRec`: a let whose value mentions the variable that it is bound to.
    """

    fVar = 0
    fGlobalVar = 1
    fConstant = 2
    fTuple = 3
    fTupleGetItem = 4
    fFunction = 5
    fOp = 6
    fCall = 7
    fLet = 8
    fIf = 9
    fRefCreate = 10
    fRefRead = 11
    fRefWrite = 12
    fConstructor = 13
    fMatch = 14
    fGraph = 15
    fLetRec = 16


_OF_NODE: Final[dict[type[Expr], Feature]] = {
    Var: Feature.fVar,
    GlobalVar: Feature.fGlobalVar,
    Constant: Feature.fConstant,
    Tuple: Feature.fTuple,
    TupleGetItem: Feature.fTupleGetItem,
    Function: Feature.fFunction,
    Op: Feature.fOp,
    Call: Feature.fCall,
    Let: Feature.fLet,
    If: Feature.fIf,
    RefCreate: Feature.fRefCreate,
    RefRead: Feature.fRefRead,
    RefWrite: Feature.fRefWrite,
    Constructor: Feature.fConstructor,
    Match: Feature.fMatch,
}


def detect_feature(a: Expr | IRModule, b: Expr | IRModule | None = None) -> set[Feature]:
    """The features of an expression or of all functions of a module; of both where two are given.

    Relay takes them in either order.
    """
    roots: list[Expr] = []
    for program in (a, b):
        if isinstance(program, IRModule):
            roots += program.functions.values()
        elif program is not None:
            roots.append(program)
    found: set[Feature] = set()
    used: set[Expr] = set(roots)
    for node in post_order_all(roots):
        found.add(_OF_NODE[type(node)])
        if isinstance(node, Call) and isinstance(node.op, Op):
            found.add(Feature.fOp)
        for child in used_children(node):
            if child in used and not isinstance(child, Var | GlobalVar | Op | Constructor):
                found.add(Feature.fGraph)
            used.add(child)
    if _has_recursive_let(roots):
        found.add(Feature.fLetRec)
    return found


def _has_recursive_let(roots: list[Expr]) -> bool:
    """Whether the value of some let mentions the variable that it is bound to."""
    inside: set[Expr] = set()
    seen: set[Expr] = set()
    stack: list[tuple[Expr, Var | None]] = [(root, None) for root in roots]
    while stack:
        node, left = stack.pop()
        if left is not None:
            inside.discard(left)
        elif node in inside:
            return True
        elif isinstance(node, Let) and node not in seen:
            seen.add(node)
            inside.add(node.variable)
            # The value is visited first, then the variable is taken out, then comes the body.
            stack += [(node.body, None), (node.variable, node.variable), (node.value, None)]
        elif node not in seen and not isinstance(node, Var):
            seen.add(node)
            stack.extend((child, None) for child in used_children(node))
    return False
