"""The graph language: types, expressions, modules, operators, text, equality, visitors."""

from relay.ir.adt import Constructor, TypeData
from relay.ir.equal import assert_structural_equal, structural_equal, structural_hash
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
    const,
    var,
)
from relay.ir.match import Clause, Match
from relay.ir.module import IRModule
from relay.ir.op import Operator, Pattern, operator
from relay.ir.reference import RefCreate, RefRead, RefWrite

__all__ = [
    "Call",
    "Clause",
    "Constant",
    "Constructor",
    "Expr",
    "Function",
    "GlobalVar",
    "IRModule",
    "If",
    "Let",
    "Match",
    "Op",
    "Operator",
    "Pattern",
    "RefCreate",
    "RefRead",
    "RefWrite",
    "Tuple",
    "TupleGetItem",
    "TypeData",
    "Var",
    "assert_structural_equal",
    "const",
    "operator",
    "structural_equal",
    "structural_hash",
    "var",
]
