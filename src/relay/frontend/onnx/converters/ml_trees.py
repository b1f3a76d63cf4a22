"""Ensembles of decision trees of ``ai.onnx.ml``."""

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from relay.frontend.onnx.converters.ml_scores import (
    DOMAIN,
    TRANSFORMS,
    Labels,
    floating,
    joined,
    matrix,
    post_transform,
    transformed,
)
from relay.frontend.onnx.converters.ml_tree_tables import MODES, Floats, Ints, Trees, ensemble
from relay.frontend.onnx.node import Node
from relay.frontend.onnx.registry import onnx_op
from relay.frontend.onnx.tensors import to_ndarray
from relay.ir.expr import Expr
from relay.ir.op import Array

_AGGREGATES = {"AVERAGE": "sum", "SUM": "sum", "MIN": "min", "MAX": "max"}


def _integers(node: Node, name: str) -> Ints:
    return np.array(node.integers(name) or [], np.int64)


def _tensor(tensor: TensorProto | None) -> Floats:
    """The elements of a tensor attribute; none where it is left out."""
    if tensor is None:
        return np.zeros(0)
    data = to_ndarray(tensor).numpy().reshape(-1)
    return np.asarray(data, data.dtype if data.dtype in (np.float32, np.float64) else np.float32)


def _floats(node: Node, name: str) -> Floats:
    """The attribute `name`, or what is given for it in double precision."""
    if node.has(f"{name}_as_tensor"):
        return _tensor(node.tensor(f"{name}_as_tensor"))
    return np.array(node.numbers(name) or [], np.float32)


def _is_double(values: Sequence[Floats]) -> bool:
    return any(v.size and v.dtype == np.float64 for v in values)


class _Numbered:
    """The nodes of trees by tree and id: inner ones are numbered first, then leaves."""

    def __init__(self, node: Node) -> None:
        modes = node.texts("nodes_modes") or []
        unknown = {m for m in modes if m not in MODES and m != "LEAF"}
        if unknown:
            node.fail(f"a node has the mode {min(unknown)!r}; there are LEAF, {', '.join(MODES)}")
        leaf = np.array([m == "LEAF" for m in modes], bool)
        ids = _keys(node, "nodes")
        if len(ids) != len(modes):
            node.fail(f"it names {len(ids)} nodes, but has {len(modes)} modes")
        self._node = node
        self._inner = np.flatnonzero(~leaf)
        self._trees = [tree for tree, _ in ids]
        self.inner = len(self._inner)
        self.leaves = len(ids) - self.inner
        place = np.where(leaf, self.inner + np.cumsum(leaf) - 1, np.cumsum(~leaf) - 1).tolist()
        self._numbers = dict(zip(ids, place, strict=True))
        if len(self._numbers) != len(ids):
            node.fail("two nodes of one tree have the same id")
        # A tree begins with the first of its nodes.
        first = dict(zip(reversed(self._trees), reversed(place), strict=True))
        self.roots = np.array([first[tree] for tree in sorted(first)], np.int64)
        self.modes = np.array([MODES[modes[k]] for k in self._inner.tolist()], np.int64)

    def places(self, keys: Sequence[tuple[int, int]]) -> Ints:
        """The numbers of nodes by tree and id."""
        missing = next((k for k in keys if k not in self._numbers), None)
        if missing is not None:
            self._node.fail(f"there is no node {missing[1]} in the tree {missing[0]}")
        return np.array([self._numbers[k] for k in keys], np.int64)

    def column(self, name: str, values: Ints | Floats) -> Array:
        """What an attribute says of the inner nodes."""
        if len(values) != len(self._trees):
            self._node.fail(f"it has {len(self._trees)} nodes, but {len(values)} entries of {name}")
        return values[self._inner]

    def onward(self, name: str) -> Ints:
        """Where inner nodes lead to."""
        found = self.column(name, _integers(self._node, name)).tolist()
        own = [self._trees[k] for k in self._inner.tolist()]
        return self.places(list(zip(own, found, strict=True)))


