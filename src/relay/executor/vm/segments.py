"""Operator calls in a row, on their way to become one graph."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from relay.ir.expr import Expr, Tuple, TupleGetItem, Var
from relay.ir.types import TupleType
from relay.ir.visit import used_children


@dataclass
class Segment:
    """Variables and what they are bound to, in order: operator calls, and tuples between them."""

    bindings: dict[Var, Expr] = field(default_factory=dict)

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
