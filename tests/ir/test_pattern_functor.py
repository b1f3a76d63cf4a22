"""Visitors of patterns that users write."""

import pytest

import relay
from relay.ir.patterns import pattern_vars, rename
from relay.prelude import Prelude
from relay.support.errors import UnsupportedError

DEPTH = 50_000
CONS = Prelude().mod.get_constructor("List", "Cons")
H, T = relay.Var("h"), relay.Var("t")
LIST = relay.PatternConstructor(
    CONS, [relay.PatternVar(H), relay.PatternTuple([relay.PatternWildcard(), relay.PatternVar(T)])]
)


class Names(relay.PatternVisitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def visit_pattern_var(self, pattern: relay.PatternVar) -> None:
        self.names.append(pattern.var.name_hint)


class Closed(relay.PatternMutator):
    def visit_pattern_var(self, pattern: relay.PatternVar) -> relay.Pattern:
        return relay.PatternWildcard()


class Size(relay.PatternFunctor[int]):
    def visit_default(self, pattern: relay.Pattern) -> int:
        return 1 + sum(self.visit(child) for child in pattern.children())


def deep() -> relay.Pattern:
    found: relay.Pattern = relay.PatternVar(H)
    for _ in range(DEPTH):
        found = relay.PatternTuple([found])
    return found


def test_visitor() -> None:
    names = Names()
    names.visit(LIST)
    assert sorted(names.names) == ["h", "t"]


def test_mutator_keeps_what_does_not_change() -> None:
    assert relay.PatternMutator().visit(LIST) is LIST
    new = Closed().visit(LIST)
    assert str(new) == "Cons(_, (_, _))"
    assert pattern_vars(new) == []
    assert rename(LIST, {}) is LIST


def test_functor() -> None:
    assert Size().visit(LIST) == 5
    with pytest.raises(UnsupportedError, match="PatternFunctor has no case for a PatternWildcard"):
        relay.PatternFunctor().visit(relay.PatternWildcard())


def test_deep_patterns() -> None:
    pattern = deep()
    assert Size().visit(pattern) == DEPTH + 1
    assert relay.PatternMutator().visit(pattern) is pattern
    assert pattern_vars(Closed().visit(pattern)) == []


def test_clauses_of_a_match() -> None:
    class Patterns(relay.ExprVisitor):
        def visit_match(self, m: relay.Match) -> None:
            super().visit_match(m)
            for clause in m.clauses:
                names.visit(clause.lhs)

    names = Names()
    match = relay.Match(relay.Var("l"), [relay.Clause(LIST, H)], complete=False)
    Patterns().visit(match)
    assert set(names.names) == {"h", "t"}
