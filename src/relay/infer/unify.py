"""Unification: what two types must be for them to be the same."""

from collections.abc import Callable
from dataclasses import dataclass, field

from relay.ir.types import (
    FuncType,
    IncompleteType,
    RefType,
    TensorType,
    TupleType,
    Type,
    TypeCall,
    TypeConstraint,
    TypeRelation,
    compatible,
    instantiate,
    is_complete,
)


@dataclass
class Unifier:
    """What is known about the incomplete types (holes) so far.

    `on_bound` is told every hole that becomes known. A poisoned hole stands for a type that an
    error, already reported, keeps unknown: it agrees with everything, so that nothing follows from
    one mistake. `circular` is set when a type would have to contain itself.
    """

    on_bound: Callable[[IncompleteType], None]
    bindings: dict[IncompleteType, Type] = field(default_factory=dict)
    poisoned: set[IncompleteType] = field(default_factory=set)
    circular: bool = False

    def resolve(self, type_: Type) -> Type:
        """What is known of `type_` at its root."""
        passed: list[IncompleteType] = []
        while isinstance(type_, IncompleteType) and type_ in self.bindings:
            passed.append(type_)
            type_ = self.bindings[type_]
        for hole in passed[:-1]:
            self.bindings[hole] = type_
        return type_

    def full(self, type_: Type) -> Type:
        """`type_` with everything known filled in; holes are left where nothing is known."""
        type_ = self.resolve(type_)
        if is_complete(type_) or isinstance(type_, IncompleteType):
            return type_
        match type_:
            case TupleType(fields=fields):
                return TupleType([self.full(f) for f in fields])
            case FuncType(arg_types=arguments, ret_type=result, type_params=params):
                found = map(self.full, type_.type_constraints)
                demands = [c for c in found if isinstance(c, TypeConstraint)]
                full = [self.full(a) for a in arguments]
                return FuncType(full, self.full(result), params, demands)
            case TypeRelation(args=args):
                return type_.with_args([self.full(a) for a in args])
            case TypeCall(func=func, args=args):
                return TypeCall(self.full(func), [self.full(a) for a in args])
            case RefType(value=value):
                return RefType(self.full(value))
            case _:
                return type_

    def first_hole(self, type_: Type) -> IncompleteType | None:
        """A part of `type_` that is still unknown, None when all is known."""
        if is_complete(type_):
            return None
        stack = [type_]
        while stack:
            current = self.resolve(stack.pop())
            if isinstance(current, IncompleteType):
                return current
            stack.extend(reversed(current.children()))
        return None

    def poison(self) -> IncompleteType:
        """A type about which an error has been reported."""
        hole = IncompleteType()
        self.poisoned.add(hole)
        return hole

    def unify(self, a: Type, b: Type) -> bool:
        """Make `a` and `b` the same by what they still leave open; whether that is possible."""
        stack = [(a, b)]
        while stack:
            left, right = (self.resolve(t) for t in stack.pop())
            if left is right:
                continue
            if isinstance(right, IncompleteType) and not isinstance(left, IncompleteType):
                left, right = right, left
            if isinstance(left, IncompleteType):
                if not self._bind(left, right):
                    return False
                continue
            if isinstance(left, FuncType) and isinstance(right, FuncType):
                left, right = _same_parameters(left, right)
            if is_complete(left) and is_complete(right):
                if not compatible(left, right):
                    return False
                continue
            if isinstance(left, TypeRelation) and isinstance(right, TypeRelation):
                if not left.demands(right):
                    return False
            inner, other = left.children(), right.children()
            if type(left) is not type(right) or len(inner) != len(other):
                return False
            if isinstance(left, TensorType):
                return False
            stack.extend(zip(inner, other, strict=True))
        return True

    def _bind(self, hole: IncompleteType, type_: Type) -> bool:
        if hole in self.poisoned:
            if isinstance(type_, IncompleteType):
                self.poisoned.add(type_)
                self.on_bound(type_)
            return True
        if self._occurs(hole, type_):
            self.circular = True
            return False
        self.bindings[hole] = type_
        self.on_bound(hole)
        return True

    def _occurs(self, hole: IncompleteType, type_: Type) -> bool:
        if isinstance(type_, TensorType):
            return False
        stack = [type_]
        while stack:
            current = self.resolve(stack.pop())
            if current is hole:
                return True
            stack.extend(current.children())
        return False


def _same_parameters(left: FuncType, right: FuncType) -> tuple[FuncType, FuncType]:
    """Two function types over the same type parameters.

    Parameters are renamed where both have as many; else a polymorphic one is instantiated.
    """
    if len(left.type_params) == len(right.type_params):
        if not left.type_params:
            return left, right
        renamed = instantiate(right, left.type_params)
        return FuncType(left.arg_types, left.ret_type, (), left.type_constraints), renamed
    return _fresh(left), _fresh(right)


def _fresh(function: FuncType) -> FuncType:
    """`function` at type arguments that are to be found."""
    return instantiate(function, [IncompleteType() for _ in function.type_params])
