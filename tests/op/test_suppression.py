"""Suppression of boxes that overlap, compiled and in the interpreter, against plain Python."""

import math

import numpy as np
import pytest

import relay
from relay.executor.build import build
from relay.ir.expr import Function, Var
from relay.ir.op import Operator
from relay.ir.types import TensorType
from relay.op.gradients import make
from relay.support.errors import RelayError, TypeInferenceError

F32 = np.float32


def both(name: str, *arrays: np.ndarray, **attributes: object) -> list[np.ndarray]:
    """What compiled code gives, which the reference must give as well."""
    variables = [Var(f"x{k}", TensorType(a.shape, a.dtype.name)) for k, a in enumerate(arrays)]
    call = make(name, *variables, **attributes)
    found = [a.numpy() for a in build(Function(variables, call)).create()(*arrays)]
    assert isinstance(call.attrs, Operator)
    wanted = call.attrs.reference(*arrays)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    for a, b in zip(found, wanted, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_array_equal(a, b)
    return found


def overlap(a: list[float], b: list[float]) -> float:
    """What two boxes share over what they cover."""
    left, right = (max if k == 0 else min for k in (0, 1))
    width = F32(right(a[2], b[2])) - F32(left(a[0], b[0]))
    height = F32(right(a[3], b[3])) - F32(left(a[1], b[1]))
    shared = max(width, F32(0)) * max(height, F32(0))
    sizes = [(F32(c[2]) - F32(c[0])) * (F32(c[3]) - F32(c[1])) for c in (a, b)]
    covered = sizes[0] + sizes[1] - shared
    return F32(0) if covered <= 0 else shared / covered


def plain(rows, valid, most, threshold, force, top_k) -> list[int]:
    """The rows (class, score, box) that are kept, one after the other, in plain Python."""
    order = sorted(range(valid), key=lambda k: -rows[k][1])
    order = order[:top_k] if top_k > 0 else order
    kept: list[int] = []
    for k in order:
        if rows[k][0] < 0 or math.isnan(rows[k][1]) or (0 <= most <= len(kept)):
            continue
        rivals = [j for j in kept if force or rows[j][0] == rows[k][0]]
        if all(overlap(rows[j][2:], rows[k][2:]) < F32(threshold) for j in rivals):
            kept.append(k)
    return kept


def some_rows(count: int, seed: int, lowest: int = -5) -> np.ndarray:
    """Rows with few different scores, so that there are ties, and boxes with whole corners."""
    random = np.random.default_rng(seed)
    first = random.integers(0, 20, (count, 2))
    return np.concatenate(
        [
            random.integers(-1, 3, (count, 1)),
            random.integers(lowest, 6, (count, 1)) / 4,
            first,
            first + random.integers(0, 12, (count, 2)),
        ],
        axis=1,
    ).astype("float32")


def nms(rows: np.ndarray, valid: int, most=-1, threshold=0.3, **attributes: object):
    count = len(rows)
    arrays = (
        rows[None],
        np.array([valid], "int32"),
        np.arange(100, 100 + count, dtype="int32")[None],
        np.array(most, "int32"),
        np.array(threshold, "float32"),
    )
    return both("vision.non_max_suppression", *arrays, **attributes)


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 63, 64, 65, 100, 300])
@pytest.mark.parametrize("force", [False, True])
def test_against_plain_python(count, force):
    for seed, (most, top_k, threshold) in enumerate(
        [(-1, -1, 0.3), (5, -1, 0.3), (-1, 10, 0.5), (0, -1, 0.3), (7, 20, 0.9), (-1, -1, 1e-6)]
    ):
        rows = some_rows(count, seed)
        valid = count - seed % min(count, 3)
        kept = plain(rows.tolist(), valid, most, threshold, force, top_k)
        attributes = {"force_suppress": force, "top_k": top_k}
        indices, number = nms(rows, valid, most, threshold, **attributes)
        assert number.tolist() == [[len(kept)]]
        assert indices[0].tolist() == [100 + k for k in kept] + [-1] * (count - len(kept))
        (dense,) = nms(
            rows, valid, most, threshold, return_indices=False, invalid_to_bottom=True, **attributes
        )
        np.testing.assert_array_equal(dense[0, : len(kept)], rows[kept])
        assert np.all(dense[0, len(kept) :] == -1)


