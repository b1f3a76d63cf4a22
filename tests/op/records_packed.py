"""Records of weights in blocks, and of layouts that were found by searching."""

import numpy as np

from op.record import In, Record

RECORDS: list[Record] = [
    Record("nn.contrib_dense_pack", (In((3, 8)), In((2, 8, 4))), {"weight_layout": "NC4n"}),
    Record(
        "nn.contrib_dense_pack",
        (In((2, 3, 8)), In((2, 4, 4, 2))),
        {"weight_layout": "NC4n2c", "units": 8},
        note="twice",
    ),
    Record("nn.contrib_dense_pack", (In((3, 8)), In((5, 8))), note="plain"),
    Record(
        "nn.contrib_conv2d_gemm_weight_transform",
        (In((3, 2, 5, 7)),),
        {"tile_N": 4, "tile_K": 16},
    ),
    Record(
        "nn.contrib_conv2d_gemm_without_weight_transform",
        (In((2, 6, 5, 5)), In((2, 2, 4, 16))),
        {"channels": 7, "kernel_size": (3, 2), "padding": (1, 1), "data_layout": "NHWC"},
        tolerance=1e-4,
    ),
    Record(
        "nn.contrib_conv2d_gemm_without_weight_transform",
        (In((1, 4, 6, 5)), In((2, 2, 4, 8))),
        {"channels": 8, "kernel_size": (2, 2), "strides": (2, 1)},
        tolerance=1e-4,
        note="NCHW",
    ),
    Record(
        "nn.contrib_conv2d_winograd_nnpack_weight_transform",
        (In((4, 3, 3, 3)),),
        {"convolution_algorithm": 3},
    ),
    Record("nn.contrib_conv3d_winograd_weight_transform", (In((4, 3, 3, 3, 3)),)),
    Record(
        "nn.contrib_conv3d_winograd_weight_transform",
        (In((4, 3, 2, 3, 3)),),
        {"tile_size": 4},
        note="flat",
    ),
    Record(
        "nn.contrib_conv3d_winograd_without_weight_transform",
        (In((2, 3, 5, 7, 6)), In((4, 4, 4, 4, 3))),
        {"kernel_size": (3, 3, 3), "padding": (1, 1, 0)},
        tolerance=1e-3,
    ),
    Record(
        "nn.contrib_conv3d_winograd_without_weight_transform",
        (In((1, 3, 4, 7, 6)), In((6, 6, 2, 4, 3))),
        {"kernel_size": (2, 3, 3), "tile_size": 4, "channels": 4},
        tolerance=1e-3,
        note="flat",
    ),
    Record(
        "nn.internal.sparse_dense_padded",
        (
            In((3, 6)),
            In((6,)),
            In(values=[0, 2, 2, 5, 0, 0], dtype="int32", shape=(6,)),
            In(values=[0, 2, 6], dtype="int32", shape=(3,)),
        ),
    ),
    Record(
        "nn.internal.sparse_dense_padded",
        (
            In((3, 6)),
            In((3, 2, 3)),
            In(values=[0, 1, 0], dtype="int32", shape=(3,)),
            In(values=[0, 1, 3], dtype="int32", shape=(3,)),
        ),
        {"sparse_lhs": True},
        note="blocks",
    ),
    Record(
        "auto_scheduler_layout_transform",
        (In((8, 6)),),
        {"src_layout": "8i6o", "dst_layout": "2o4i3o2i"},
    ),
    Record(
        "meta_schedule_layout_transform",
        (In((9, 6)),),
        {"index_map": "lambda i, j: (i // 4, j, i % 4)"},
    ),
    Record(
        "meta_schedule_layout_transform",
        (In(values=np.arange(6).reshape(2, 3), dtype="int32", shape=(2, 3)),),
        {"index_map": "lambda i, j: 2 * (5 - (i * 3 + j))"},
        note="reversed",
    ),
]
