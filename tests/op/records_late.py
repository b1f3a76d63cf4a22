"""Records of the operators with attributes known only at run time, and of blocks in the batch."""

from op.record import In, Record

EXEMPT: dict[str, str] = {
    "onnx.node": "what it does depends on its node: see tests/frontend/onnx and tests/onnx_standard"
}


def _numbers(*values: object) -> In:
    """A vector of integers."""
    return In(values=list(values), dtype="int32", shape=(len(values),))


_ONE = In(values=2, dtype="int32")
_SIZES = {
    "infer": "sizes of the result are known only at run time",
    "infer_any": "the rank of the result depends on the length of an argument",
}
_SHAPED = {**_SIZES, "gradient": "finite differences need a result of known size"}
_RANK = {"infer": _SIZES["infer"]}

RECORDS: list[Record] = [
    Record("dyn.reshape", (In((2, 6)), _numbers(3, -1)), skip=_SHAPED),
    Record("dyn.reshape", (In((2, 6)), _numbers(0, 2, 3)), skip=_SHAPED, note="copy"),
    Record("dyn.broadcast_to", (In((3, 1)), _numbers(2, 3, 4)), skip=_SIZES),
    Record("dyn.full", (In(), _numbers(2, 3)), skip=_SIZES),
    Record("dyn.full", (In(), _numbers(2)), {"dtype": "int32"}, skip=_SIZES, note="int32"),
    Record("dyn.zeros", (_numbers(2, 3),), skip=_SIZES),
    Record("dyn.ones", (_numbers(2, 3),), {"dtype": "int64"}, skip=_SIZES),
    Record("dyn.tile", (In((2, 3)), _numbers(2, 1, 2)), skip=_SIZES),
    Record("dyn.topk", (In((3, 4)), _ONE), skip=_RANK),
    Record("dyn.topk", (In((3, 4)), _ONE), {"ret_type": "values", "axis": 0}, skip=_RANK, note="0"),
    Record("dyn.expand_dims", (In((2, 3)), In(values=1, dtype="int32")), skip=_RANK),
    Record("dyn.squeeze", (In((2, 1, 3, 1)), _numbers(1, 3)), skip=_SIZES),
    Record("dyn.one_hot", (In((3,), "int32", 0, 4), In(), In(), _ONE), skip=_RANK),
    Record(
        "dyn.strided_slice",
        (In((5, 6)), _numbers(1, 5), _numbers(4, 0), _numbers(1, -2)),
        skip=_SIZES,
    ),
    Record(
        "dyn.strided_slice",
        (In((5, 6)), _numbers(2), _numbers(4), _numbers(1)),
        {"axes": (1,)},
        skip=_SIZES,
        note="axes",
    ),
    Record(
        "dyn.reshape",
        (In((2, 6)), _numbers(3, 4)),
        {"known": ("3", "?")},
        skip=_SHAPED,
        note="known",
    ),
    Record(
        "dyn.arange",
        (
            In(values=1, dtype="int64"),
            In(values=8, dtype="int64"),
            In(values=3, dtype="int64"),
        ),
        {"dtype": "int64"},
        skip=_RANK,
    ),
    Record("dyn.nn.pad", (In((2, 3)), In((2, 2), "int32", 0, 2), In()), skip=_RANK),
    Record(
        "dyn.nn.upsampling",
        (In((1, 2, 3, 2)), In(values=2.0, dtype="float32"), In(values=3.0, dtype="float32")),
        skip=_RANK,
    ),
]  # fmt: skip

RECORDS += [
    Record(
        "nn.space_to_batch_nd",
        (In((2, 4, 6, 3)),),
        {"block_shape": (2, 3), "paddings": ((0, 0), (0, 0))},
    ),
    Record(
        "nn.space_to_batch_nd",
        (In((1, 3, 5)),),
        {"block_shape": (2, 3), "paddings": ((1, 0), (1, 3)), "pad_value": 1.5},
        note="padded",
    ),
    Record(
        "nn.space_to_batch_nd",
        (In((2, 4, 3), "int32"),),
        {"block_shape": (2,), "paddings": ((0, 0),)},
        note="int32",
    ),
    Record(
        "nn.batch_to_space_nd",
        (In((12, 2, 2, 3)),),
        {"block_shape": (2, 3), "crops": ((0, 0), (0, 0))},
    ),
    Record(
        "nn.batch_to_space_nd",
        (In((6, 2, 3)),),
        {"block_shape": (2, 3), "crops": ((1, 0), (2, 1))},
        note="cropped",
    ),
    Record(
        "nn.batch_to_space_nd",
        (In((4, 3)),),
        {"block_shape": (2,), "crops": ((0, 1),)},
        note="matrix",
    ),
]
