"""Records of the operators of detectors."""

import numpy as np

from op.record import In, Record


def _random(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def boxes(*shape: int, seed: int = 0, size: float = 40.0) -> In:
    """Boxes left, top, right, bottom, many of which overlap."""
    random = _random(seed)
    first = random.uniform(0, size, (*shape, 2))
    sides = random.uniform(size / 20, size / 2, (*shape, 2))
    return In(values=np.concatenate([first, first + sides], axis=-1), shape=(*shape, 4))


def scored(batch: int, count: int, seed: int = 0) -> In:
    """Rows class, score, left, top, right, bottom; some classes are -1, some scores are equal."""
    random = _random(seed)
    classes = random.integers(-1, 3, (batch, count, 1))
    scores = random.integers(-3, 20, (batch, count, 1)) / 20
    rows = np.concatenate([classes, scores, boxes(batch, count, seed=seed).values], axis=-1)
    return In(values=rows, shape=rows.shape)


def number(value: float, dtype: str = "float32") -> In:
    """A scalar."""
    return In(values=value, dtype=dtype)


def places(batch: int, count: int) -> In:
    """Where each box was: in reverse."""
    values = np.arange(batch * count)[::-1].reshape(batch, count)
    return In(values=values, dtype="int32", shape=(batch, count))


def suppressed(
    batch: int, count: int, valid: list[int], most: int = -1, threshold: float = 0.4
) -> tuple[In, ...]:
    """The inputs of `vision.non_max_suppression`."""
    return (
        scored(batch, count, seed=count),
        In(values=valid, dtype="int32", shape=(batch,)),
        places(batch, count),
        number(most, "int32"),
        number(threshold),
    )


NMS = "vision.non_max_suppression"
ALL = "vision.all_class_non_max_suppression"
_CLASS_INPUTS = (
    boxes(2, 30, seed=1), In((2, 3, 30), low=0, high=1), number(5, "int64"), number(0.4),
    number(0.3),
)  # fmt: skip
_REGULAR = {
    "max_detections_per_class": 4, "max_detections": 7, "num_classes": 3, "iou_threshold": 0.4,
    "score_threshold": 0.3,
}  # fmt: skip
_ROIS = In(
    values=[
        [0, 1.0, 2.0, 9.5, 7.25], [1, -4.0, -3.0, 30.0, 40.0], [1, 5.0, 5.0, 5.0, 5.0],
        [0, 9.0, 8.0, 3.0, 2.0], [2, 0.0, 0.0, 4.0, 4.0], [-1, 0.0, 0.0, 4.0, 4.0],
        [0, 1e9, 1e9, 2e9, 2e9], [1, -500.0, -500.0, 700.0, 900.0],
    ],
    shape=(8, 5),
)  # fmt: skip
_PROPOSAL = {"scales": (4.0, 8.0), "ratios": (0.5, 1.0, 2.0), "rpn_post_nms_top_n": 12}
_MAPS = (In((2, 12, 5, 6), low=0, high=1), In((2, 24, 5, 6), low=-0.5, high=0.5))
_INFO = In(values=[[80.0, 96.0, 1.0], [60.0, 70.0, 1.5]], shape=(2, 3))


def _aligned(note: str, layout: str = "NCHW", **attrs: object) -> Record:
    shape = (2, 3, 12, 14) if layout == "NCHW" else (2, 12, 14, 3)
    given = {"pooled_size": (3, 2), "spatial_scale": 0.7, "layout": layout, **attrs}
    return Record("vision.roi_align", (In(shape), _ROIS), given, note=note)


RECORDS: list[Record] = [
    Record(NMS, suppressed(2, 40, [40, 17])),
    Record(NMS, suppressed(2, 40, [40, 17], most=3), {"top_k": 20}, note="top_k"),
    Record(NMS, suppressed(2, 40, [60, -3], threshold=0.0), note="no-threshold"),
    Record(NMS, suppressed(1, 33, [33]), {"force_suppress": True}, note="force"),
    Record(NMS, suppressed(1, 33, [33]), {"return_indices": False}, note="boxes"),
    Record(
        NMS,
        suppressed(1, 130, [129]),
        {"return_indices": False, "invalid_to_bottom": True, "id_index": -1},
        note="bottom",
    ),
    Record(NMS, suppressed(2, 0, [0, 0]), note="empty"),
    Record("vision.get_valid_counts", (scored(2, 21), number(0.3))),
    Record(
        "vision.get_valid_counts",
        (scored(2, 21), number(0.3)),
        {"id_index": -1, "score_index": 1},
        note="no-class",
    ),
    Record("vision.get_valid_counts", (In((2, 0, 6)), number(0.3)), note="empty"),
    Record(ALL, _CLASS_INPUTS),
    Record(ALL, _CLASS_INPUTS, {"output_format": "tensorflow"}, note="tensorflow"),
    Record(ALL, (*_CLASS_INPUTS[:2], number(-1, "int64"), number(-1.0), number(-1.0)), note="all"),
    Record(ALL, (*_CLASS_INPUTS[:2], number(0, "int32"), *_CLASS_INPUTS[3:]), note="none"),
    Record(ALL, (In((2, 0, 4)), In((2, 3, 0)), *_CLASS_INPUTS[2:]), note="empty"),
    Record(
        "vision.regular_non_max_suppression",
        (*_CLASS_INPUTS[:1], In((2, 30, 4), low=0, high=1)),
        _REGULAR,
    ),
    Record(
        "vision.regular_non_max_suppression",
        (boxes(1, 5), In((1, 5, 3), low=0, high=1)),
        {**_REGULAR, "score_threshold": 2.0},
        note="none",
    ),
    Record(
        "vision.multibox_prior",
        (In((1, 2, 3, 5)),),
        {"sizes": (0.3, 0.6), "ratios": (1.0, 2.0, 0.5), "clip": True},
    ),
    Record("vision.multibox_prior", (In((2, 1, 2, 2)),), {"steps": (0.4, 0.3)}, note="steps"),
    Record("vision.multibox_prior", (In((1, 2, 0, 5)),), note="empty"),
    Record(
        "vision.multibox_transform_loc",
        (In((2, 4, 9), low=0, high=1), In((2, 36)), boxes(1, 9, size=1.0)),
        {"threshold": 0.6},
    ),
    Record(
        "vision.multibox_transform_loc",
        (In((2, 4, 9), low=0, high=1), In((2, 36)), boxes(1, 9, size=1.0)),
        {"threshold": 0.6, "keep_background": True, "clip": False},
        note="background",
    ),
    Record("vision.proposal", (*_MAPS, _INFO), _PROPOSAL, tolerance=1e-4),
    Record(
        "vision.proposal",
        (*_MAPS, _INFO),
        {**_PROPOSAL, "iou_loss": True, "rpn_pre_nms_top_n": 10, "rpn_min_size": 40},
        note="corners",
    ),
    _aligned("fixed", sample_ratio=2),
    _aligned("adaptive"),
    _aligned("max", mode="max"),
    _aligned("weighted", mode="max_weighted", sample_ratio=2),
    _aligned("centres", aligned=True),
    _aligned("centres-max", aligned=True, mode="max_weighted"),
    _aligned("fixed-max", mode="max", sample_ratio=3),
    _aligned("NHWC", layout="NHWC"),
    _aligned("NHWC-max", layout="NHWC", mode="max", sample_ratio=2),
    Record(
        "vision.roi_align",
        (In((1, 2, 4, 4)), In((0, 5))),
        {"pooled_size": 2, "spatial_scale": 1.0},
        note="no-roi",
    ),
    Record(
        "vision.roi_pool",
        (In((2, 3, 12, 14)), _ROIS),
        {"pooled_size": (3, 2), "spatial_scale": 0.7},
    ),
    Record("vision.yolo_reorg", (In((2, 8, 4, 6)),), {"stride": 2}),
    Record("vision.yolo_reorg", (In((1, 9, 3, 3), "int8"),), {"stride": 3}, note="int8"),
]