def test_order_without_moving_to_the_bottom():
    rows = np.array(
        [[0, 0.5, 0, 0, 10, 10], [0, 0.9, 0, 0, 10, 11], [0, 0.4, 50, 50, 60, 60]], "float32"
    )
    (found,) = nms(rows, 3, return_indices=False)
    np.testing.assert_array_equal(found[0], [rows[1], [-1] * 6, rows[2]])


def test_all_but_one_are_suppressed():
    rows = np.tile(np.array([[1, 0.5, 3, 3, 9, 9]], "float32"), (500, 1))
    indices, number = nms(rows, 500)
    assert number.tolist() == [[1]]
    assert indices[0, :2].tolist() == [100, -1]


def test_none_is_valid():
    indices, number = nms(some_rows(20, 0), 0)
    assert number.tolist() == [[0]]
    assert np.all(indices == -1)


def test_without_a_threshold_all_stay_in_order():
    rows = some_rows(20, 0)
    indices, number = nms(rows, 12, threshold=0.0)
    assert number.tolist() == [[12]]
    assert indices[0, :12].tolist() == list(range(100, 112))


def test_corners_in_any_order_are_the_same_box():
    rows = some_rows(80, 3)
    turned = rows[:, [0, 1, 4, 3, 2, 5]]
    np.testing.assert_array_equal(nms(rows, 80)[0], nms(turned, 80)[0])


def test_nan_and_infinity():
    rows = some_rows(90, 4)
    rows[::7, 1] = np.nan
    rows[3::7, 1] = np.inf
    rows[5::7, 1] = -np.inf
    rows[::11, 3] = np.nan
    rows[1::11, 4] = np.inf
    indices, number = nms(rows, 90)
    chosen = indices[0, : number[0, 0]] - 100
    assert not np.isnan(rows[chosen, 1]).any()
    assert len(set(chosen.tolist())) == len(chosen)
    everything = np.full((40, 6), np.nan, "float32")
    assert nms(everything, 40)[1].tolist() == [[0]]


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_data_types(dtype):
    rows = some_rows(70, 5).astype(dtype)
    kept = plain(rows.tolist(), 70, -1, 0.3, False, -1)
    assert nms(rows, 70)[1].tolist() == [[len(kept)]]


def test_large_numbers_of_boxes():
    rows = some_rows(3000, 6)
    rows[:, 2:] *= 10
    kept = plain(rows.tolist(), 3000, 50, 0.4, False, -1)
    assert nms(rows, 3000, 50, 0.4)[0][0, : len(kept)].tolist() == [100 + k for k in kept]


def plain_classes(boxes, scores, most, threshold, least) -> list[tuple[int, int, int]]:
    """ONNX's NonMaxSuppression in plain Python."""
    found = []
    for image, class_ in np.ndindex(*scores.shape[:2]):
        rated = scores[image, class_].tolist()
        good = [k for k in range(len(rated)) if rated[k] > least]
        kept: list[int] = []
        for k in sorted(good, key=lambda k: -rated[k]):
            if 0 <= most <= len(kept):
                break
            near = [overlap(boxes[image, j].tolist(), boxes[image, k].tolist()) for j in kept]
            if threshold < 0 or all(part <= F32(threshold) for part in near):
                kept.append(k)
        found += [(image, class_, k) for k in kept]
    return found


