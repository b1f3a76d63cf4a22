"""Which expressions flow into another one only: what dominator patterns ask."""

from relay.dataflow_pattern.engine import Graph, PatternNode, find_match
from relay.ir.expr import Expr, Function
from relay.ir.visit import used_children


def dominated_parents(
    owner: PatternNode, parent: PatternNode, path: PatternNode, expr: Expr, graph: Graph
) -> tuple[list[Expr], set[Expr]]:
    """What matches `parent` and flows only into `expr`, nearest first, and all that it may pass.

    What is passed matches `path`. `owner` is the pattern that remembers where nothing is found.
    """
    parents: list[Expr] = []
    passed: set[Expr] = set()
    arrived: dict[Expr, int] = {}
    waiting = [expr]
    for node in waiting:
        for child in () if isinstance(node, Function) else dict.fromkeys(used_children(node)):
            arrived[child] = arrived.get(child, 0) + 1
            if arrived[child] < len(graph.users[child]) or child is graph.root:
                continue
            # All uses of the child have been passed: `expr` dominates it.
            if find_match(parent, child, graph):
                parents.append(child)
            elif find_match(path, child, graph):
                passed.add(child)
                waiting.append(child)
    if not parents:
        graph.barren.setdefault(owner, set()).update(waiting)
    return parents, passed


def between(parent: Expr, passed: set[Expr], graph: Graph) -> list[Expr]:
    """The expressions of `passed` that `parent` flows through."""
    found: dict[Expr, None] = {}
    waiting = [parent]
    for node in waiting:
        for user in graph.users[node]:
            if user in passed and user not in found:
                found[user] = None
                waiting.append(user)
    return list(found)
