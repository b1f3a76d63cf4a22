"""Matching: a pattern against an expression, with backtracking and without recursion.

Within one match a pattern stands for one expression: used twice, it must meet the same node twice.
Of several ways to match the first is taken, in the order in which patterns offer them.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import ClassVar, NamedTuple, TypeAlias

from relay.ir.expr import Expr
from relay.ir.visit import post_order, used_children


class PatternNode:
    """What the engine knows of a pattern. Patterns are compared and hashed by identity."""

    #: Whether a matched expression is part of what the pattern describes, not an input of it.
    structural: ClassVar[bool] = False
    #: Whether a constant that is matched belongs to what the pattern describes.
    embeds_constants: ClassVar[bool] = False
    #: Whether it asks for types.
    needs_types: ClassVar[bool] = False

    def expand(self, expr: Expr, graph: "Graph") -> "Alternatives":
        """The ways in which this pattern matches `expr`: each is what remains to be matched.

        No way at all: the pattern does not match. ``[[]]``: it does, and nothing remains.
        """
        raise TypeError(f"{type(self).__name__} does not define `expand`")

    def details(self) -> tuple[object, ...]:
        """What this pattern asks for itself, beside its parts; shown when it is printed."""
        return ()

    def parts(self) -> "tuple[PatternNode, ...]":
        """The patterns directly inside this one."""
        return ()


class Goal(NamedTuple):
    """`pattern` is to match `expr`; with `fresh` independently of all other goals."""

    pattern: PatternNode
    expr: Expr
    fresh: bool = False


Alternatives: TypeAlias = Sequence[Sequence[Goal]]
NodeMap: TypeAlias = Mapping[PatternNode, Sequence[Expr]]
"""Which expressions a pattern matched: one, except along a path or in a recursive pattern."""

_Scope: TypeAlias = dict[object, Expr]
_Goals: TypeAlias = "tuple[Goal, _Scope, _Goals] | None"

MATCH: Alternatives = ((),)
"""The alternatives of a pattern that matches, without more to be done."""

NO_MATCH: Alternatives = ()


class Graph:
    """An expression in which things are matched, with who uses whom in it."""

    def __init__(self, root: Expr) -> None:
        self.root = root
        #: By dominator pattern, the nodes before which no parent is left to be found.
        self.barren: dict[PatternNode, set[Expr]] = {}

    @cached_property
    def order(self) -> list[Expr]:
        """Every node, children first."""
        return post_order(self.root)

    @cached_property
    def users(self) -> Mapping[Expr, list[Expr]]:
        """The nodes that use each node, every one once."""
        found: dict[Expr, list[Expr]] = {node: [] for node in self.order}
        for node in self.order:
            for child in dict.fromkeys(used_children(node)):
                if child in found:
                    found[child].append(node)
        return found


class Match(NamedTuple):
    """A successful match: what each pattern met, and the expressions that belong to it."""

    nodes: NodeMap
    interior: frozenset[Expr]
    constants: frozenset[Expr]


def find_match(pattern: PatternNode, expr: Expr, graph: Graph) -> Match | None:
    """How `pattern` matches `expr`, a node of `graph`; None where it does not."""
    trail: list[tuple[_Scope, object, Goal]] = []
    entered: _Scope = {}
    choices: list[tuple[_Goals, int]] = []
    goals: _Goals = (Goal(pattern, expr), {}, None)
    while goals is not None:
        goal, scope, rest = goals
        if goal.fresh:
            # What was met independently before needs not be looked at again.
            key = (goal.pattern, goal.expr)
            if key in entered:
                goals = rest
                continue
            entered[key] = goal.expr
            trail.append((entered, key, goal))
            scope = {}
        known = scope.get(goal.pattern)
        if known is goal.expr:
            goals = rest
            continue
        ways: Alternatives = NO_MATCH
        if known is None:
            scope[goal.pattern] = goal.expr
            trail.append((scope, goal.pattern, goal))
            ways = goal.pattern.expand(goal.expr, graph)
        if ways:
            choices.extend((_before(way, scope, rest), len(trail)) for way in reversed(ways[1:]))
            goals = _before(ways[0], scope, rest)
        elif choices:
            goals, length = choices.pop()
            while len(trail) > length:
                undone, name, _ = trail.pop()
                del undone[name]
        else:
            return None
    return _summary(goal for _, _, goal in trail)


def _before(way: Iterable[Goal], scope: _Scope, rest: _Goals) -> _Goals:
    for goal in reversed(tuple(way)):
        rest = (goal, scope, rest)
    return rest


def _summary(goals: Iterable[Goal]) -> Match:
    nodes: dict[PatternNode, dict[Expr, None]] = {}
    interior: set[Expr] = set()
    constants: set[Expr] = set()
    for pattern, expr, _ in goals:
        nodes.setdefault(pattern, {})[expr] = None
        if pattern.structural:
            interior.add(expr)
        if pattern.embeds_constants:
            constants.add(expr)
    found = {pattern: tuple(exprs) for pattern, exprs in nodes.items()}
    return Match(found, frozenset(interior), frozenset(constants))


def parts_of(pattern: PatternNode) -> list[PatternNode]:
    """`pattern` and every pattern inside it, once each."""
    found: dict[PatternNode, None] = {pattern: None}
    stack = [pattern]
    while stack:
        for part in stack.pop().parts():
            if part not in found:
                found[part] = None
                stack.append(part)
    return list(found)


def pattern_text(pattern: PatternNode) -> str:
    """`pattern` as text: kind, what it asks for, parts. A pattern inside itself is dots there."""
    done: dict[PatternNode, str] = {}
    entered: set[PatternNode] = set()
    stack = [(pattern, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            details = node.details()
            parts = (done.get(part, "...") for part in node.parts())
            name = type(node).__name__.removesuffix("Pattern")
            done[node] = f"{name}({', '.join((*map(str, details), *parts))})"
        elif node not in entered:
            entered.add(node)
            stack.append((node, True))
            stack.extend((part, False) for part in reversed(node.parts()))
    return done[pattern]
