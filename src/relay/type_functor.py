"""Visitors of types by the name that Relay's users know the module by."""

from relay.ir.type_functor import TypeFunctor, TypeMutator, TypeVisitor

__all__ = ["TypeFunctor", "TypeMutator", "TypeVisitor"]
