"""Records of the operators of classical machine learning."""

from collections.abc import Iterator

import numpy as np

from op.record import In, Record

EXEMPT: dict[str, str] = {}

NAN = float("nan")
#: Two trees: one of three inner nodes and four leaves, one that is a leaf.
NODES = In(values=[[0, 1, 2], [-2, 3, 4], [2, 5, 6]], dtype="int32")
ROOTS = In(values=[0, 6], dtype="int32")


def forest(rows: int, dtype: str, votes: int, targets: int) -> tuple[In, ...]:
    """The arguments of a call: two trees of three inner nodes and four leaves."""
    random = np.random.default_rng(rows)
    data = np.round(random.uniform(-2, 2, (rows, 3)) * 2) / 2
    data[::5, 1] = NAN
    return (
        In(values=data, dtype=dtype),
        In(values=[0.5, -0.5, 1.0], dtype=dtype),
        NODES,
        ROOTS,
        In((4, votes), "int32", -1, targets),
        In((4, votes), dtype),
    )


def tree_records() -> Iterator[Record]:
    # Which rows reach a target, and how large the result is, does not follow from types alone.
    for rows in (0, 1, 15, 16, 37, 600):
        yield Record(
            "ml.tree_ensemble", forest(rows, "float32", 1, 1), {"depth": 2}, note=f"{rows}-rows"
        )
    for aggregate in ("sum", "min", "max"):
        for rows in (3, 20):
            attrs = {"depth": 3, "n_targets": 3, "aggregate": aggregate}
            yield Record(
                "ml.tree_ensemble", forest(rows, "float64", 2, 3), attrs, note=f"{aggregate}-{rows}"
            )
    yield Record(
        "ml.tree_ensemble", forest(20, "float32", 2, 2), {"depth": 19, "n_targets": 2}, note="deep"
    )


def coupling_records() -> Iterator[Record]:
    for classes in (2, 3, 7):
        for dtype in ("float32", "float64"):
            pairs = In((5, classes * (classes - 1) // 2), dtype, 0.05, 0.95)
            yield Record(
                "ml.couple_probabilities", (pairs,), note=f"{classes}-{dtype}", tolerance=1e-4,
                skip={"infer_any": "the number of pairs says how many classes there are"},
            )  # fmt: skip
    unknown = In(values=[[0.2, NAN, 0.7], [0.5, 0.6, 0.7]])
    yield Record(
        "ml.couple_probabilities", (unknown,), note="missing", tolerance=1e-4,
        skip={"infer_any": "the number of pairs says how many classes there are"},
    )  # fmt: skip


def text_records() -> Iterator[Record]:
    data = In(values=np.array([["a", "b"], ["c", "a"]], object), dtype="string")
    words = In(values=np.array(["c", "a", "a"], object), dtype="string")
    yield Record("ml.find_text", (data, words))


RECORDS: list[Record] = [*tree_records(), *coupling_records(), *text_records()]
