"""Records of calls that derived ones (`variants.py`) once found something wrong with."""

from op.record import In, Record

EXEMPT: dict[str, str] = {}

NAN = float("nan")
_NOTHING = {"gradient": "the mean of nothing is not a number"}
_LENGTHS = In(values=[-1, 2, 9], dtype="int32")

RECORDS: list[Record] = [
    Record("nn.softmax", (In((3, 0)),), note="no-columns"),
    Record("nn.log_softmax", (In((0, 3)),), {"axis": 0}, note="no-rows"),
    Record("nn.global_max_pool2d", (In((2, 3, 0, 4)),), note="no-rows"),
    Record("nn.lrn", (In((2, 0, 3)),), note="no-channels"),
    Record("nn.conv2d", (In((1, 3, 5, 5)), In((0, 3, 3, 3))), note="no-outputs"),
    Record("nn.conv1d", (In((1, 3, 5)), In((0, 3, 3))), note="no-outputs"),
    Record(
        "nn.group_norm", (In((2, 4, 0)), In((4,)), In((4,))), {"num_groups": 2}, note="none",
        skip=_NOTHING,
    ),
    Record("reverse_sequence", (In((3, 4, 2)), _LENGTHS), note="outside"),
    Record(
        "sequence_mask", (In((300, 2)), In(values=[3, 100], dtype="int8")), note="long",
    ),
    Record("searchsorted", (In(values=[1, 3, 5], dtype="int32"), In(values=4, dtype="int32"))),
    Record(
        "trilu", (In((3, 4)), In(values=-(2**63), dtype="int64")), note="far",
    ),
    Record(
        "nn.max_pool1d_grad",
        (In((1, 1, 2)), In(values=[[[1.0, NAN, NAN, 2.0]]])),
        {"pool_size": 2, "strides": 2},
        note="nan",
    ),
    Record(
        "nn.nll_loss",
        (In((4, 3)), In((4,), "uint8", 0, 2), In((3,), low=0.5, high=1.0)),
        note="uint8",
    ),
    Record("transpose", (In((2, 0, 1)),), {"axes": (0, 2, 1)}, note="none"),
]  # fmt: skip