@pytest.mark.parametrize("count", [1, 16, 33, 120])
@pytest.mark.parametrize("most", [-1, 0, 3])
@pytest.mark.parametrize("threshold", [-1.0, 0.0, 0.4])
def test_all_classes_against_plain_python(count, most, threshold):
    random = np.random.default_rng(count)
    first = random.integers(0, 20, (2, count, 2))
    boxes = np.concatenate([first, first + random.integers(0, 12, (2, count, 2))], -1)
    boxes = boxes.astype("float32")
    scores = (random.integers(-4, 9, (2, 3, count)) / 8).astype("float32")
    inputs = (
        boxes,
        scores,
        np.array(most, "int64"),
        np.array(threshold, "float32"),
        np.array(0.2, "float32"),
    )
    wanted = plain_classes(boxes, scores, most, threshold, F32(0.2))
    rows, number = both("vision.all_class_non_max_suppression", *inputs)
    assert number.tolist() == [len(wanted)]
    assert [tuple(r) for r in rows[: len(wanted)].tolist()] == wanted
    assert not rows[len(wanted) :].any()
    rows, values, counts = both(
        "vision.all_class_non_max_suppression", *inputs, output_format="tensorflow"
    )
    for image in range(2):
        own = [w[1:] for w in wanted if w[0] == image]
        assert [tuple(r) for r in rows[image, : counts[image]].tolist()] == own
        assert values[image, : counts[image]].tolist() == [scores[image, c, k] for c, k in own]


def test_regular_keeps_the_best_of_all_classes():
    random = np.random.default_rng(0)
    first = random.integers(0, 20, (2, 60, 2))
    boxes = np.concatenate([first, first + random.integers(1, 12, (2, 60, 2))], -1)
    boxes = boxes.astype("float32")
    scores = (random.integers(-2, 9, (2, 60, 4)) / 8).astype("float32")
    shown, classes, values, counts = both(
        "vision.regular_non_max_suppression",
        boxes,
        scores,
        max_detections_per_class=6,
        max_detections=11,
        num_classes=3,
        iou_threshold=0.4,
        score_threshold=0.25,
    )
    for image in range(2):
        foreground = scores[image : image + 1, :, 1:].transpose(0, 2, 1)
        least = np.nextafter(F32(0.25), F32(0))
        kept = plain_classes(boxes[image : image + 1], foreground, 6, 0.4, least)
        best = sorted(kept, key=lambda f: -foreground[f])[:11]
        assert counts[image] == len(best)
        assert classes[image, : len(best)].tolist() == [c for _, c, _ in best]
        assert values[image, : len(best)].tolist() == [foreground[f] for f in best]
        np.testing.assert_array_equal(
            shown[image, : len(best)], boxes[image, [k for _, _, k in best]]
        )


def test_functions_take_numbers_and_expressions():
    data = relay.var("d", shape=(1, 9, 6))
    count, most = relay.var("c", shape=(1,), dtype="int32"), relay.var("m", shape=(), dtype="int32")
    indices = relay.var("i", shape=(1, 9), dtype="int32")
    found, number = relay.vision.non_max_suppression(data, count, indices, most, 0.4)
    assert found.checked_type == TensorType((1, 9), "int32")
    assert number.checked_type == TensorType((1, 1), "int32")
    kept = relay.vision.non_max_suppression(data, count, indices, return_indices=False)
    assert kept.checked_type == data.checked_type
    counts, rows, places = relay.vision.get_valid_counts(data, 0.5)
    assert (counts.checked_type.shape, places.checked_type.shape) == ((1,), (1, 9))
    assert rows.checked_type == data.checked_type


def test_errors_say_what_was_expected():
    data = relay.var("d", shape=(1, 9, 5))
    count = relay.var("c", shape=(1,), dtype="int32")
    indices = relay.var("i", shape=(1, 9), dtype="int32")
    with pytest.raises(TypeInferenceError, match="a box has 5 numbers"):
        relay.infer_expr(relay.vision.non_max_suppression(data, count, indices)[0])
    with pytest.raises(RelayError, match=r"\(batch, boxes, 4\)"):
        relay.infer_expr(relay.vision.all_class_non_max_suppression(data, data)[0])
    with pytest.raises(ValueError, match="iou_threshold must not be negative"):
        relay.vision.regular_non_max_suppression(data, data, 1, 1, 1, -0.5, 0.1)