def _numbered_trees(node: Node, votes: str) -> tuple[Expr, Trees, Ints]:
    """The data, the trees that nodes with ids make, and the targets that votes are for."""
    nodes = _Numbered(node)
    splits, weights = _floats(node, "nodes_values"), _floats(node, f"{votes}_weights")
    data = floating(node, matrix(node, node.arg(0)))
    if _is_double((splits, weights)):
        data = node.cast(data, "float64")
    dtype = node.dtype(data)
    voters, of = nodes.places(_keys(node, votes)), _integers(node, f"{votes}_ids")
    if not len(of) == len(weights) == len(voters):
        node.fail(f"it has {len(of)} ids, {len(weights)} weights and {len(voters)} nodes of votes")
    at_leaf = voters >= nodes.inner  # what inner nodes say is never asked for
    tracks = _integers(node, "nodes_missing_value_tracks_true")
    if not tracks.size:
        tracks = np.zeros(nodes.inner + nodes.leaves, np.int64)
    trees = Trees(
        features=nodes.column("nodes_featureids", _integers(node, "nodes_featureids")),
        modes=nodes.modes,
        splits=nodes.column("nodes_values", splits).astype(dtype),
        yes=nodes.onward("nodes_truenodeids"),
        no=nodes.onward("nodes_falsenodeids"),
        tracks=nodes.column("nodes_missing_value_tracks_true", tracks) > 0,
        roots=nodes.roots,
        leaves=nodes.leaves,
        votes=(voters[at_leaf] - nodes.inner, of[at_leaf], weights[at_leaf].astype(dtype)),
    )
    return data, trees, of


def _keys(node: Node, of: str) -> list[tuple[int, int]]:
    """Nodes by tree and id."""
    trees, ids = node.integers(f"{of}_treeids") or [], node.integers(f"{of}_nodeids") or []
    if len(trees) != len(ids):
        node.fail(f"it has {len(trees)} {of}_treeids, but {len(ids)} {of}_nodeids")
    return list(zip(trees, ids, strict=True))


def _base(node: Node, scores: Expr, base: Floats, targets: int) -> Expr:
    """`scores` and the base values of the targets, one for all or each its own."""
    if not base.size:
        return scores
    if base.size not in (1, targets):
        node.fail(f"{targets} targets need as many base values, found {base.size}")
    return node.call("add", scores, node.constant(base, node.dtype(scores)))


def _aggregated(node: Node, data: Expr, trees: Trees, targets: int, name: str) -> Expr:
    if name not in _AGGREGATES:
        node.fail(f"its aggregate_function is {name!r}; there are {', '.join(_AGGREGATES)}")
    found = ensemble(node, data, trees, targets, _AGGREGATES[name])
    if name == "AVERAGE":
        return node.call("divide", found, node.like(max(1, len(trees.roots)), found))
    return found


@onnx_op(DOMAIN, "TreeEnsembleRegressor")
def tree_ensemble_regressor(node: Node) -> Expr:
    """What trees of nodes with ids say about numbers."""
    targets = node.integer("n_targets", 1)
    data, trees, _ = _numbered_trees(node, "target")
    name = node.text("aggregate_function", "SUM")
    scores = _aggregated(node, data, trees, targets, name)
    scores = _base(node, scores, _floats(node, "base_values"), targets)
    return node.cast(transformed(node, scores, post_transform(node)), "float32")


