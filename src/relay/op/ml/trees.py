"""Ensembles of decision trees.

Rows go down trees in groups, one step of the whole group at a time: steps of different rows do not
wait for each other, and are done by the lanes of vectors. Where there are few rows, the lanes are
trees.
"""

from collections.abc import Callable
from typing import ClassVar, Final

import numpy as np

from relay import te
from relay.ir.op import Array, Operator, Pattern, operator
from relay.ir.types import TensorType, Type
from relay.op.shapes import expect_kind, expect_same_dtype, unify_dim
from relay.support.errors import InputError, TypeInferenceError

#: What trees say about one target is added up, or the smallest or largest is taken.
AGGREGATES: Final = ("sum", "min", "max")
#: Rows that go down a tree together; with fewer of them, it is trees that one row goes down.
_GROUP = te.LANES
#: Groups that go down one tree before the next, while it is in the cache.
_BLOCK = 8
#: Parts that threads share out, if there are as many groups.
_PARTS = 16
#: Steps after which it is seen whether some row has not come to a leaf yet.
_STRIDE = 4
#: Strides that are passed over together when all rows have come to a leaf.
_STRIDES = 16


@operator(
    "ml.tree_ensemble",
    inputs=("data", "splits", "nodes", "roots", "targets", "weights"),
    pattern=Pattern.OPAQUE,
    level=10,
)
class TreeEnsemble(Operator):
    """What decision trees say about each row of `data`, (rows, features), of each target.

    - `splits`: (inner nodes,), of the type of `data`, ``float32`` or ``float64``;
    - `nodes`: (inner nodes, 3) of ``int32``: which feature is compared, then where to go when it is
      larger than the split and where when it is not. A missing feature, NaN, counts as larger; as
      not larger where the node has ``-1 - feature`` in place of the feature. Places to go to are
      inner nodes and, counted on behind them, leaves;
    - `roots`: (trees,) of ``int32``: where each tree begins;
    - `targets`, ``int32``, and `weights`: (leaves, votes): what a leaf says of which targets;
      votes for targets outside ``0 .. n_targets - 1`` do not count.

    The result, (rows, n_targets), is by `aggregate` the sum, in the order of trees, or the smallest
    (``"min"``) or largest (``"max"``) of the votes; 0 for a target without any. `depth` is the
    number of nodes on the longest way to a leaf. A feature or place that there is not and a way
    longer than `depth` are errors in the interpreter; compiled code then goes somewhere within the
    trees. Source: ONNX ``ai.onnx.ml.TreeEnsemble``.
    """

    depth: int
    n_targets: int = 1
    aggregate: str = "sum"

    missing: ClassVar[dict[str, str]] = {
        "gradient": "data are only compared, and trees are grown instead of learnt by small changes"
    }

    def __post_init__(self) -> None:
        if self.aggregate not in AGGREGATES:
            raise ValueError(f'aggregate must be "sum", "min" or "max", found {self.aggregate!r}')
        if self.depth < 0 or self.n_targets < 1:
            raise ValueError(
                "depth must be at least 0 and n_targets at least 1, "
                f"found {self.depth} and {self.n_targets}"
            )

    def infer(
        self, data: Type, splits: Type, nodes: Type, roots: Type, targets: Type, weights: Type
    ) -> Type:
        tensor = expect_kind(self.name, "data", data, "float")
        if tensor.dtype not in ("float32", "float64"):
            raise TypeInferenceError(
                f"{self.name}: data must be of type float32 or float64, found {tensor.dtype}"
            )
        given = {"data": (tensor, 2)}
        for name, type_, kind, rank in (
            ("splits", splits, "float", 1),
            ("nodes", nodes, "integer", 2),
            ("roots", roots, "integer", 1),
            ("targets", targets, "integer", 2),
            ("weights", weights, "float", 2),
        ):
            found = expect_kind(self.name, name, type_, kind)
            if kind == "float":
                expect_same_dtype(self.name, tensor, found)
            elif found.dtype != "int32":
                raise TypeInferenceError(
                    f"{self.name}: {name} must be of type int32, found {found}"
                )
            given[name] = (found, rank)
        for name, (found, rank) in given.items():
            if len(found.shape) != rank:
                raise TypeInferenceError(
                    f"{self.name}: {name} must have {rank} dimensions, found {found}"
                )
        table, says, of = given["nodes"][0], given["weights"][0], given["targets"][0]
        unify_dim(self.name, given["splits"][0].shape[0], table.shape[0], "numbers of nodes")
        unify_dim(self.name, table.shape[1], 3, "numbers that a node has")
        for a, b in zip(of.shape, says.shape, strict=True):
            unify_dim(self.name, a, b, "sizes of targets and weights")
        if table.shape[0] == 0 and self.depth:
            raise TypeInferenceError(f"{self.name}: trees of depth {self.depth} need nodes")
        if says.shape[0] == 0 or (self.depth and tensor.shape[1] == 0):
            raise TypeInferenceError(f"{self.name}: trees need leaves, and features to compare")
        return TensorType((tensor.shape[0], self.n_targets), tensor.dtype)

    def compute(
        self,
        data: te.Tensor,
        splits: te.Tensor,
        nodes: te.Tensor,
        roots: te.Tensor,
        targets: te.Tensor,
        weights: te.Tensor,
    ) -> te.Tensor:
        output = te.placeholder((data.shape[0], self.n_targets), data.dtype, "tree_ensemble")
        given = (data, splits, nodes, roots, targets, weights)
        return te.ordered(given, (output,), self._write)[0]

    def _write(self, w: te.Writer, given: te.Given, made: te.Given) -> None:
        data, splits, _, roots, targets, weights = given
        inner, leaves = splits.static_shape[0], weights.static_shape[0]

        def leaf(place: te.Expr) -> te.Expr:
            return te.clamp(place - inner, 0, leaves - 1)

        (output,) = made
        (rows, _), (trees,) = data.static_shape, roots.static_shape
        if rows < _GROUP:
            with w.loop(rows, "row", kind="parallel") as row:
                totals = _Totals(w, self, targets, weights, 1)
                with w.loop(-(-trees // _GROUP), "group") as group:
                    first = group * _GROUP
                    ends = self._walk(w, given, lambda k: (row, te.minimum(first + k, trees - 1)))
                    with w.loop(_GROUP, "tree") as k, w.when(first + k < trees):
                        totals.vote(te.const(0), leaf(ends(k)))
                totals.store(te.const(0), output, row)
            return
        block = min(_BLOCK, max(1, rows // (_GROUP * _PARTS)))
        with w.loop(-(-rows // (block * _GROUP)), "block", kind="parallel") as number:
            start = number * (block * _GROUP)
            totals = _Totals(w, self, targets, weights, block * _GROUP)
            with w.loop(trees, "tree") as tree, w.loop(block, "group") as group:
                first = start + group * _GROUP
                ends = self._walk(w, given, lambda k: (te.minimum(first + k, rows - 1), tree))
                with w.loop(_GROUP, "row") as k:
                    totals.vote(group * _GROUP + k, leaf(ends(k)))
            with w.loop(block * _GROUP, "row") as k, w.when(start + k < rows):
                totals.store(k, output, start + k)

    def _walk(
        self,
        w: te.Writer,
        given: te.Given,
        walker: Callable[[te.Expr], tuple[te.Expr, te.Expr]],
    ) -> te.Tensor:
        """Where ``walker(k)``, a row and a tree, end: `_GROUP` places."""
        data, splits, nodes, roots, _, weights = given
        inner, leaves = splits.static_shape[0], weights.static_shape[0]
        features = data.static_shape[1]
        places = w.private(te.INDEX, (_GROUP,), "places")

        def begin(k: te.Expr) -> None:
            w.store(places, (k,), _within(roots(walker(k)[1]), inner + leaves))

        def step(k: te.Expr) -> None:
            place = places(k)
            node = te.minimum(place, inner - 1)
            coded = nodes(node, 0)
            known = te.select(coded < 0, te.binary("sub", -1, coded), coded)
            value = data(walker(k)[0], _within(known, features))
            absent = te.both(te.unary("isnan", value), coded < 0)
            not_larger = te.either(value <= splits(node), absent)
            onward = _within(nodes(node, te.select(not_larger, 2, 1)), inner + leaves)
            w.store(places, (k,), te.select(place < inner, onward, place))

        w.each(_GROUP, begin)
        strides = -(-self.depth // _STRIDE)
        if strides <= 2:
            with w.loop(self.depth, "step"):
                w.each(_GROUP, step)
            return places
        moving = w.private("bool", (1,), "moving")
        w.store(moving, (0,), True)
        # Loops do not end early, but most of what is left of them is passed over at once.
        many = min(strides, _STRIDES)
        parts = -(-strides // many)
        with w.loop(parts, "part"), w.when(moving(0)), w.loop(many, "stride"):
            w.store(moving, (0,), False)
            with w.loop(_GROUP, "k") as k:
                w.store(moving, (0,), places(k) < inner, reduce="any")
            with w.when(moving(0)), w.loop(_STRIDE, "step"):
                w.each(_GROUP, step)
        return places

    def reference(
        self,
        data: Array,
        splits: Array,
        nodes: Array,
        roots: Array,
        targets: Array,
        weights: Array,
    ) -> Array:
        total = np.zeros((data.shape[0], self.n_targets), data.dtype)
        reached = np.zeros(total.shape, bool)
        combine = {"sum": np.add, "min": np.minimum, "max": np.maximum}[self.aggregate]
        rows = np.arange(data.shape[0])
        for root in roots:
            leaves = self._leaves(data, splits, nodes, int(root), len(weights))
            for target, weight in zip(targets[leaves].T, weights[leaves].T, strict=True):
                counts = (target >= 0) & (target < self.n_targets)
                where = rows[counts], target[counts]
                said = weight[counts]
                total[where] = np.where(reached[where], combine(total[where], said), said)
                reached[where] = True
        return total

    def _leaves(self, data: Array, splits: Array, nodes: Array, root: int, count: int) -> Array:
        """The leaf of one tree that each row comes to."""
        inner = len(splits)
        place = np.full(data.shape[0], root)
        for _ in range(self.depth):
            moving = np.flatnonzero((place >= 0) & (place < inner))
            node = place[moving]
            coded = nodes[node, 0]
            feature = np.where(coded < 0, -1 - coded, coded)
            if np.any(feature >= data.shape[1]):
                raise InputError(f"{self.name}: a node compares feature {feature.max()}")
            value = data[moving, feature]
            larger = np.where(np.isnan(value), coded >= 0, ~(value <= splits[node]))
            place[moving] = nodes[node, np.where(larger, 1, 2)]
        leaf = place - inner
        if np.any((leaf < 0) | (leaf >= count)):
            raise InputError(
                f"{self.name}: after {self.depth} nodes a row is at {place.min()} .. {place.max()}"
                f", but the leaves are {inner} .. {inner + count - 1}"
            )
        return np.asarray(leaf)


class _Totals:
    """What the trees have said so far about `count` rows."""

    def __init__(
        self,
        w: te.Writer,
        ensemble: TreeEnsemble,
        targets: te.Tensor,
        weights: te.Tensor,
        count: int,
    ) -> None:
        self._w = w
        self._votes = (targets, weights)
        self._aggregate = ensemble.aggregate
        self._size = ensemble.n_targets
        length = count * self._size
        self._totals = w.private(weights.dtype, (length,), "totals")
        w.fill(self._totals, te.identity(self._aggregate, weights.dtype))
        # A sum of nothing is 0 anyway.
        self._reached = (
            None if self._aggregate == "sum" else w.private("bool", (length,), "reached")
        )
        if self._reached is not None:
            w.fill(self._reached, False)

    def vote(self, row: te.Expr, leaf: te.Expr) -> None:
        """Count what `leaf` says about a row."""
        w, (targets, weights) = self._w, self._votes
        with w.loop(targets.static_shape[1], "vote") as k:
            target = targets(leaf, k)
            with w.when(te.both(target >= 0, target < self._size)):
                place = (row * self._size + te.cast(target, te.INDEX),)
                w.store(self._totals, place, weights(leaf, k), reduce=self._aggregate)
                if self._reached is not None:
                    w.store(self._reached, place, True)

    def store(self, row: te.Expr, output: te.Tensor, at: te.Expr) -> None:
        """Make what has been said about a row the row `at` of `output`."""
        with self._w.loop(self._size, "target") as k:
            place = row * self._size + k
            total = self._totals(place)
            if self._reached is not None:
                total = te.select(self._reached(place), total, 0)
            self._w.store(output, (at, k), total)


def _within(index: te.Expr, size: int) -> te.Expr:
    """`index`, of type ``int32``, as a position below `size`; negative ones are the last."""
    # As a number without a sign, a negative one is larger than all others.
    return te.cast(te.minimum(te.cast(index, "uint32"), size - 1), te.INDEX)
