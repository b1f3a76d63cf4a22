"""Records of the operators that gradients are made of, and of losses."""

from op.record import In, Record

EXEMPT: dict[str, str] = {}

SUMS = [
    Record("collapse_sum_to", (In((2, 3, 4)),), {"shape": (3, 1)}),
    Record("collapse_sum_to", (In((2, 3)),), {"shape": (2, 3)}, note="same"),
    Record("collapse_sum_to", (In((2, 3)),), {"shape": ()}, note="scalar"),
    Record("collapse_sum_to", (In((2, 3), "int32"),), {"shape": (1, 3)}, note="int32"),
]

DILATED = [
    Record("nn.dilate", (In((2, 3)),), {"strides": (1, 3)}),
    Record("nn.dilate", (In((3, 2)),), {"strides": (2, 2), "dilation_value": -1.5}, note="value"),
    Record("nn.dilate", (In((2, 0, 1)),), {"strides": (1, 2, 4)}, note="empty"),
]

LOSSES = [
    Record("nn.cross_entropy", (In((3, 4), low=0.1, high=1.0), In((3, 4), low=0, high=1))),
    Record("nn.cross_entropy_with_logits", (In((3, 4), low=-3, high=0), In((3, 4), low=0))),
]

_LAST = {1: "NWC", 2: "NHWC", 3: "NDHWC"}


def _pool_gradients(kind: str, rank: int) -> list[Record]:
    op = f"nn.{kind}_pool{rank}d_grad"
    size, half, third = (7, 8, 6)[:rank], (3, 4, 3)[:rank], (4, 4, 3)[:rank]
    apart = tuple((s - 3) // 2 + 1 for s in size)
    window = {"pool_size": 2, "strides": 2}
    padded = {"pool_size": 3, "strides": 2, "padding": 1}
    records = [
        Record(op, (In((2, 3, *half)), In((2, 3, *size))), window),
        Record(op, (In((1, 2, *third)), In((1, 2, *size))), padded, note="padded"),
        Record(
            op,
            (In((1, 2, *apart)), In((1, 2, *size))),
            {"pool_size": 2, "strides": 2, "dilation": 2},
            note="dilated",
        ),
        Record(
            op,
            (In((1, *half, 2)), In((1, *size, 2))),
            {**window, "layout": _LAST[rank]},
            note="last",
        ),
        Record(
            op,
            (In((1, 1, *(-(-s // 2) for s in size))), In((1, 1, *size))),
            {**window, "ceil_mode": True},
            note="ceil",
        ),
    ]
    if kind == "avg":
        counted = {**padded, "count_include_pad": True}
        records.append(Record(op, (In((1, 2, *third)), In((1, 2, *size))), counted, note="include"))
    else:
        ties = In((1, 2, *size), low=0, high=0)
        records.append(Record(op, (In((1, 2, *half)), ties), window, note="ties"))
    return records


POOLS = [
    record
    for kind in ("max", "avg")
    for rank in (1, 2, 3)
    for record in _pool_gradients(kind, rank)
]


def _weights(rank: int, grad: In, data: In, note: str, **attrs: object) -> Record:
    return Record(f"nn.conv{rank}d_backward_weight", (grad, data), attrs, 1e-4, note)


WEIGHTS = [
    _weights(1, In((2, 4, 7)), In((2, 3, 9)), "plain"),
    _weights(2, In((2, 4, 5, 7)), In((2, 3, 7, 8)), "plain"),
    _weights(
        2,
        In((1, 4, 4, 6)),
        In((1, 3, 9, 9)),
        "padded",
        strides=(2, 1),
        padding=(1, 2, 0, 1),
        dilation=(1, 3),
        kernel_size=(3, 3),
        channels=4,
    ),
    _weights(2, In((1, 4, 5, 5)), In((1, 6, 5, 5)), "grouped", groups=2, padding=1),
    _weights(2, In((1, 8, 3, 3)), In((1, 4, 5, 5)), "depthwise", groups=4),
    _weights(
        2,
        In((1, 4, 5, 4)),
        In((1, 6, 6, 3)),
        "nhwc",
        kernel_size=(3, 2),
        grad_layout="NHWC",
        data_layout="NHWC",
        kernel_layout="HWIO",
    ),
    _weights(
        2,
        In((1, 4, 3, 3), "int8", -9, 9),
        In((1, 3, 5, 5), "int8", -9, 9),
        "int8",
        out_dtype="int32",
    ),
    _weights(3, In((1, 3, 4, 3, 5)), In((1, 2, 5, 4, 6)), "plain"),
]

RECORDS = [*SUMS, *DILATED, *LOSSES, *POOLS, *WEIGHTS]
