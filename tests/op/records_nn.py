"""Records of the neural-network operators, and of `layout_transform`."""

import itertools

import numpy as np

from op.record import In, Record

EXEMPT: dict[str, str] = {}


def _conv(op: str, data: In, weight: In, note: str, **attrs: object) -> Record:
    return Record(op, (data, weight), attrs, 1e-4, note)


def _image(*shape: int, dtype: str = "float32") -> In:
    return In(shape, dtype)


def _attention(
    masks: tuple[In, ...],
    note: str,
    dtype: str = "float32",
    tolerance: float = 1e-5,
    **attrs: float | str,
) -> Record:
    """Queries (2, 3, 5, 4), keys (2, 3, 7, 4) and values (2, 3, 7, 6)."""
    inputs = [In((2, 3, *size), dtype) for size in ((5, 4), (7, 4), (7, 6))]
    return Record("nn.contrib_attention", (*inputs, masks), attrs, tolerance, note)


_ALLOWED = In((5, 7), "bool", values=np.tril(np.ones((5, 7), bool)))

ATTENTION = [
    _attention((), "plain"),
    _attention((In((5, 7)),), "added", scale=0.5),
    _attention((_ALLOWED,), "filled", scale=0.5),
    _attention((_ALLOWED, In((2, 1, 1, 7))), "both", scale=0.5, fill=-1e4),
    _attention((), "narrow", "float16", 5e-3, scale=0.5),
    _attention((In((5, 7)),), "widened", "float16", 5e-3, out_dtype="float32"),
    Record("nn.contrib_attention", (In((3, 4)), In((20, 4)), In((20, 2)), ()), note="no-heads"),
]


def _interleave(data: In, note: str, **attrs: object) -> Record:
    return Record("nn.contrib_interleave", (data,), attrs, note=note)


INTERLEAVES = [
    _interleave(
        _image(2, 12, 3, 4), "plain", strides=(2, 2), begin=(0, 0), size=(6, 8), channels=3
    ),
    _interleave(_image(1, 20, 3, 4), "cut", strides=(2, 3), begin=(1, 2), size=(4, 9), channels=3),
    _interleave(
        _image(1, 12, 3, 4),
        "groups",
        strides=(2, 1),
        begin=(1, 0),
        size=(5, 4),
        channels=6,
        groups=3,
    ),
    _interleave(
        _image(2, 12, 5),
        "line",
        strides=(4,),
        begin=(1,),
        size=(18,),
        channels=3,
        layout="NCW",
    ),
    _interleave(
        _image(1, 8, 3, 2, 2),
        "volume",
        strides=(2, 1, 2),
        begin=(0, 0, 1),
        size=(6, 2, 3),
        channels=2,
        layout="NCDHW",
    ),
    _interleave(
        _image(1, 8, 3, 4, 4),
        "blocked",
        strides=(2, 2),
        begin=(1, 1),
        size=(4, 6),
        channels=8,
        layout="NCHW4c",
    ),
    _interleave(
        _image(1, 8, 3, 4, 4),
        "blocked-groups",
        strides=(2, 1),
        begin=(1, 1),
        size=(4, 3),
        channels=16,
        groups=2,
        layout="NCHW4c",
    ),
]

