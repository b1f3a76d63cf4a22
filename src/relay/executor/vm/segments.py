"""Operator calls in a row, on their way to become one graph."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from relay.ir.expr import Call, Constant, Expr, Op, Tuple, TupleGetItem, Var
from relay.ir.op import Operator
from relay.ir.types import TupleType
from relay.ir.visit import used_children
from relay.op.tensor.sizes import NdarraySize, ShapeOf


@dataclass
class Segment:
    """Variables and what they are bound to, in order: operator calls, and tuples between them."""

    bindings: dict[Var, Expr] = field(default_factory=dict)
    sizes: set[Var] = field(default_factory=set)
    """Those of the variables whose values follow from the shapes of what the graph takes."""

    def add(self, variable: Var, value: Expr) -> None:
        """Bind `variable`, the next operation."""
        self.bindings[variable] = value
        if self._follows_from_shapes(value):
            self.sizes.add(variable)

    def undecided(self, value: Expr) -> bool:
        """Whether a value that is computed here is not known when the graph is compiled."""
        return value in self.bindings and value not in self.sizes

    def _follows_from_shapes(self, value: Expr) -> bool:
        if isinstance(value, Call):
            if isinstance(value.attrs, ShapeOf | NdarraySize):
                return True
            if isinstance(value.attrs, Operator) and value.attrs.stateful:
                return False
        return all(isinstance(c, Constant | Op) or c in self.sizes for c in used_children(value))

    def results(self, uses: Mapping[Expr, int]) -> tuple[list[Var], list[Var]]:
        """What is used afterwards: tuples made here, and what the graph has to compute.

        `uses` counts all uses in the program.
        """
        inside: Counter[Expr] = Counter()
        for value in self.bindings.values():
            inside.update(c for c in used_children(value) if isinstance(c, Var))
        needed = [v for v in self.bindings if uses[v] > inside[v]]
        tuples = [v for v in needed if isinstance(self.bindings[v], Tuple)]
        made = set(tuples)
        # A tuple is put together outside: no tensor is copied because it is a part of it.
        computed = dict.fromkeys(v for v in needed if v not in made)
        for variable in tuples:
            for atom in used_children(self.bindings[variable]):
                if isinstance(atom, Var) and atom in self.bindings:
                    computed.setdefault(atom)
        return tuples, list(computed)


def leaves(value: Expr) -> list[Expr]:
    """The tensors of a value: itself, or the fields of the (nested) tuple that it is."""
    if not isinstance(value.checked_type, TupleType):
        return [value]
    count = len(value.checked_type.fields)
    return [leaf for k in range(count) for leaf in leaves(TupleGetItem(value, k))]
