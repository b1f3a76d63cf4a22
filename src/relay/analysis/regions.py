"""Regions of a program that external compilers take, between ``compiler_begin`` and ``_end``."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from relay.ir.expr import Call, Expr
from relay.ir.visit import bound_vars, used_children
from relay.op.annotation import CompilerBegin, CompilerEnd
from relay.support.errors import RelayError


def begin(value: Expr, compiler: str) -> Call:
    """`value` as it goes into a region."""
    return CompilerBegin.call(value, compiler=compiler)


def end(value: Expr, compiler: str) -> Call:
    """`value` as it comes out of a region."""
    return CompilerEnd.call(value, compiler=compiler)


def mark_of(expr: Expr) -> CompilerBegin | CompilerEnd | None:
    """The mark that `expr` is a call of, if it is."""
    if isinstance(expr, Call) and isinstance(expr.attrs, CompilerBegin | CompilerEnd):
        return expr.attrs
    return None


@dataclass
class Units:
    """Disjoint sets of nodes. A node that was never joined is a set of its own."""

    parents: dict[Expr, Expr] = field(default_factory=dict)

    def find(self, node: Expr) -> Expr:
        """The node that stands for the set of `node`."""
        root = node
        while self.parents.get(root, root) is not root:
            root = self.parents[root]
        while node is not root:
            self.parents[node], node = root, self.parents[node]
        return root

    def join(self, a: Expr, b: Expr) -> None:
        """Make the sets of `a` and `b` one."""
        self.parents[self.find(b)] = self.find(a)


@dataclass(frozen=True)
class Regions:
    """The regions of a program: `units` holds each as one set, its marks included.

    `target` gives the compiler of each node that is in a region.
    """

    units: Units
    target: Mapping[Expr, str]


def find_regions(order: Sequence[Expr]) -> Regions:
    """The regions among the nodes of `order`, a post-order.

    What uses a ``compiler_begin``, or something in a region, is in that region, up to the
    ``compiler_end``. Raises `RelayError` where marks of two compilers meet.
    """
    units = Units()
    target: dict[Expr, str] = {}
    for node in order:
        mark = mark_of(node)
        if isinstance(mark, CompilerBegin):
            target[node] = mark.compiler
            continue
        if isinstance(mark, CompilerEnd):
            (child,) = used_children(node)
            _enter(node, mark.compiler, target)
            _enter(child, mark.compiler, target)
            units.join(child, node)
            continue
        for child in used_children(node):
            if child in target and not isinstance(mark_of(child), CompilerEnd):
                _enter(node, target[child], target)
                units.join(child, node)
    return Regions(units, target)


def _enter(node: Expr, compiler: str, target: dict[Expr, str]) -> None:
    found = target.setdefault(node, compiler)
    if found != compiler:
        raise RelayError(
            f"a region for {found} and one for {compiler} overlap: put compiler_end after the one "
            "and compiler_begin before the other",
            node.span,
        )


def sorted_units(order: Sequence[Expr], units: Units) -> list[list[Expr]]:
    """The sets of `units`, each after all that it uses, with its nodes in the order of `order`.

    Raises `RelayError` when the sets use one another in a circle.
    """
    members: dict[Expr, list[Expr]] = {}
    rank: dict[Expr, int] = {}
    for index, node in enumerate(order):
        unit = units.find(node)
        members.setdefault(unit, []).append(node)
        rank.setdefault(unit, index)
    users: dict[Expr, set[Expr]] = {unit: set() for unit in members}
    waiting = dict.fromkeys(members, 0)
    for node in order:
        for unit in used_units(node, units):
            if unit in users and units.find(node) not in users[unit]:
                users[unit].add(units.find(node))
                waiting[units.find(node)] += 1
    ready = [(rank[unit], k, unit) for k, unit in enumerate(members) if not waiting[unit]]
    heapq.heapify(ready)
    found: list[list[Expr]] = []
    while ready:
        _, _, unit = heapq.heappop(ready)
        found.append(members[unit])
        for user in users[unit]:
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, (rank[user], rank[user], user))
    if len(found) < len(members):
        raise RelayError("the regions between compiler_begin and compiler_end depend on themselves")
    return found


def used_units(node: Expr, units: Units) -> Iterable[Expr]:
    """The other sets that `node` takes something from, or binds a variable of."""
    own = units.find(node)
    return [
        u
        for u in (units.find(c) for c in (*bound_vars(node), *used_children(node)))
        if u is not own
    ]
