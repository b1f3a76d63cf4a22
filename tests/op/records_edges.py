"""Records at the edges of what shapes and data types can be.

No elements, one element, rank 0, lengths that fill no vector, rows longer than a vector, enough
work for several cores, and every data type: for operators that are computed in different ways.
"""

from collections.abc import Iterator

from op.record import In, Record

DTYPES = "bool uint8 int8 int32 int64 float16 float32 float64".split()
NUMBERS = DTYPES[1:]
FLOATS = DTYPES[-3:]
TOLERANCE = {"float16": 2e-2, "float32": 1e-4, "float64": 1e-9}


def _note(*words: object) -> str:
    return "-".join(str(w).replace(" ", "") for w in words)


def _data(shape: tuple[int, ...], dtype: str) -> In:
    return In(shape, dtype, 0 if dtype == "uint8" else -3, 3)


def elementwise_records() -> Iterator[Record]:
    shapes = [(), (1,), (1, 1, 1), (0,), (2, 0, 3), (17,), (3, 1, 5), (50_003,), (3, 20_001)]
    for shape in shapes:
        for op in ("nn.relu", "negative", "tanh"):
            yield Record(op, (In(shape),), tolerance=1e-4, note=_note("edge", shape))
        pair = (In(shape), In(shape[-1:]))
        yield Record("multiply", pair, note=_note("edge", shape))
    for a, b in (((5, 1, 7), (1, 33, 1)), ((0, 1), (1, 5)), ((1, 1), ()), ((130, 1), (1, 131))):
        yield Record("add", (In(a), In(b)), note=_note("edge", a, b))
        yield Record("less", (In(a), In(b)), note=_note("edge", a, b))
    for dtype in NUMBERS:
        pair = (_data((3, 67), dtype), _data((67,), dtype))
        yield Record("maximum", pair, note=_note("edge", dtype))
        yield Record("nn.relu", pair[:1], note=_note("edge", dtype))
        yield Record("add", pair, tolerance=2e-2, note=_note("edge", dtype))
    for dtype in DTYPES:
        choice = (_data((3, 37), "bool"), _data((37,), dtype), _data((3, 1), dtype))
        yield Record("where", choice, note=_note("edge", dtype))


def reduction_records() -> Iterator[Record]:
    cases: list[tuple[tuple[int, ...], dict[str, object]]] = [
        ((), {}), ((1,), {}), ((1, 1), {"axis": 1}), ((37,), {}), ((1003,), {}), ((70_001,), {}),
        ((3, 1003), {"axis": 1}), ((1003, 3), {"axis": 0}), ((33, 67), {}),
        ((5, 33, 67), {"axis": 1}), ((5, 33, 67), {"axis": (0, 2)}), ((130, 519), {"axis": -1}),
        ((519, 130), {"axis": 0}),
        ((0, 3), {"axis": 1}), ((3, 5), {"axis": ()}),
    ]  # fmt: skip
    for shape, attrs in cases:
        note = _note("edge", shape, attrs.get("axis"))
        for op in ("max", "mean", "argmin"):
            yield Record(op, (In(shape),), attrs, tolerance=1e-4, note=note)
        yield Record("sum", (In(shape),), attrs, tolerance=5e-3, note=note)
    yield Record("sum", (In((3, 0, 2)),), {"axis": 1}, note="edge-none")
    yield Record("prod", (In((0,)),), note="edge-none")
    yield Record("all", (In((3, 0), "bool"),), {"axis": 1}, note="edge-none")
    for dtype in NUMBERS:
        for shape, axis in (((3, 67), 1), ((67, 3), 0)):
            note = _note("edge", shape, dtype)
            yield Record("sum", (_data(shape, dtype),), {"axis": axis}, tolerance=3e-2, note=note)
            yield Record("min", (_data(shape, dtype),), {"axis": axis}, note=note)
            yield Record("argmax", (_data(shape, dtype),), {"axis": axis}, note=note)
    for shape, axis in (((3, 67), 1), ((67, 3), 0), ((40_000,), 0)):
        yield Record("any", (_data(shape, "bool"),), {"axis": axis}, note=_note("edge", shape))