@onnx_op(DOMAIN, "TreeEnsembleClassifier")
def tree_ensemble_classifier(node: Node) -> tuple[Expr, Expr]:
    """The class that trees of nodes with ids vote for, and the scores of all classes.

    Where all votes are for one of two classes, they say how probable it is, with votes against it
    how much it is preferred.
    """
    labels = Labels(node, "classlabels_int64s", "classlabels_strings")
    data, trees, classes = _numbered_trees(node, "class")
    base = _floats(node, "base_values")
    count = max(1, len(labels))
    transform = post_transform(node)
    named = set(classes.tolist())
    if count > 2 or len(named) > 1:
        scores = _base(node, ensemble(node, data, trees, count, "sum"), base, count)
        return labels.best(scores), node.cast(transformed(node, scores, transform), "float32")
    if not named <= set(range(count)):
        node.fail(f"it votes for class {max(named)}, but has the names of {count}")
    voted = max(named, default=0)
    leaf, of, weight = trees.votes
    trees.votes = (leaf, np.zeros_like(of), weight)
    score = ensemble(node, data, trees, 1, "sum")
    score = _base(node, score, base[voted : voted + 1] if base.size == 2 else base, 1)
    probable = bool(np.all(weight >= 0))
    flat = node.call("squeeze", score, axis=(1,))
    if count == 1:
        positive = node.call("greater", flat, node.like(0, flat))
        return labels.if_any(positive), node.cast(transformed(node, score, transform), "float32")
    positive = node.call("greater", flat, node.like(0.5 if probable else 0, flat))
    if voted == 1:
        other = node.call("zeros_like", score)
    elif transform == "PROBIT" or (transform == "NONE" and probable):
        other = node.call("subtract", node.like(1, score), score)
    else:
        other = node.call("negative", score)
    both = joined(node, other, score)
    return labels.choose(positive, 1, 0), node.cast(transformed(node, both, transform), "float32")


@onnx_op(DOMAIN, "TreeEnsemble", since=5)
def tree_ensemble(node: Node) -> Expr:
    """What trees of inner nodes and leaves say about numbers."""
    given = matrix(node, node.arg(0))
    data = floating(node, given)
    dtype = node.dtype(data)
    inner = len(_integers(node, "nodes_featureids"))

    def places(name: str, leaves: str) -> Ints:
        is_leaf = _integers(node, leaves)
        found = _integers(node, name)
        if not len(found) == len(is_leaf) == inner:
            node.fail(f"it has {inner} nodes, but {len(found)} {name} and {len(is_leaf)} {leaves}")
        limit = np.where(is_leaf != 0, np.iinfo(np.int32).max, inner)
        if np.any((found < 0) | (found >= limit)):
            node.fail(f"some of its {name} are no nodes: there are {inner}")
        return np.where(is_leaf != 0, found + inner, found)

    tracks = _integers(node, "nodes_missing_value_tracks_true")
    weights, of = _tensor(node.tensor("leaf_weights")), _integers(node, "leaf_targetids")
    if len(of) != len(weights):
        node.fail(f"it has {len(weights)} leaf_weights, but {len(of)} leaf_targetids")
    members = _tensor(node.tensor("membership_values")).astype(dtype)
    ends = np.flatnonzero(np.isnan(members))
    sets = [np.asarray(m[~np.isnan(m)]) for m in np.split(members, ends)]
    trees = Trees(
        features=_integers(node, "nodes_featureids"),
        modes=_tensor(node.tensor("nodes_modes")).astype(np.int64),
        splits=_tensor(node.tensor("nodes_splits")).astype(dtype),
        yes=places("nodes_truenodeids", "nodes_trueleafs"),
        no=places("nodes_falsenodeids", "nodes_falseleafs"),
        tracks=tracks > 0 if tracks.size else np.zeros(inner, bool),
        roots=_integers(node, "tree_roots"),
        leaves=len(weights),
        votes=(np.arange(len(weights)), of, weights.astype(dtype)),
        members=sets if sets[-1].size else sets[:-1],
    )
    targets = node.integer("n_targets", 1)
    names = ("AVERAGE", "SUM", "MIN", "MAX")
    aggregate = node.integer("aggregate_function", 1)
    transform = node.integer("post_transform", 0)
    if not (0 <= aggregate < len(names) and 0 <= transform < len(TRANSFORMS)):
        node.fail(f"it has the aggregate_function {aggregate} and the post_transform {transform}")
    scores = _aggregated(node, data, trees, targets, names[aggregate])
    return node.cast(transformed(node, scores, TRANSFORMS[transform]), node.dtype(given))
