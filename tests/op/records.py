"""The records of the tensor operators; those of ``nn.*`` are in ``records_nn.py``."""

from collections.abc import Iterator

import numpy as np

from op.record import In, Record
from relay.ir.types import Any, SizeVar, TensorType, TupleType, Type

#: Operators without a record, and why.
EXEMPT: dict[str, str] = {}

INF, NAN = float("inf"), float("nan")
#: Values at which floating-point operators have something to get wrong.
SPECIAL = In(values=[0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, INF, -INF, NAN, 1e30, -1e30])


def with_unknown_sizes(type_: Type) -> Type:
    """`type_` with every dimension unknown."""
    if isinstance(type_, TupleType):
        return TupleType([with_unknown_sizes(f) for f in type_.fields])
    assert isinstance(type_, TensorType)
    return TensorType([Any()] * len(type_.shape), type_.dtype)


def with_named_sizes(type_: Type) -> Type:
    """`type_` with every dimension unknown but named, equal ones equally."""
    if isinstance(type_, TupleType):
        return TupleType([with_named_sizes(f) for f in type_.fields])
    assert isinstance(type_, TensorType)
    return TensorType([SizeVar(f"n{d}") for d in type_.concrete_shape], type_.dtype)


def unary_records() -> Iterator[Record]:
    domains = {
        "log": (0.1, 4.0), "log2": (0.1, 4.0), "log10": (0.1, 4.0), "sqrt": (0.0, 4.0),
        "rsqrt": (0.1, 4.0), "acos": (-1.0, 1.0), "asin": (-1.0, 1.0), "acosh": (1.0, 4.0),
        "atanh": (-0.9, 0.9), "tan": (-1.4, 1.4),
    }  # fmt: skip
    floats = (
        "acos acosh asin asinh atan atanh cos cosh erf exp log log10 log2 rsqrt sigmoid sin sinh "
        "sqrt tan tanh fast_exp fast_tanh fast_erf"
    ).split()
    for op in floats:
        low, high = domains.get(op, (-3.0, 3.0))
        for dtype, tolerance in (("float32", 2e-5), ("float64", 1e-9), ("float16", 1e-2)):
            loose = 1e-4 if op.startswith("fast_") else 0
            spec = In((3, 5), dtype, low, high)
            yield Record(op, (spec,), tolerance=max(tolerance, loose), note=dtype)
        yield Record(op, (In((0, 2)),), note="empty")
        yield Record(op, (In((), low=low, high=high),), tolerance=1e-4, note="scalar")
        yield Record(op, (SPECIAL,), tolerance=1e-4, note="special")
    for op in ("floor", "ceil", "trunc", "round"):
        yield Record(op, (In((4, 5), low=-9, high=9),))
        yield Record(op, (SPECIAL,), note="special")
        steps = {"gradient": "at a tie the result jumps"}
        ties = In(values=[-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
        yield Record(op, (ties,), note="ties", skip=steps)
        yield Record(op, (In((6,), "int32", -9, 9),), note="int32")
    for op in ("isnan", "isinf", "isfinite"):
        yield Record(op, (SPECIAL,))
        yield Record(op, (In((4,), "int64", -3, 3),), note="int64")
    for op in ("abs", "sign", "negative"):
        yield Record(op)
        yield Record(op, (SPECIAL,), note="special")
        yield Record(op, (In((7,), "int32", -9, 9),), note="int32")
        yield Record(op, (In(values=[-128, -1, 0, 127], dtype="int8"),), note="int8")
        yield Record(op, (In((5,), "uint8", 0, 255),), note="uint8")
    for op in ("copy", "zeros_like", "ones_like"):
        for dtype in ("float32", "int64", "bool", "uint8"):
            yield Record(op, (In((2, 3), dtype),), note=dtype)
    yield Record("logical_not", (In((2, 5), "bool"),))
    for dtype in ("int32", "uint8", "bool"):
        yield Record("bitwise_not", (In((2, 5), dtype, -99, 99),), note=dtype)
    for dtype in ("float32", "int32", "int8", "uint8"):
        limits = {"a_min": -1.5, "a_max": 2.0}
        yield Record("clip", (In((4, 5), dtype, -9, 9),), limits, note=dtype)
    yield Record("clip", (SPECIAL,), {"a_min": -1.0, "a_max": 6.0}, note="special")
    yield Record("clip", (In((9,), "uint8", 0, 255),), {"a_min": -5, "a_max": 1e9}, note="beyond")
    for shift in (-2, 0, 3):
        data = In((4, 5), "int32", -(2**20), 2**20)
        attrs = {"multiplier": 1395864371, "shift": shift}
        yield Record("fixed_point_multiply", (data,), attrs, note=f"shift{shift}")
    for op in ("shape_of", "ndarray_size"):
        yield Record(op, (In((3, 1, 4)),))
        yield Record(op, (In(()),), {"dtype": "int64"}, note="scalar")
        yield Record(op, (In((2, 0)),), note="empty")


def binary_records() -> Iterator[Record]:
    arithmetic = "add subtract multiply maximum minimum".split()
    division = "divide floor_divide trunc_divide mod trunc_mod floor_mod".split()
    comparison = "equal not_equal less less_equal greater greater_equal".split()
    shapes = [((2, 3), (2, 3)), ((2, 1, 3), (4, 1)), ((), (3,)), ((1, 4), (2, 1)), ((0, 3), (1, 3))]
    for op in arithmetic + division + comparison + ["power"]:
        low = 0.5 if op in division or op == "power" else -3.0
        for a, b in shapes:
            note = f"{a}x{b}".replace(" ", "")
            yield Record(op, (In(a, low=0.1 if op == "power" else -3), In(b, low=low)), note=note)
    for op in arithmetic + comparison:
        for dtype in ("int32", "uint8", "int64", "float64", "float16"):
            pair = (In((3, 4), dtype, -9, 9), In((4,), dtype, -9, 9))
            yield Record(op, pair, tolerance=1e-2 if dtype == "float16" else 1e-9, note=dtype)
        left = In(values=np.repeat([1.0, NAN, INF, -INF, 0.0], 5))
        right = In(values=np.tile([1.0, NAN, INF, -INF, -0.0], 5))
        yield Record(op, (left, right), note="special")
    for op in ("equal", "not_equal"):
        yield Record(op, (In((9,), "bool"), In((9,), "bool")), note="bool")
    for op in division:
        numerator = In(values=[7, -7, 7, -7, 6, -6, 0], dtype="int32")
        denominator = In(values=[2, 2, -2, -2, 3, 3, -5], dtype="int32")
        yield Record(op, (numerator, denominator), note="signs")
        yield Record(op, (In((9,), "uint8", 0, 255), In((9,), "uint8", 1, 9)), note="uint8")
        yield Record(op, (In((9,), "float32", -9, 9), In((9,), "float32", -4, -1)), note="negative")
    yield Record("power", (In((9,), "int32", -4, 4), In((9,), "int32", 0, 5)), note="int32")
    yield Record("power", (In(values=[-2.0, -2.0, 0.0]), In(values=[2.0, 3.0, 0.0])), note="signs")
    for op in ("logical_and", "logical_or", "logical_xor"):
        yield Record(op, (In((8, 4), "bool"), In((4,), "bool")))
    for op in ("bitwise_and", "bitwise_or", "bitwise_xor"):
        for dtype in ("int32", "uint8", "bool"):
            pair = (In((8, 4), dtype, -99, 99), In((4,), dtype, -99, 99))
            yield Record(op, pair, note=dtype)
    for op in ("left_shift", "right_shift"):
        for dtype in ("int32", "uint8"):
            yield Record(op, (In((9,), dtype, -99, 99), In((9,), dtype, 0, 7)), note=dtype)


def reduce_records() -> Iterator[Record]:
    choices: list[dict[str, object]] = [
        {},
        {"axis": 1},
        {"axis": -1, "keepdims": True},
        {"axis": (0, 2)},
        {"axis": (1,), "exclude": True},
        {"axis": (), "keepdims": True},
    ]
    for op in "sum prod max min mean argmax argmin".split():
        for k, attrs in enumerate(choices):
            yield Record(op, (In((2, 3, 4)),), attrs, note=f"case{k}")
            yield Record(op, (In((2, 3, 4), "int32", -3, 3),), attrs, note=f"int-case{k}")
    for op in ("all", "any"):
        for k, attrs in enumerate(choices):
            yield Record(op, (In((2, 3, 4), "bool"),), attrs, note=f"case{k}")
    for op in "sum prod max min".split():
        yield Record(op, (In((0, 3)),), {"axis": 0}, note="empty")
    for op in "max min argmax argmin".split():
        holes = In(values=[[1.0, NAN, 3.0], [INF, 2.0, -INF], [1.0, 1.0, 1.0]])
        yield Record(op, (holes,), {"axis": 1}, note="special")
    for op in ("argmax", "argmin"):
        ties = In((4, 9), "int32", 0, 2)
        yield Record(op, (ties,), {"axis": 1, "select_last_index": True}, note="last")
        yield Record(op, (ties,), {"axis": 1}, note="first")
        yield Record(op, (ties,), {"keepdims": True}, note="all")
    for unbiased in (False, True):
        pair = (In((2, 3, 4)), In((2, 1, 4)))
        yield Record("variance", pair, {"axis": 1, "unbiased": unbiased}, note=str(unbiased))
    yield Record("variance", (In((2, 3)), In((1, 1))), {"keepdims": True}, note="all")


def shape_records() -> Iterator[Record]:
    unknown = {"infer_any": "sizes of the result come from those of the data"}
    reshapes = [
        ((2, 3, 4), (4, 6)), ((2, 3, 4), (0, -1)), ((2, 3, 4), (-1, 2, 1, 6)), ((2, 3, 4), (-2,)),
        ((2, 3, 4), (2, -2, 1)), ((2, 3, 4), (-3, 4)), ((2, 3, 4), (-4, 1, 2, -2)),
        ((2, 6, 4), (0, -4, -1, 3, 0)), ((1, 1), ()), ((), (1, 1)), ((2, 0), (0, 0)),
        ((6, 1, 4), (2, 1, 12)), ((2, 3, 4), (-3, -1)), ((4, 6), (6, 4)),
    ]  # fmt: skip
    for old, new in reshapes:
        note = f"{old}to{new}".replace(" ", "")
        skip = unknown if (old, new) == ((2, 0), (0, 0)) else {}
        yield Record("reshape", (In(old),), {"newshape": new}, note=note, skip=skip)
    yield Record(
        "reshape", (In((0, 3)),), {"newshape": (3, 0), "allowzero": True}, note="allowzero"
    )
    yield Record("reshape_like", (In((2, 6)), In((3, 4))))
    partial = {"lhs_begin": 1, "lhs_end": 2, "rhs_begin": 1}
    yield Record("reshape_like", (In((2, 6, 3)), In((9, 2, 3))), partial, note="partial")
    yield Record("contrib_reverse_reshape", (In((10, 5, 4)),), {"newshape": (-1, 0)})
    yield Record(
        "contrib_reverse_reshape", (In((4, 6)),), {"newshape": (0, -4, 2, 3)}, note="split"
    )
    named = {"infer_any": "which dimensions have size 1 is not known"}
    yield Record("squeeze", (In((1, 2, 1, 3)),), skip=named)
    for axis in (0, (0, 2), (-2,), ()):
        yield Record("squeeze", (In((1, 2, 1, 3)),), {"axis": axis}, note=f"{axis}")
    for axis in (0, 1, -1, -3):
        yield Record("expand_dims", (In((2, 3)),), {"axis": axis}, note=f"{axis}")
    yield Record("expand_dims", (In((2, 3)),), {"axis": 1, "num_newaxis": 3}, note="three")
    yield Record("transpose", (In((2, 3, 4)),))
    yield Record("transpose", (In((2, 3, 4)),), {"axes": (1, -1, 0)}, note="axes")
    yield Record("transpose", (In(()),), note="scalar")
    yield Record("broadcast_to", (In((3, 1)),), {"shape": (2, 3, 4)})
    yield Record("broadcast_to", (In(()),), {"shape": (2,)}, note="scalar")
    yield Record("broadcast_to_like", (In((3, 1)), In((2, 3, 4))))
    yield Record("collapse_sum_like", (In((2, 3, 4)), In((3, 1))))
    yield Record("collapse_sum_like", (In((2, 3)), In((2, 3))), note="same")
    yield Record("where", (In((2, 3), "bool"), In((2, 3)), In((2, 3))))
    yield Record("where", (In((2, 1), "bool"), In((3,)), In(())), note="broadcast")
    yield Record("where", (In((4,), "int32", 0, 1), In((4,)), In((4,))), note="int-condition")
    for data, reps in (((2, 3), (2, 1)), ((2, 3), (2,)), ((3,), (2, 1, 2)), ((2, 3), (0, 1))):
        skip = unknown if 0 in reps else {}
        yield Record("tile", (In(data),), {"reps": reps}, note=f"{data}{reps}", skip=skip)
    yield Record("repeat", (In((2, 3)),), {"repeats": 2})
    yield Record("repeat", (In((2, 3)),), {"repeats": 3, "axis": -1}, note="axis")
    for axis in (0, (-1,), (0, 2)):
        yield Record("reverse", (In((2, 3, 4)),), {"axis": axis}, note=f"{axis}")
    lengths = In(values=[1, 3, 0], dtype="int32")
    yield Record("reverse_sequence", (In((3, 4, 2)), lengths))
    swapped = {"seq_axis": 0, "batch_axis": 1}
    yield Record("reverse_sequence", (In((4, 3, 2)), lengths), swapped, note="swapped")
    for upper in (True, False):
        for k in (-1, 0, 2):
            pair = (In((2, 3, 4)), In(values=k, dtype="int64"))
            yield Record("trilu", pair, {"upper": upper}, note=f"{upper}{k}")


def join_records() -> Iterator[Record]:
    yield Record("concatenate", ((In((2, 3)), In((4, 3)), In((1, 3))),))
    yield Record("concatenate", ((In((2, 3)), In((2, 1))),), {"axis": -1}, note="last")
    yield Record("concatenate", ((In((2, 3)),),), note="one")
    yield Record("concatenate", ((In((0, 3)), In((2, 3))),), note="empty")
    for axis in (0, 1, -1):
        yield Record(
            "stack", ((In((2, 3)), In((2, 3)), In((2, 3))),), {"axis": axis}, note=f"{axis}"
        )
    yield Record("split", (In((6, 2)),), {"indices_or_sections": 3})
    yield Record(
        "split", (In((2, 6)),), {"indices_or_sections": (1, 1, 4), "axis": -1}, note="cuts"
    )
    yield Record("split", (In((2, 6)),), {"indices_or_sections": 1, "axis": 1}, note="one")
    for indexing in ("ij", "xy"):
        vectors = (In((2,)), In((3,)), In(()))
        yield Record("meshgrid", (vectors,), {"indexing": indexing}, note=indexing)


def slice_records() -> Iterator[Record]:
    slices: list[dict[str, object]] = [
        {"begin": (1, 0), "end": (3, 9)},
        {"begin": (-2, 1), "end": (9, -1), "strides": (1, 2)},
        {"begin": (4,), "end": (-9,), "strides": (-2,)},
        {"begin": (3, 4), "end": (0, -6), "strides": (-1, -1)},
        {"begin": (1,), "end": (3,), "axes": (-1,)},
        {"begin": (2,), "end": (1,)},
        {"begin": (1, -2), "end": (2, -1), "slice_mode": "size"},
        {"begin": (-2,), "end": (2,), "slice_mode": "size", "axes": (1,)},
        {"begin": (0,), "end": (2**62,), "strides": (3,), "axes": (1,)},
    ]
    for k, attrs in enumerate(slices):
        yield Record("strided_slice", (In((5, 6)),), attrs, note=f"case{k}")
    yield Record("slice_like", (In((4, 5)), In((2, 3))))
    yield Record("slice_like", (In((4, 5)), In((2, 3))), {"axes": (1,)}, note="axes")


def index_records() -> Iterator[Record]:
    unknown = {"infer_any": "the number of coordinates is not known"}
    for mode in ("clip", "wrap", "fast"):
        reach = 0 if mode == "fast" else 6
        index = In((2, 3), "int32", -reach, 3 + reach)
        for axis in (None, 0, -1):
            attrs = {"axis": axis, "mode": mode}
            yield Record("take", (In((4, 5)), index), attrs, note=f"{mode}{axis}")
    yield Record("take", (In((4, 5)), In((), "int64", 0, 3)), {"axis": 0}, note="scalar")
    batch = {"axis": 1, "batch_dims": 1}
    yield Record("take", (In((2, 4, 3)), In((2, 5), "int32", 0, 3)), batch, note="batch")
    later = {"axis": 2, "batch_dims": 1}
    yield Record("take", (In((2, 3, 4)), In((2, 5), "int32", 0, 3)), later, note="batch-later")
    yield Record("gather", (In((4, 5)), In((2, 5), "int32", 0, 3)), {"axis": 0})
    yield Record("gather", (In((4, 5)), In((4, 3), "int64", 0, 4)), {"axis": -1}, note="last")
    index = In((2, 3), "int32", 0, 3)
    yield Record("gather_nd", (In((4, 5, 6)), index), skip=unknown)
    yield Record("gather_nd", (In((4, 5, 6)), index), {"index_rank": 2}, note="rank")
    index = In((1, 2, 3), "int32", 0, 3)
    yield Record("gather_nd", (In((2, 4, 5)), index), {"batch_dims": 1}, note="batch", skip=unknown)
    on, off = In(values=2.0), In(values=-1.0)
    for axis in (-1, 0, 1):
        attrs = {"depth": 5, "axis": axis, "dtype": "float32"}
        yield Record("one_hot", (In((2, 3), "int32", -1, 6), on, off), attrs, note=f"{axis}")
    attrs = {"depth": 3, "dtype": "int32"}
    yield Record("one_hot", (In((4,), "int64", 0, 2), on, off), attrs, note="int32")
    lengths = In(values=[1, 3, 0], dtype="int32")
    yield Record("sequence_mask", (In((4, 3, 2)), lengths))
    masked = {"axis": 1, "mask_value": -1.5}
    yield Record("sequence_mask", (In((3, 4)), lengths), masked, note="axis1")


def init_records() -> Iterator[Record]:
    yield Record("full", (In(values=3.5),), {"shape": (2, 3)})
    yield Record("full", (In(values=3.5),), {"shape": (), "dtype": "int32"}, note="int32")
    yield Record("full", (In(values=3.5),), {"shape": 4, "dtype": "bool"}, note="bool")
    yield Record("full_like", (In((2, 3)), In(values=3.5)))
    for op in ("zeros", "ones"):
        yield Record(op, (), {"shape": (2, 3), "dtype": "float32"})
        yield Record(op, (), {"shape": 3, "dtype": "int8"}, note="int8")
        yield Record(op, (), {"shape": (2, 0), "dtype": "bool"}, note="bool")
    for note, start, stop, step in (("up", 0, 5, 1), ("down", 3, -2.5, -0.5), ("none", 2, 1, 1)):
        attrs = {"start": start, "stop": stop, "step": step, "dtype": "float32"}
        yield Record("arange", (), attrs, note=note)
    yield Record("arange", (), {"start": 1, "stop": 9, "step": 2, "dtype": "int64"}, note="int64")


def convert_records() -> Iterator[Record]:
    dtypes = "bool uint8 int8 int32 int64 float16 float32 float64".split()
    for source in dtypes:
        for target in dtypes:
            data = In((3, 5), source, 0 if "uint" in target else -5, 5)
            yield Record("cast", (data,), {"dtype": target}, note=f"{source}-{target}")
    yield Record("cast", (In(values=[-1.9, 1.9, 0.5]),), {"dtype": "int32"}, note="truncates")
    yield Record("cast_like", (In((2, 3)), In((4,), "int32")))
    for op in ("cumsum", "cumprod"):
        for k, attrs in enumerate(
            ({"axis": 0}, {"axis": -1, "exclusive": True}, {}, {"axis": 1, "dtype": "float64"})
        ):
            tolerance = 1e-4
            yield Record(op, (In((3, 4)),), attrs, tolerance=tolerance, note=f"case{k}")
        yield Record(op, (In((3, 4), "int32", -3, 3),), {"axis": 0, "dtype": "int64"}, note="int")


def order_records() -> Iterator[Record]:
    holes = In(values=[[3.0, NAN, -INF, 1.0, NAN, 1.0, INF], [0.0, -0.0, 2.0, 2.0, 2.0, -1.0, 0.5]])
    for ascending in (True, False):
        order = {"is_ascend": ascending}
        for op in ("sort", "argsort", "topk"):
            extra = {"k": 3} if op == "topk" else {}
            note = f"{ascending}"
            ties = In((4, 7, 2), "int32", 0, 3)
            yield Record(op, (ties,), {**order, **extra, "axis": 1}, note=f"{note}-ties")
            yield Record(op, (In((3, 9)),), {**order, **extra}, note=note)
            if op != "sort":
                wide = {**order, **extra, "dtype": "int64"}
                yield Record(op, (In((2, 5)),), wide, note=f"{note}-int64")
        yield Record("sort", (holes,), order, note=f"{ascending}-special")
    for ret_type in ("values", "indices"):
        yield Record("topk", (In((3, 5)),), {"k": 2, "ret_type": ret_type}, note=ret_type)
    yield Record("topk", (In((3, 5)),), {"k": 0, "axis": 0}, note="all")
    for right in (False, True):
        steps = In(values=[1, 2, 2, 2, 5], dtype="int32")
        attrs = {"right": right, "dtype": "int64"}
        yield Record("searchsorted", (steps, In((3, 4), "int32", 0, 6)), attrs, note=f"{right}")
        rows = In(values=[[0.0, 0.5, 1.0], [-1.0, 0.0, 0.0]])
        yield Record("searchsorted", (rows, In((2, 5))), {"right": right}, note=f"{right}-rows")


def scatter_records() -> Iterator[Record]:
    product = {"gradient": "there is none where updates are multiplied"}
    for mode in ("update", "add", "mul", "min", "max"):
        for axis in (0, -1):
            index = In((3, 2), "int64", -2, 1)
            inputs = (In((4, 3)), index, In((3, 2)))
            attrs = {"axis": axis, "reduction": mode}
            skip = product if mode == "mul" else {}
            yield Record("scatter_elements", inputs, attrs, note=f"{mode}{axis}", skip=skip)
        points = In(values=[[0, 3, 0], [1, 1, 1]], dtype="int32")
        inputs = (In((4, 3)), points, In((3,)))
        number = {"infer_any": "the number of coordinates is not known"}
        number |= product if mode == "mul" else {}
        yield Record("scatter_nd", inputs, {"mode": mode}, note=mode, skip=number)
        rows = (In((4, 3)), In((1, 2, 2), "int32", 0, 3), In((2, 2, 3)))
        yield Record("scatter_nd", rows, {"mode": mode}, note=f"{mode}-rows", skip=number)
    rows = {
        "infer": "the number of rows is known only at run time",
        "compiled": "it ends on the host, which the virtual machine calls",
    }
    yield Record("argwhere", (In((3, 4), "int32", 0, 1),), skip=rows)
    yield Record("argwhere", (In((5,), "bool"),), skip=rows, note="vector")


RECORDS: list[Record] = [
    *unary_records(),
    *binary_records(),
    *reduce_records(),
    *shape_records(),
    *join_records(),
    *slice_records(),
    *index_records(),
    *init_records(),
    *convert_records(),
    *order_records(),
    *scatter_records(),
]