def row_records() -> Iterator[Record]:
    rows = [
        ((1, 1), -1), ((3, 1), -1), ((2, 1003), -1), ((2, 131, 5), 1), ((131, 3), 0), ((0, 4), 1),
        ((5, 33, 67), 1), ((40, 1500), 1), ((2, 3, 4, 5), 1), ((2, 1, 5), 1), ((1, 40_000), 0),
    ]  # fmt: skip
    for shape, axis in rows:
        attrs = {"axis": axis}
        note = _note("edge", shape, axis)
        for op in ("nn.softmax", "nn.log_softmax"):
            yield Record(op, (In(shape),), attrs, tolerance=1e-4, note=note)
        weight = In((shape[axis],))
        inputs = (In(shape), weight, weight)
        yield Record("nn.layer_norm", inputs, attrs, tolerance=2e-4, note=note)
    for dtype in FLOATS:
        yield Record("nn.softmax", (In((3, 67), dtype),), tolerance=TOLERANCE[dtype], note=dtype)
        middle = (In((2, 37, 3), dtype),)
        note = _note("middle", dtype)
        yield Record("nn.softmax", middle, {"axis": 1}, tolerance=TOLERANCE[dtype], note=note)
    for op in ("cumsum", "sort", "argsort"):
        for shape, axis in (((1,), 0), ((0,), 0), ((3, 0), 0), ((3, 70), 1), ((70, 3), 0)):
            attrs = {"axis": axis}
            yield Record(op, (In(shape),), attrs, tolerance=1e-4, note=_note("edge", shape))


def product_records() -> Iterator[Record]:
    sizes = [
        (1, 1, 1), (1, 513, 37), (33, 17, 65), (0, 5, 4), (3, 0, 4), (3, 5, 0), (130, 64, 48),
        (1, 1, 100), (100, 1, 1), (7, 3, 1), (2, 300, 17), (64, 257, 130), (16, 16, 16),
    ]  # fmt: skip
    for rows, depth, columns in sizes:
        note = _note("edge", rows, depth, columns)
        a = In((rows, depth))
        yield Record("nn.dense", (a, In((columns, depth))), tolerance=1e-3, note=note)
        yield Record("nn.matmul", (a, In((depth, columns))), tolerance=1e-3, note=note)
        batch = (In((3, rows, depth)), In((3, columns, depth)))
        yield Record("nn.batch_matmul", batch, tolerance=1e-3, note=note)
    for dtype in NUMBERS:
        note = _note("edge", dtype)
        pair = (_data((5, 13), dtype), _data((19, 13), dtype))
        tolerance = 5e-2 if dtype == "float16" else 1e-4
        yield Record("nn.dense", pair, tolerance=tolerance, note=note)
    for dtype in ("uint8", "int8"):
        pair = (In((33, 70), dtype, -128, 255), In((20, 70), dtype, -128, 255))
        attrs = {"out_dtype": "int32"}
        yield Record("nn.dense", pair, attrs, note=_note("edge", dtype, "wide"))


