"""Records of the operators on quantised values."""

from collections.abc import Mapping

from op.record import In, Record

EXEMPT: dict[str, str] = {}


def _scale(*values: float) -> In:
    """One scale, or a vector of them."""
    return In(values=values[0] if len(values) == 1 else list(values))


def _zero(*values: int) -> In:
    """One zero point, or a vector of them."""
    return In(values=values[0] if len(values) == 1 else list(values), dtype="int32")


def _int8(*shape: int) -> In:
    return In(shape, "int8", -128, 127)


def _uint8(*shape: int) -> In:
    return In(shape, "uint8", 0, 255)


def _int32(*shape: int) -> In:
    return In(shape, "int32", -20000, 20000)


def _requantized(data: In, *parameters: In, note: str = "", **attrs: object) -> Record:
    return Record("qnn.requantize", (data, *parameters), attrs, note=note)


def _binary(op: str, lhs: In, rhs: In, *parameters: In, note: str = "", **attrs: object) -> Record:
    given = parameters or (_scale(0.05), _zero(3), _scale(0.02), _zero(-7), _scale(0.1), _zero(1))
    return Record(op, (lhs, rhs, *given), attrs, note=note)


def _product(
    op: str,
    data: In,
    weight: In,
    zeros: tuple[In, In],
    attrs: Mapping[str, object] | None = None,
    note: str = "",
    scales: tuple[In, In] | None = None,
) -> Record:
    given = scales or (_scale(0.5), _scale(0.25))
    return Record(op, (data, weight, *zeros, *given), attrs or {}, note=note)


_FLOATS = In((3, 4), "float32", -15.0, 15.0)
_NONE = (_zero(0), _zero(0))
_BOTH = (_zero(5), _zero(-3))
_COARSE = (_scale(0.51, 0.33, 1.7), _zero(1, -2, 3))
_PER_AXIS = (_scale(0.5, 0.01, 1.7), _zero(1, -2, 3))

RECORDS: list[Record] = [
    Record("qnn.quantize", (_FLOATS, _scale(0.1), _zero(4))),
    Record("qnn.quantize", (_FLOATS, _scale(0.1), _zero(100)), {"out_dtype": "uint8"}, note="u8"),
    Record("qnn.quantize", (_FLOATS, *_PER_AXIS), {"axis": 0}, note="axis"),
    Record("qnn.quantize", (_FLOATS, _scale(1e-9), _zero(0)), {"out_dtype": "int32"}, note="wide"),
    Record("qnn.quantize", (In((), "float32"), _scale(0.1), _zero(0)), note="number"),
    Record("qnn.dequantize", (_int8(3, 4), _scale(0.1), _zero(4))),
    Record("qnn.dequantize", (_uint8(3, 4), *_PER_AXIS), {"axis": 0}, note="axis"),
    Record("qnn.dequantize", (_int32(3, 4), _scale(0.1), _zero(4)), note="int32"),
    Record(
        "qnn.dequantize", (_int8(3, 4), _scale(0.1), _zero(4)), {"out_dtype": "float16"},
        tolerance=1e-3, note="f16",
    ),
    _requantized(_int32(4, 8), _scale(0.01), _zero(0), _scale(0.9), _zero(3)),
    _requantized(_int32(4, 8), _scale(0.01), _zero(5), _scale(0.003), _zero(3), note="up"),
    _requantized(
        _int8(4, 8), _scale(0.2), _zero(-5), _scale(0.2), _zero(9), out_dtype="uint8", note="u8"
    ),
    _requantized(_int32(4, 8), _scale(1e-12), _zero(0), _scale(1.0), _zero(3), note="tiny"),
    _requantized(
        In(values=[-(2**31), -5, 5, 2**31 - 1], dtype="int32"),
        *(_scale(700.0), _zero(0), _scale(1.0), _zero(0)), note="huge",
    ),
    _requantized(
        _int32(2, 3, 5),
        *(_scale(0.011, 0.03, 2.0), _zero(0), _scale(1.0), _zero(3)), axis=1, note="axis",
    ),
    _requantized(
        _int32(3, 5),
        *(_scale(0.011, 0.03, 2.0), _zero(7, 8, 9), _scale(1.0), _zero(3)),
        axis=0, rounding="TONEAREST", note="axis-nearest",
    ),
    *(
        _requantized(
            In(values=[-100, -5, -3, -1, 0, 1, 3, 5, 99], dtype="int32"),
            *(_scale(0.5), _zero(0), _scale(1.0), _zero(2)),
            rounding=rounding, compute_dtype=dtype, out_dtype=out, note=f"{rounding}-{dtype}-{out}",
        )
        for rounding in ("UPWARD", "TONEAREST")
        for dtype in ("int64", "float32", "float64")
        for out in ("int8", "int32")
    ),
    *(
        _binary(f"qnn.{op}", lhs, rhs, note=note)
        for lhs, rhs, note in ((_int8(3, 4), _int8(3, 4), ""), (_uint8(3, 4), _uint8(4), "u8"))
        for op in ("add", "subtract", "mul")
    ),
    _binary(
        "qnn.add", _int8(2, 3, 4), _int8(3, 1),
        *(*_PER_AXIS, *_PER_AXIS, _scale(0.4), _zero(0)), lhs_axis=1, rhs_axis=0, note="axis",
    ),
    _binary(
        "qnn.mul", _int8(2, 3, 4), _int8(3, 1),
        *(_scale(0.1), _zero(2), *_PER_AXIS, _scale(0.4), _zero(0)), rhs_axis=0, note="axis",
    ),
    Record(
        "qnn.concatenate",
        (
            (_uint8(2, 3), _uint8(2, 5)), (_scale(0.1), _scale(0.3)), (_zero(3), _zero(8)),
            _scale(0.2), _zero(1),
        ),
        {"axis": 1},
    ),
    *(
        Record(
            f"qnn.{name}", (data, _scale(0.03), _zero(zero), _scale(0.05), _zero(-10)), note=note
        )
        for name in (
            "abs", "exp", "sqrt", "rsqrt", "log", "erf", "sigmoid", "tanh", "hardswish",
            "leaky_relu", "softmax",
        )
        for data, zero, note in ((_int8(3, 5), 4, ""), (In((7,), "int16", -300, 300), -3, "int16"))
    ),
    Record(
        "qnn.leaky_relu",
        (_uint8(3, 5), _scale(0.3), _zero(130), _scale(0.3), _zero(120)),
        {"alpha": 0.1}, note="u8",
    ),
    Record(
        "qnn.softmax",
        (_int8(3, 5), _scale(0.03), _zero(0), _scale(1 / 256), _zero(-128)), {"axis": 0}, note="0",
    ),
]  # fmt: skip

