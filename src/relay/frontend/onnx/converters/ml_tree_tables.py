"""The tables of `ml.tree_ensemble` from trees as ONNX writes them.

That operator knows one comparison, ``value <= split``. The others are expressed by it, exactly: a
number is less than a split when it is at most the one before it, ``>`` and ``>=`` exchange the ways
on, equality is two comparisons, and a set is searched by halving.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from relay.frontend.onnx.node import Node
from relay.ir.expr import Expr

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]

#: The comparisons of ``TreeEnsemble``, by number.
LEQ, LT, GTE, GT, EQ, NEQ, MEMBER = range(7)
MODES: Final = {
    "BRANCH_LEQ": LEQ,
    "BRANCH_LT": LT,
    "BRANCH_GTE": GTE,
    "BRANCH_GT": GT,
    "BRANCH_EQ": EQ,
    "BRANCH_NEQ": NEQ,
    "BRANCH_MEMBER": MEMBER,
}
#: Nodes, leaves and features are numbered by ``int32``.
_MOST: Final = 2**31 - 1


@dataclass
class Trees:
    """Trees: a row for each inner node, and what the leaves say.

    `yes` and `no` are where to go on; inner nodes first, leaves counted on behind them. `tracks` is
    whether a missing feature, NaN, goes the way of `yes`. `votes` are leaf, target and weight.
    """

    features: Ints
    modes: Ints
    splits: Floats
    yes: Ints
    no: Ints
    tracks: npt.NDArray[np.bool_]
    roots: Ints
    leaves: int
    votes: tuple[Ints, Ints, Floats]
    members: Sequence[Floats] = ()


def ensemble(node: Node, data: Expr, trees: Trees, targets: int, aggregate: str) -> Expr:
    """What `trees` say about each row of `data`, (rows, targets)."""
    _check(node, trees, data, targets)
    splits, table, roots = _Builder(trees).tables()
    depth = _depth(node, table)
    of, says = _vote_tables(node, trees)
    dtype = node.dtype(data)
    return node.call(
        "ml.tree_ensemble",
        data,
        node.constant(splits, dtype),
        node.constant(table, "int32"),
        node.constant(roots, "int32"),
        node.constant(of, "int32"),
        node.constant(says, dtype),
        depth=depth,
        n_targets=targets,
        aggregate=aggregate,
    )


def _check(node: Node, trees: Trees, data: Expr, targets: int) -> None:
    """Refuse tables that lead or look outside of themselves."""
    inner = len(trees.features)
    for name in ("modes", "splits", "yes", "no", "tracks"):
        found = len(getattr(trees, name))
        if found != inner:
            node.fail(f"it describes {inner} nodes, but has {found} entries of {name}")
    if not trees.leaves:
        node.fail("its trees have no leaves")
    if inner + trees.leaves + sum(2 * len(m) for m in trees.members) + 2 * inner > _MOST:
        node.fail("it has more nodes than can be numbered")
    sizes = node.type_of(data).shape
    width = sizes[-1] if isinstance(sizes[-1], int) else _MOST
    for what, values, end in (
        ("feature", trees.features, width),
        ("mode", trees.modes, len(MODES)),
        ("way on", trees.yes, inner + trees.leaves),
        ("way on", trees.no, inner + trees.leaves),
        ("root", trees.roots, inner + trees.leaves),
        ("leaf", trees.votes[0], trees.leaves),
        ("target", trees.votes[1], targets),
    ):
        outside = values[(values < 0) | (values >= end)]
        if outside.size:
            node.fail(f"a node has the {what} {outside[0]}, but there are {end}")
    if int(np.sum(trees.modes == MEMBER)) != len(trees.members):
        node.fail(
            f"it has {np.sum(trees.modes == MEMBER)} nodes that look into a set, and "
            f"{len(trees.members)} sets"
        )


class _Builder:
    """Makes the tables: first a node for each one of the trees, then those it needs besides.

    While they are made, a leaf is called ``-1 - leaf``.
    """

    def __init__(self, trees: Trees) -> None:
        self._trees = trees
        self._inner = len(trees.features)
        self._yes, self._no = self._called(trees.yes), self._called(trees.no)
        self._count = self._inner
        self._added: list[tuple[float, int, int, int]] = []

    def _called(self, places: Ints) -> Ints:
        return np.where(places < self._inner, places, self._inner - 1 - places)

    def tables(self) -> tuple[Floats, Ints, Ints]:
        """The splits; (coded feature, way where larger, way where not) of all nodes; the roots."""
        trees, modes = self._trees, self._trees.modes
        below = _before(trees.splits)
        splits = np.where((modes == LT) | (modes == GTE), below, trees.splits)
        exchanged = (modes == GT) | (modes == GTE)
        # No comparison with NaN holds.
        splits[exchanged & np.isnan(trees.splits)] = np.inf
        larger = np.where(exchanged, self._yes, self._no)
        not_larger = np.where(exchanged, self._no, self._yes)
        features = np.where(exchanged ^ trees.tracks, -1 - trees.features, trees.features)
        sets = iter(trees.members)
        for k in np.flatnonzero(modes >= EQ).tolist():
            if modes[k] == MEMBER:
                way = self._member(k, np.unique(next(sets)))
            else:
                way = self._equal(k, trees.splits[k], below[k])
            features[k], splits[k], larger[k], not_larger[k] = way
        more = np.array([a[1:] for a in self._added], np.int64).reshape(-1, 3)
        table = np.concatenate([np.stack([features, larger, not_larger], 1), more])
        splits = np.concatenate([splits, np.array([a[0] for a in self._added], splits.dtype)])
        roots = self._called(trees.roots)
        table[:, 1:] = self._numbered(table[:, 1:])
        return splits, table, self._numbered(roots)

    def _numbered(self, called: Ints) -> Ints:
        return np.where(called < 0, self._count - 1 - called, called)

    def _add(self, split: float, feature: int, larger: int, not_larger: int) -> int:
        self._added.append((split, feature, larger, not_larger))
        self._count += 1
        return self._count - 1

    def _equal(self, k: int, split: float, below: float) -> tuple[int, float, int, int]:
        """Whether a feature is a number: it is at most that, and not at most the one before."""
        trees, feature = self._trees, int(self._trees.features[k])
        yes, no = int(self._yes[k]), int(self._no[k])
        if trees.modes[k] == NEQ:  # which a missing feature is, whatever it tracks
            return feature, split, yes, self._add(below, feature, no, yes)
        inner = self._add(below, feature, yes, no)
        return -1 - feature if trees.tracks[k] else feature, split, no, inner

    def _member(self, k: int, members: Floats) -> tuple[int, float, int, int]:
        """Whether a feature is in the ascending set `members`, by halving from the leaves up."""
        feature, yes, no = int(self._trees.features[k]), int(self._yes[k]), int(self._no[k])
        level: list[tuple[float, int]] = []  # the largest member, and the search up to it
        for member, below in zip(members.tolist(), _before(members).tolist(), strict=True):
            inner = self._add(below, feature, yes, no)
            level.append((member, self._add(member, feature, no, inner)))
        while len(level) > 1:
            pairs = zip(level[::2], level[1::2], strict=False)
            halved = [
                (right[0], self._add(left[0], feature, right[1], left[1])) for left, right in pairs
            ]
            level = halved + level[len(halved) * 2 :]
        search = level[0][1] if level else no
        # Everything but a missing feature is at most infinity.
        return feature, np.inf, yes if self._trees.tracks[k] else no, search


def _before(splits: Floats) -> Floats:
    """The numbers before `splits`; NaN, which nothing is at most, before the first one."""
    below = np.nextafter(splits, np.array(-np.inf, splits.dtype))
    return np.where(np.isneginf(splits), np.array(np.nan, splits.dtype), below)


def _depth(node: Node, table: Ints) -> int:
    """The inner nodes on the longest way; refuses trees that lead back to where they were."""
    inner = len(table)
    ways = table[:, 1:]
    into = np.bincount(ways[ways < inner], minlength=inner)
    front = np.flatnonzero(into == 0)
    depth = seen = 0
    while front.size:
        depth += 1
        seen += front.size
        onward = ways[front].reshape(-1)
        onward, times = np.unique(onward[onward < inner], return_counts=True)
        into[onward] -= times
        front = onward[into[onward] == 0]
    if seen < inner:
        node.fail(f"its trees have a cycle through node {np.flatnonzero(into)[0]}")
    return depth


def _vote_tables(node: Node, trees: Trees) -> tuple[Ints, Floats]:
    """Targets and weights, (leaves, most votes of a leaf); -1 where there are fewer votes."""
    leaf, target, weight = trees.votes
    order = np.argsort(leaf, kind="stable")
    leaf = leaf[order]
    counts = np.bincount(leaf, minlength=trees.leaves)
    width = max(1, int(counts.max(initial=0)))
    node.spend((trees.leaves, width), "float64")
    place = np.arange(len(leaf)) - (np.cumsum(counts) - counts)[leaf]
    of = np.full((trees.leaves, width), -1, np.int64)
    says = np.zeros((trees.leaves, width), weight.dtype)
    of[leaf, place], says[leaf, place] = target[order], weight[order]
    return of, says
