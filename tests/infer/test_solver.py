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


A, B = relay.TypeVar("A"), relay.TypeVar("B")


def calling(demand: relay.TypeRelation, *, ret: relay.Type = B) -> relay.Expr:
    """A call of a function that may be called only as `demand` says."""
    kind = relay.FuncType([A], ret, [A, B], [demand])
    return relay.Var("f", kind)(relay.var("x", shape=(3,)))


def test_a_call_has_to_meet_the_constraints_of_the_callee() -> None:
    call = relay.infer_expr(calling(relay.TypeRelation(identity, [A, B], 1)))
    assert call.checked_type == VECTOR
    assert [str(t) for t in call.type_args] == [str(VECTOR)] * 2


def test_a_constraint_that_cannot_hold_is_an_error() -> None:
    demand = relay.TypeRelation(identity, [A, relay.TupleType([])], 1)
    with pytest.raises(TypeInferenceError, match=r"demands identity.*|differ"):
        relay.infer_expr(calling(demand, ret=A))


def test_a_constraint_that_stays_open_is_an_error() -> None:
    def never(types: Sequence[relay.Type], count: int, attrs: object, solver: Solver) -> bool:
        return False

    with pytest.raises(TypeInferenceError, match="demands never"):
        relay.infer_expr(calling(relay.TypeRelation(never, [A], 1), ret=A))


def test_a_constraint_may_add_others() -> None:
    def indirectly(types: Sequence[relay.Type], count: int, attrs: object, solver: Solver) -> bool:
        solver.add(relay.TypeRelation(identity, types, 1))
        return True

    call = relay.infer_expr(calling(relay.TypeRelation(indirectly, [A, B], 1)))
    assert call.checked_type == VECTOR


def test_constraints_are_parts_of_types() -> None:
    demand = relay.TypeRelation(identity, [A, B], 1)
    kind = relay.FuncType([A], B, [A, B], [demand])
    c, d = relay.TypeVar("C"), relay.TypeVar("D")
    renamed = relay.FuncType([c], d, [c, d], [relay.TypeRelation(identity, [c, d], 1)])
    assert kind.type_constraints == (demand,)
    assert kind == renamed
    assert hash(kind) == hash(renamed)
    assert relay.structural_equal(kind, renamed)
    swapped = relay.FuncType([A], B, [A, B], [relay.TypeRelation(identity, [B, A], 1)])
    assert kind not in (swapped, relay.FuncType([A], B, [A, B]))
    assert not relay.structural_equal(kind, swapped)
    other = relay.FuncType([A], B, [A, B], [relay.TypeRelation(print, [A, B], 1)])
    assert not relay.structural_equal(kind, other)
    assert relay.TypeMutator().visit(kind) is kind
    assert relay.analysis.check_kind(kind) == relay.TypeKind.Type

    class ToVector(relay.TypeMutator):
        def visit_type_var(self, tv: relay.TypeVar) -> relay.Type:
            return VECTOR if tv is A else tv

    new = ToVector().visit(kind)
    assert isinstance(new, relay.FuncType)
    assert new.type_constraints == (demand.with_args([VECTOR, B]),)
