"""Unification: what two types must be for them to be the same."""

from collections.abc import Callable
from dataclasses import dataclass, field

from relay.ir.types import (
    FuncType,
    IncompleteType,
    TensorType,
    Type,
    TypeRelation,
    compatible,
    instantiate,
    is_complete,
    rebuild_types,
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
    _filled: dict[int, tuple[Type, Type]] = field(default_factory=dict)
    """By the identity of a type: the type, and what it is with everything filled in."""

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
        """`type_` with everything known filled in; holes are left where nothing is known.

        What is complete stays so, and is filled in once.
        """
        if is_complete(type_):
            return type_
        done: dict[int, tuple[Type, Type]] = {}
        result = rebuild_types(type_, self._step, done)
        self._filled.update((key, pair) for key, pair in done.items() if is_complete(pair[1]))
        return result

    def _step(self, type_: Type) -> tuple[Type, bool]:
        """What is known of `type_` at its root, and whether that is all that is known of it."""
        filled = self._filled.get(id(type_))
        if filled is not None:
            return filled[1], True
        found = self.resolve(type_)
        return found, is_complete(found) or isinstance(found, IncompleteType)

    def first_hole(self, type_: Type) -> IncompleteType | None:
        """A part of `type_` that is still unknown, None when all is known."""
        stack = [self.full(type_)]
        while stack:
            current = stack.pop()
            if isinstance(current, IncompleteType):
                return current
            if not is_complete(current):
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
        type_ = self.full(type_)
        if self._occurs(hole, type_):
            self.circular = True
            return False
        self.bindings[hole] = type_
        self.on_bound(hole)
        return True

    def _occurs(self, hole: IncompleteType, type_: Type) -> bool:
        stack = [type_]
        while stack:
            current = self.resolve(stack.pop())
            if current is hole:
                return True
            if not is_complete(current):
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
