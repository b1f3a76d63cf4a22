"""Visitors of expressions by the name that Relay's users know the module by."""

from relay.ir.functor import ExprFunctor, ExprMutator, ExprVisitor

__all__ = ["ExprFunctor", "ExprMutator", "ExprVisitor"]
