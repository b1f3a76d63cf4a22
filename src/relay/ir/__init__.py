"""The graph language: types, expressions, modules, operators, text, equality, visitors."""

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
from relay.ir.module import IRModule
from relay.ir.op import Operator, Pattern, operator

__all__ = [
    "Call",
    "Constant",
    "Expr",
    "Function",
    "GlobalVar",
    "IRModule",
    "If",
    "Let",
    "Op",
    "Operator",
    "Pattern",
    "Tuple",
    "TupleGetItem",
    "Var",
    "assert_structural_equal",
    "const",
    "operator",
    "structural_equal",
    "structural_hash",
    "var",
]
