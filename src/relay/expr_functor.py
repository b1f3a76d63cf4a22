"""Visitors of expressions and patterns by the name that Relay's users know the module by."""

from relay.ir.functor import ExprFunctor, ExprMutator, ExprVisitor
from relay.ir.pattern_functor import PatternFunctor, PatternMutator, PatternVisitor

__all__ = [
    "ExprFunctor",
    "ExprMutator",
    "ExprVisitor",
    "PatternFunctor",
    "PatternMutator",
    "PatternVisitor",
]