CONVOLUTIONS = [
    Record(
        "nn.contrib_conv2d_winograd_weight_transform",
        (_image(4, 3, 3, 3),),
        {"tile_size": 4},
        1e-4,
        "tiles-of-4",
    ),
    Record(
        "nn.contrib_conv2d_winograd_weight_transform",
        (_image(2, 1, 5, 5),),
        {"tile_size": 2},
        1e-4,
        "five-taps",
    ),
    _conv(
        "nn.contrib_conv2d_winograd_without_weight_transform",
        _image(2, 3, 7, 6),
        _image(4, 4, 5, 3),
        "plain",
        tile_size=2,
        kernel_size=3,
        padding=(1, 0, 2, 1),
    ),
    _conv(
        "nn.contrib_conv2d_winograd_without_weight_transform",
        _image(1, 2, 9, 10, 4),
        _image(6, 6, 1, 2, 4, 8),
        "blocked",
        tile_size=4,
        kernel_size=(3, 3),
        padding=1,
        channels=8,
        data_layout="NCHW4c",
        kernel_layout="OIHW4i8o",
        out_layout="NCHW8c",
    ),
    _conv("nn.conv1d", _image(2, 3, 9), _image(4, 3, 3), "plain"),
    _conv(
        "nn.conv1d",
        _image(2, 9, 4),
        _image(3, 2, 6),
        "grouped-nwc",
        strides=2,
        padding=(1, 2),
        dilation=2,
        groups=2,
        data_layout="NWC",
        kernel_layout="WIO",
    ),
    _conv("nn.conv2d", _image(2, 3, 7, 8), _image(4, 3, 3, 2), "plain"),
    _conv(
        "nn.conv2d",
        _image(1, 3, 9, 9),
        _image(4, 3, 3, 3),
        "padded",
        strides=(2, 1),
        padding=(1, 2, 0, 1),
        dilation=(1, 2),
        channels=4,
        kernel_size=(3, 3),
    ),
    _conv("nn.conv2d", _image(1, 6, 5, 5), _image(4, 3, 3, 3), "grouped", groups=2, padding=1),
    _conv("nn.conv2d", _image(1, 4, 5, 5), _image(4, 1, 3, 3), "depthwise", groups=4, padding=1),
    _conv("nn.conv2d", _image(1, 4, 5, 5), _image(8, 1, 3, 3), "multiplier", groups=4),
    _conv("nn.conv2d", _image(1, 4, 5, 5), _image(4, 2, 3, 3), "multiplier-form", groups=4),
    _conv(
        "nn.conv2d",
        _image(1, 6, 5, 3),
        _image(3, 3, 3, 4),
        "nhwc",
        padding=1,
        data_layout="NHWC",
        kernel_layout="HWIO",
    ),
    _conv(
        "nn.conv2d",
        _image(1, 6, 5, 4),
        _image(3, 3, 4, 1),
        "nhwc-depthwise",
        padding=1,
        groups=4,
        data_layout="NHWC",
        kernel_layout="HWOI",
    ),
    _conv("nn.conv2d", _image(1, 3, 5, 5), _image(4, 3, 3, 3), "out-layout", out_layout="NHWC"),
    _conv(
        "nn.conv2d",
        In((1, 3, 5, 5), "int8", -9, 9),
        In((4, 3, 3, 3), "int8", -9, 9),
        "int8",
        out_dtype="int32",
        padding=1,
    ),
    _conv("nn.conv3d", _image(1, 2, 5, 4, 6), _image(3, 2, 2, 3, 3), "padded", padding=1),
    _conv(
        "nn.conv3d",
        _image(1, 4, 5, 5, 4),
        _image(2, 2, 2, 2, 4),
        "ndhwc",
        strides=2,
        groups=2,
        data_layout="NDHWC",
        kernel_layout="DHWIO",
    ),
    _conv(
        "nn.contrib_conv2d_NCHWc",
        _image(1, 2, 6, 6, 4),
        _image(3, 2, 3, 3, 4, 8),
        "padded",
        padding=1,
        channels=24,
        kernel_size=3,
        data_layout="NCHW4c",
        kernel_layout="OIHW4i8o",
        out_layout="NCHW8c",
    ),
    _conv(
        "nn.contrib_conv2d_NCHWc",
        _image(1, 3, 6, 6, 1),
        _image(2, 3, 3, 3, 1, 4),
        "first",
        strides=2,
        data_layout="NCHW1c",
        kernel_layout="OIHW1i4o",
        out_layout="NCHW4c",
    ),
    _conv(
        "nn.contrib_conv2d_NCHWc",
        _image(1, 4, 5, 5, 2),
        _image(4, 2, 3, 3, 2, 4),
        "grouped",
        groups=2,
        data_layout="NCHW2c",
        kernel_layout="OIHW2i4o",
        out_layout="NCHW4c",
    ),
    _conv(
        "nn.contrib_depthwise_conv2d_NCHWc",
        _image(1, 2, 6, 6, 4),
        _image(2, 1, 3, 3, 1, 4),
        "padded",
        padding=1,
        strides=2,
        groups=8,
        data_layout="NCHW4c",
        kernel_layout="OIHW1i4o",
    ),
    _conv(
        "nn.conv1d_transpose",
        _image(1, 3, 5),
        _image(3, 2, 3),
        "plain",
        strides=2,
        padding=1,
        output_padding=1,
    ),
    _conv("nn.conv2d_transpose", _image(2, 3, 4, 5), _image(3, 2, 3, 3), "plain"),
    _conv(
        "nn.conv2d_transpose",
        _image(1, 4, 4, 5),
        _image(4, 2, 3, 3),
        "padded",
        strides=(2, 3),
        padding=(1, 0, 1, 2),
        output_padding=(1, 0),
        groups=2,
        channels=4,
        kernel_size=3,
    ),
    _conv(
        "nn.conv2d_transpose",
        _image(1, 4, 4, 3),
        _image(2, 2, 2, 3),
        "nhwc",
        strides=2,
        padding=2,
        dilation=2,
        data_layout="NHWC",
        kernel_layout="HWOI",
    ),
    _conv("nn.conv3d_transpose", _image(1, 2, 2, 3, 2), _image(2, 2, 2, 2, 3), "plain", strides=2),
]

