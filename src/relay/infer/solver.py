"""Solving relations between types by hand: for people who write relations, and for teaching.

::

    solver = Solver()
    a, b = solver.hole(), solver.hole()
    solver.add(TypeRelation(identity, [a, b], num_inputs=1))
    solver.unify(a, TensorType((3,)))
    solver.solve()
    assert solver.resolve(b) == TensorType((3,))
"""

from dataclasses import dataclass, field

from relay.infer.unify import Unifier
from relay.ir.types import IncompleteType, Type, TypeRelation, is_complete
from relay.support.errors import TypeInferenceError


@dataclass
class Solver:
    """Type equations and relations, and what follows from them.

    A relation is asked again whenever one of the types it waits for becomes known, until it is done
    or nothing can wake it any more; until then it is one of `relations`. What is given to `unify`
    must agree for good: there is no way back.
    """

    relations: list[TypeRelation] = field(default_factory=list)
    _woken: bool = False
    _unifier: Unifier = field(init=False)

    def __post_init__(self) -> None:
        self._unifier = Unifier(self._wake)

    @classmethod
    def over(cls, unifier: Unifier) -> "Solver":
        """A solver that adds to what `unifier` knows, whose owner asks the `relations`."""
        solver = cls()
        solver._unifier = unifier
        return solver

    def hole(self) -> IncompleteType:
        """A type that is to be found."""
        return IncompleteType()

    def add(self, relation: TypeRelation) -> None:
        """Demand that `relation` holds."""
        self.relations.append(relation)

    def unify(self, a: Type, b: Type) -> None:
        """Demand that `a` and `b` are the same type; raises `TypeInferenceError` if they cannot."""
        if not self._unifier.unify(a, b):
            raise TypeInferenceError(f"the types {self.resolve(a)} and {self.resolve(b)} differ")

    #: What Relay calls `unify` where a relation tells a type.
    assign = unify

    def resolve(self, type_: Type) -> Type:
        """`type_` with everything filled in that is known so far."""
        return self._unifier.full(type_)

    def is_known(self, type_: Type) -> bool:
        """Whether nothing in `type_` is left to be found."""
        return is_complete(self.resolve(type_))

    def solve(self) -> bool:
        """Ask the relations until nothing new follows; whether all of them are done.

        Raises `TypeInferenceError` when a relation cannot hold.
        """
        self._woken = True
        while self._woken and self.relations:
            self._woken = False
            waiting = []
            for relation in self.relations:
                types = [self.resolve(t) for t in relation.args]
                if not relation.func(types, relation.num_inputs, relation.attrs, self):
                    waiting.append(relation)
            self.relations = waiting
        return not self.relations

    def _wake(self, hole: IncompleteType) -> None:
        self._woken = True