def window_records() -> Iterator[Record]:
    data, weight = In((0, 4, 5, 5)), In((4, 3, 3, 3))
    yield Record("nn.conv2d_transpose", (data, weight), {"padding": 1}, note="edge-none")
    vectors = (In((4,)), In((4,)))
    yield Record("nn.group_norm", (data, *vectors), {"num_groups": 2}, note="edge-none")
    yield Record("nn.instance_norm", (data, *vectors), note="edge-none")
    images: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, object]]] = [
        ((1, 1, 1, 1), (1, 1, 1, 1), {}),
        ((1, 17, 5, 35), (33, 17, 1, 1), {}),
        ((2, 3, 19, 17), (20, 3, 3, 3), {"padding": 1, "strides": 2}),
        ((1, 3, 1, 40), (5, 3, 1, 7), {"padding": (0, 3)}),
        ((0, 3, 5, 5), (4, 3, 3, 3), {}),
        ((1, 19, 9, 9), (19, 1, 3, 3), {"groups": 19, "padding": 1}),
        ((1, 32, 12, 12), (32, 1, 5, 5), {"groups": 32, "padding": 2, "strides": 2}),
        ((1, 32, 14, 14), (48, 32, 3, 3), {"padding": 1}),
        ((1, 6, 7, 7), (9, 2, 3, 3), {"groups": 3, "dilation": 2, "padding": 2}),
    ]
    for image, filters, attrs in images:
        note = _note("edge", image, filters)
        yield Record("nn.conv2d", (In(image), In(filters)), attrs, tolerance=1e-3, note=note)
    for dtype in NUMBERS:
        pair = (_data((1, 5, 6, 7), dtype), _data((6, 5, 3, 3), dtype))
        tolerance = 1e-1 if dtype == "float16" else 1e-4
        attrs = {"padding": 1}
        yield Record("nn.conv2d", pair, attrs, tolerance=tolerance, note=_note("edge", dtype))
        pool = {"pool_size": 3, "padding": 1}
        yield Record("nn.max_pool2d", pair[:1], pool, note=_note("edge", dtype))
    pools: list[tuple[tuple[int, ...], dict[str, object]]] = [
        ((1, 1, 1, 1), {"pool_size": 1}),
        ((0, 2, 4, 4), {"pool_size": 2}),
        ((2, 19, 13, 11), {"pool_size": 3, "strides": 2, "padding": 1}),
        ((1, 40, 33, 35), {"pool_size": 3, "strides": 1, "padding": 1}),
    ]
    for shape, attrs in pools:
        for op in ("nn.max_pool2d", "nn.avg_pool2d"):
            yield Record(op, (In(shape),), attrs, tolerance=1e-4, note=_note("edge", shape))
    for shape in ((1, 1, 1, 1), (2, 33, 7, 7), (1, 3, 50, 50)):
        yield Record(
            "nn.global_avg_pool2d", (In(shape),), tolerance=1e-4, note=_note("edge", shape)
        )


def move_records() -> Iterator[Record]:
    for dtype in DTYPES:
        data = _data((3, 37, 5), dtype)
        note = _note("edge", dtype)
        yield Record("transpose", (data,), {"axes": (2, 0, 1)}, note=note)
        yield Record("reshape", (data,), {"newshape": (-1, 5, 3)}, note=note)
        yield Record("concatenate", ((data, data),), {"axis": 1}, note=note)
        yield Record("split", (data,), {"indices_or_sections": (5, 9), "axis": 1}, note=note)
        cut = {"begin": (0, 30), "end": (3, 1), "strides": (2, -3)}
        yield Record("strided_slice", (data,), cut, note=note)
        yield Record("take", (data, In((4,), "int64", 0, 36)), {"axis": 1}, note=note)
        yield Record("broadcast_to", (_data((1, 37), dtype),), {"shape": (3, 37)}, note=note)
        border = {"pad_width": ((0, 1), (2, 0), (0, 0))}
        yield Record("nn.pad", (data, _data((), dtype)), border, note=note)
        yield Record("tile", (data,), {"reps": (1, 2, 3)}, note=note)
    none = In((0, 3))
    yield Record("transpose", (none,), note="edge-none")
    yield Record("concatenate", ((none, none),), note="edge-none")
    yield Record("stack", ((none, none),), note="edge-none")
    yield Record("take", (In((4, 0)), In((2,), "int32", 0, 3)), {"axis": 0}, note="edge-none")
    yield Record("take", (In((4, 3)), In((0,), "int32")), {"axis": 0}, note="edge-no-index")
    yield Record("nn.pad", (none, In()), {"pad_width": ((1, 1), (0, 2))}, note="edge-none")
    yield Record("transpose", (In((129, 257)),), note="edge-long")
    yield Record("transpose", (In((1, 64, 33, 31)),), {"axes": (0, 2, 3, 1)}, note="edge-long")
    long = ((In((2, 20_001)), In((2, 1)), In((2, 20_003))),)
    yield Record("concatenate", long, {"axis": 1}, note="edge-long")


RECORDS: list[Record] = [
    *elementwise_records(),
    *reduction_records(),
    *row_records(),
    *product_records(),
    *window_records(),
    *move_records(),
]