_SIZES = {1: (9,), 2: (9, 7), 3: (5, 6, 5)}
_LAST = {1: "NWC", 2: "NHWC", 3: "NDHWC"}


def _pools(kind: str, rank: int) -> list[Record]:
    op, size = f"nn.{kind}_pool{rank}d", _SIZES[rank]
    first, last = _image(2, 3, *size), _image(2, *size, 3)
    records = [
        Record(op, (first,), {"pool_size": 2}, note="plain"),
        Record(op, (first,), {"pool_size": 3, "strides": 2, "padding": 1}, note="padded"),
        Record(
            op,
            (first,),
            {"pool_size": 2, "strides": 3, "ceil_mode": True, "padding": 1},
            note="ceil",
            skip={"gradient": "the largest of a window without elements is infinite"}
            if kind == "max"
            else {},
        ),
        Record(op, (first,), {"pool_size": 2, "dilation": 2, "padding": 1}, note="dilated"),
        Record(op, (last,), {"pool_size": 2, "strides": 2, "layout": _LAST[rank]}, note="last"),
        Record(op, (In((1, 2, *size), "int32", -9, 9),), {"pool_size": 2}, note="int32"),
    ]
    if kind == "avg":
        attrs = {"pool_size": 3, "strides": 2, "padding": 1, "count_include_pad": True}
        records.append(Record(op, (first,), attrs, note="include"))
    return records


def _adaptive(kind: str, rank: int) -> list[Record]:
    op, size = f"nn.adaptive_{kind}_pool{rank}d", _SIZES[rank]
    first, last = _image(2, 3, *size), _image(2, *size, 3)
    uneven = {"gradient": "windows of the maximum must be of one size"} if kind == "max" else {}
    return [
        Record(op, (first,), {"output_size": 1}, note="one"),
        Record(op, (first,), {"output_size": 3}, note="three", skip=uneven),
        Record(op, (first,), note="same"),
        Record(op, (last,), {"output_size": 2, "layout": _LAST[rank]}, note="last", skip=uneven),
    ]


