"""The solver that writers of relations use."""

from collections.abc import Sequence

import pytest

import relay
from relay.infer import Solver
from relay.support.errors import TypeInferenceError

VECTOR = relay.TensorType((3,))


def identity(types: Sequence[relay.Type], num_inputs: int, attrs: object, solver: Solver) -> bool:
    """The result is what the input is."""
    if isinstance(types[0], relay.IncompleteType):
        return False
    solver.assign(types[1], types[0])
    return True


def test_relations_wake_each_other() -> None:
    solver = Solver()
    holes = [solver.hole() for _ in range(20)]
    for i in reversed(range(19)):
        solver.add(relay.TypeRelation(identity, holes[i : i + 2], 1))
    assert not solver.solve()
    assert not solver.is_known(holes[19])
    solver.unify(holes[0], VECTOR)
    assert solver.solve()
    assert solver.resolve(relay.TupleType([holes[19]])) == relay.TupleType([VECTOR])


def test_what_cannot_be_is_an_error() -> None:
    solver = Solver()
    with pytest.raises(TypeInferenceError, match="differ"):
        solver.unify(VECTOR, relay.TupleType([]))
    a, b = solver.hole(), solver.hole()
    solver.add(relay.TypeRelation(identity, [a, b], 1))
    solver.unify(a, VECTOR)
    solver.unify(b, relay.TensorType((4,)))
    with pytest.raises(TypeInferenceError, match="differ"):
        solver.solve()
    assert str(relay.TypeRelation(identity, [VECTOR], 1)) == "identity(Tensor[(3), float32])"