RECORDS += [
    *(
        _product("qnn.dense", data, _int8(5, 8), zeros, note=note)
        for data, zeros, note in (
            (_int8(4, 8), _NONE, ""), (_uint8(4, 8), _BOTH, "both"),
            (_int8(4, 8), (_zero(2), _zero(0)), "data"), (_int8(8), (_zero(0), _zero(2)), "weight"),
            (_uint8(2, 3, 8), (_zero(7), _zero(1, 2, 3, 0, -4)), "vector"),
        )
    ),
    _product("qnn.contrib_dense_pack", _uint8(4, 8), _int8(6, 8), _BOTH),
    _product(
        "qnn.contrib_dense_pack", _uint8(4, 8), _int8(3, 8, 2), _BOTH,
        {"weight_layout": "NC2n", "units": 6}, "blocked",
    ),
    *(
        _product("qnn.batch_matmul", a, b, _BOTH, attrs, note)
        for a, b, attrs, note in (
            (_int8(2, 3, 4), _uint8(2, 5, 4), {}, ""),
            (_int8(2, 4, 3), _int8(1, 4, 5), {"transpose_a": True, "transpose_b": False}, "turned"),
        )
    ),
    *(
        _product("qnn.conv2d", data, weight, zeros, attrs, note)
        for data, weight, zeros, attrs, note in (
            (_int8(1, 3, 6, 6), _int8(4, 3, 3, 3), _NONE, {"padding": 1}, ""),
            (_uint8(1, 3, 6, 6), _int8(4, 3, 3, 3), _BOTH, {"padding": (1, 0, 2, 1)}, "both"),
            (_uint8(1, 3, 6, 6), _int8(4, 3, 3, 3), (_zero(9), _zero(0)), {"strides": 2}, "data"),
            (
                _int8(2, 4, 6, 6), _int8(6, 2, 3, 3), (_zero(3), _zero(1, 2, 3, 4, 5, 6)),
                {"groups": 2, "dilation": 2, "padding": 2}, "groups",
            ),
            (
                _uint8(1, 6, 6, 4), _int8(3, 3, 4, 1), _BOTH,
                {"groups": 4, "data_layout": "NHWC", "kernel_layout": "HWOI", "padding": 1},
                "depthwise",
            ),
            (
                _uint8(1, 6, 6, 4), _int8(3, 3, 2, 4), _BOTH,
                {"groups": 4, "data_layout": "NHWC", "kernel_layout": "HWIO", "padding": 1},
                "multiplier",
            ),
            (
                _uint8(1, 2, 6, 6, 4), _int8(1, 2, 3, 3, 4, 4), _BOTH,
                {"data_layout": "NCHW4c", "kernel_layout": "OIHW4i4o", "padding": 1}, "blocked",
            ),
        )
    ),
    _product(
        "qnn.conv2d", _int8(1, 3, 4, 4), _int8(2, 3, 1, 1), _BOTH, note="scales",
        scales=(_scale(0.5), _scale(0.25, 0.5)),
    ),
    _product("qnn.conv2d_transpose", _uint8(1, 3, 4, 4), _int8(3, 2, 3, 3), _BOTH),
    _product(
        "qnn.conv2d_transpose", _int8(1, 4, 4, 3), _int8(3, 3, 2, 3), (_zero(3), _zero(0)),
        {
            "data_layout": "NHWC", "kernel_layout": "HWOI", "strides": 2, "padding": 1,
            "output_padding": 1,
        },
        "strides",
    ),
    Record(
        "qnn.avg_pool2d",
        (_uint8(1, 2, 5, 5), _scale(0.1), _zero(3), _scale(0.07), _zero(9)),
        {"pool_size": 3, "padding": 1, "strides": 2},
    ),
    Record(
        "qnn.avg_pool2d",
        (_int8(1, 4, 4, 2), _scale(0.1), _zero(3), _scale(0.1), _zero(3)),
        {"pool_size": 2, "padding": 1, "layout": "NHWC", "count_include_pad": True},
        note="NHWC",
    ),
    *(
        Record(
            f"qnn.simulated_{op}",
            (_FLOATS, In(values=code, dtype="int32"), *parameters), {"axis": 0}, note=note,
        )
        for op in ("quantize", "dequantize")
        for code, parameters, note in (
            (1, (_scale(0.093), _zero(4)), ""), (2, _PER_AXIS, "u8"), (3, _COARSE, "int32"),
            (0, (_scale(0.1), _zero(4)), "off"),
        )
    ),
]  # fmt: skip