POOLS = [
    record
    for kind, rank in itertools.product(("max", "avg"), (1, 2, 3))
    for record in (*_pools(kind, rank), *_adaptive(kind, rank))
] + [
    Record(
        "nn.max_pool2d",
        (_image(1, 2, 6, 6, 4),),
        {"pool_size": 2, "layout": "NCHW4c"},
        note="blocked",
    ),
    Record(
        "nn.avg_pool2d",
        (_image(1, 2, 6, 6, 4),),
        {"pool_size": 3, "padding": 1, "layout": "NCHW4c"},
        note="blocked",
    ),
    Record("nn.global_avg_pool2d", (_image(2, 3, 4, 5),)),
    Record("nn.global_avg_pool2d", (_image(2, 3, 4, 5, 4),), {"layout": "NCHW4c"}, note="blocked"),
    Record("nn.global_max_pool2d", (_image(2, 3, 4, 5),)),
    Record("nn.global_max_pool2d", (_image(2, 4, 5, 3),), {"layout": "NHWC"}, note="nhwc"),
]

PRODUCTS = [
    Record("nn.dense", (In((3, 5)), In((4, 5))), {"units": 4}),
    Record("nn.dense", (In((2, 3, 5)), In((4, 5))), note="rank3"),
    Record(
        "nn.dense",
        (In((3, 5), "int8", -9, 9), In((4, 5), "int8", -9, 9)),
        {"out_dtype": "int32"},
        note="int8",
    ),
    Record("nn.matmul", (In((3, 5)), In((5, 4))), {"units": 4}),
    Record("nn.matmul", (In((2, 5, 3)), In((5, 4))), {"transpose_a": True}, note="a"),
    Record("nn.matmul", (In((3, 5)), In((4, 5))), {"transpose_b": True}, note="b"),
    Record("nn.batch_matmul", (In((2, 3, 5)), In((2, 4, 5)))),
    Record(
        "nn.batch_matmul",
        (In((1, 5, 3)), In((2, 5, 4))),
        {"transpose_a": True, "transpose_b": False},
        note="transposed-broadcast",
    ),
    Record("nn.batch_matmul", (In((2, 3, 5)), In((1, 4, 5))), note="broadcast"),
    Record("nn.bias_add", (In((2, 3, 4)), In((3,)))),
    Record("nn.bias_add", (In((2, 3, 4)), In((4,))), {"axis": -1}, note="last"),
]

_VECTORS = (In((3,)), In((3,)), In((3,)), In((3,), low=0.5))
NORMS = [
    Record("nn.batch_norm", (In((2, 3, 4)), *_VECTORS), tolerance=1e-4),
    Record(
        "nn.batch_norm",
        (In((2, 4, 3)), *_VECTORS),
        {"axis": -1, "center": False, "scale": False, "epsilon": 1e-3},
        1e-4,
        "last",
    ),
    Record("nn.layer_norm", (In((2, 4, 3)), *_VECTORS[:2]), tolerance=1e-4),
    Record(
        "nn.layer_norm", (In((2, 3, 4)), *_VECTORS[:2]), {"axis": 1, "center": False}, 1e-4, "1"
    ),
    Record("nn.instance_norm", (In((2, 3, 4, 5)), *_VECTORS[:2]), tolerance=1e-4),
    Record("nn.instance_norm", (In((2, 4, 5, 3)), *_VECTORS[:2]), {"axis": 3}, 1e-4, "last"),
    Record("nn.group_norm", (In((2, 4, 3, 3)), In((4,)), In((4,))), {"num_groups": 2}, 1e-4),
    Record(
        "nn.group_norm",
        (In((2, 3, 3, 4)), In((4,)), In((4,))),
        {"num_groups": 2, "axis": -1, "scale": False},
        1e-4,
        "last",
    ),
    Record("nn.l2_normalize", (In((2, 3, 4)),), {"eps": 1e-6, "axis": (1,)}),
    Record("nn.l2_normalize", (In((2, 3)),), {"eps": 1e-6}, note="all"),
    Record("nn.lrn", (In((2, 7, 3)),), {"size": 3, "alpha": 0.1}),
    Record("nn.lrn", (In((2, 3, 7)),), {"size": 5, "axis": 2, "alpha": 0.1}, note="last"),
]

ACTIVATIONS = [
    Record("nn.relu"),
    Record("nn.relu", (In((2, 3), "int8", -9, 9),), note="int8"),
    Record("nn.leaky_relu", attrs={"alpha": 0.2}),
    Record("nn.prelu", (In((2, 3, 4)), In((3,)))),
    Record("nn.prelu", (In((2, 3, 4)), In((4,))), {"axis": 2}, note="last"),
    Record("nn.softmax", (In((2, 3, 4)),)),
    Record("nn.softmax", (In((2, 3, 4)),), {"axis": 1}, note="middle"),
    Record("nn.fast_softmax", (In((2, 3)),)),
    Record("nn.log_softmax", (In((2, 3, 4)),)),
    Record("nn.log_softmax", (In((2, 3, 4)),), {"axis": 0}, note="first"),
    Record("nn.dropout"),
]

MOVES = [
    Record("nn.batch_flatten", (In((2, 3, 4, 5)),)),
    Record("nn.batch_flatten", (In((2,)),), note="vector"),
    Record("nn.depth_to_space", (In((1, 8, 2, 3)),), {"block_size": 2}),
    Record("nn.depth_to_space", (In((1, 8, 2, 3)),), {"block_size": 2, "mode": "CRD"}, note="crd"),
    Record(
        "nn.depth_to_space", (In((1, 2, 3, 8)),), {"block_size": 2, "layout": "NHWC"}, note="nhwc"
    ),
    Record("nn.space_to_depth", (In((1, 2, 4, 6)),), {"block_size": 2}),
    Record("nn.space_to_depth", (In((1, 2, 4, 6)),), {"block_size": 2, "mode": "CRD"}, note="crd"),
    Record("nn.upsampling", (In((1, 2, 3, 4)),), {"scale_h": 2.0, "scale_w": 3.0}),
    Record("nn.upsampling", (In((1, 2, 4, 4)),), {"scale_h": 1.5, "scale_w": 1.5}, note="half"),
    Record(
        "nn.upsampling",
        (In((1, 3, 4, 2)),),
        {"scale_h": 2.0, "scale_w": 2.0, "method": "bilinear", "layout": "NHWC"},
        note="bilinear",
    ),
    Record(
        "nn.upsampling",
        (In((1, 2, 3, 4)),),
        {"scale_h": 2.0, "scale_w": 2.0, "method": "bilinear", "align_corners": True},
        note="corners",
    ),
    Record("nn.pad", (In((2, 3)), In()), {"pad_width": ((0, 0), (1, 2))}),
    Record("nn.pad", (In((4, 3)), In()), {"pad_width": ((-1, 0), (1, -1))}, note="cut"),
    Record(
        "nn.pad",
        (In((2, 3)), In()),
        {"pad_width": ((2, 1), (0, 2)), "pad_mode": "edge"},
        note="edge",
    ),
    Record(
        "nn.pad",
        (In((3, 4)), In()),
        {"pad_width": ((2, 1), (0, 3)), "pad_mode": "reflect"},
        note="reflect",
    ),
    Record("nn.mirror_pad", (In((3, 4)),), {"pad_width": ((3, 1), (0, 4))}),
    Record(
        "nn.mirror_pad",
        (In((3, 4)),),
        {"pad_width": ((2, 1), (0, 3)), "mode": "REFLECT"},
        note="reflect",
    ),
    Record("layout_transform", (In((1, 8, 2, 3)),), {"src_layout": "NCHW", "dst_layout": "NCHW4c"}),
    Record(
        "layout_transform",
        (In((1, 2, 2, 3, 4)),),
        {"src_layout": "NCHW4c", "dst_layout": "NHWC"},
        note="back",
    ),
    Record(
        "layout_transform",
        (In((1, 2, 2, 3, 4)),),
        {"src_layout": "NCHW4c", "dst_layout": "NCHW8c"},
        note="reblock",
    ),
    Record(
        "layout_transform",
        (In((8, 4, 3, 3)),),
        {"src_layout": "OIHW", "dst_layout": "OIHW2i4o"},
        note="weight",
    ),
]

RECORDS = [*ATTENTION, *INTERLEAVES, *CONVOLUTIONS, *POOLS, *PRODUCTS, *NORMS, *ACTIVATIONS, *MOVES]
