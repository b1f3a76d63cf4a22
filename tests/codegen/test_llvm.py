"""Loop programs compiled by LLVM against NumPy: every operation, loop kind and access pattern."""

import ctypes
import math
import mmap

import numpy as np
import pytest

from relay import dtypes
from relay.codegen.llvm.host import host_target
from relay.codegen.llvm.jit import assembly_text, compile_kernels, llvm_text, run_func
from relay.loop.ir import Allocate, Block, Buffer, For, Func, If, Kind, Load, Store, block
from relay.loop.parser import parse
from relay.runtime.memory import aligned_empty
from relay.runtime.threads import get_num_threads, set_num_threads
from relay.support.errors import InternalError
from relay.te.expr import (
    Binary,
    Cast,
    Compare,
    Const,
    Select,
    Unary,
    Var,
    both,
    compare,
    const,
    maximum,
    minimum,
)

FLOATS = ["float32", "float64", "float16", "bfloat16"]
SIGNED = ["int8", "int16", "int32", "int64"]
UNSIGNED = ["uint8", "uint16", "uint32", "uint64"]
COMPUTED = [name for name in dtypes.NAMES if name not in dtypes.SMALL]
SERIAL, PARALLEL = Kind.SERIAL, Kind.PARALLEL
VECTORIZED, UNROLLED = Kind.VECTORIZED, Kind.UNROLLED


def store(buffer, indices, value, reduce=None):
    return Store(
        buffer, tuple(i if hasattr(i, "dtype") else const(i) for i in indices), value, reduce
    )


def load(buffer, *indices):
    return Load(buffer, tuple(i if hasattr(i, "dtype") else const(i) for i in indices))


def aligned(values, dtype):
    values = np.asarray(values)
    out = aligned_empty(values.shape, dtype)
    out[...] = values
    return out


def to_storage(values, dtype):
    """Float values as stored in `dtype`."""
    if dtype != "bfloat16":
        return np.asarray(values).astype(dtypes.to_numpy(dtype))
    bits = np.asarray(values, np.float32).view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded)


def to_value(stored, dtype):
    if dtype != "bfloat16":
        return stored
    return (stored.astype(np.uint32) << 16).view(np.float32)


def elementwise(build, inputs, dtype, lanes):
    """Apply ``build(*elements)`` to arrays of one length, a multiple of `lanes`."""
    n = len(inputs[0])
    buffers = [Buffer(f"x{i}", (n,), dtype) for i in range(len(inputs))]
    i, lane = Var("i"), Var("l")
    index = i * lanes + lane
    value = build(*[load(b, index) for b in buffers])
    out = Buffer("out", (n,), value.dtype)
    inner = For(lane, lanes, VECTORIZED, store(out, (index,), value))
    func = Func("f", (*buffers, out), For(i, n // lanes, SERIAL, inner))
    result = aligned_empty((n,), value.dtype)
    run_func(func, [*[aligned(x, dtype) for x in inputs], result])
    return result


def pairs(dtype):
    """Operand pairs with the values where things go wrong."""
    rng = np.random.default_rng(1)
    if dtypes.is_float(dtype):
        edge = np.array([0.0, -0.0, 1, -1, 2.5, -2.5, 0.5, np.inf, -np.inf, np.nan, 7.0, -7.0])
        a, b = (g.ravel() for g in np.meshgrid(edge, edge))
        a = np.concatenate([a, rng.normal(size=48) * 10])
        b = np.concatenate([b, rng.normal(size=48) * 3])
        return to_storage(a, dtype), to_storage(b, dtype)
    low, high = dtypes.integer_range(dtype)
    edge = np.array([low, low + 1, high, high - 1, 0, 1, 2, 3, 7, max(low, -1), max(low, -7), 100])
    a, b = (g.ravel() for g in np.meshgrid(edge.astype(dtype), edge.astype(dtype)))
    return a, b


def close(actual, expected, dtype):
    """Equal for integers and exact operations; within one unit of a narrow type's rounding."""
    if dtype == "bool":
        np.testing.assert_array_equal(actual, expected)
        return
    tolerance = {"float16": 2e-3, "bfloat16": 1e-2, "float32": 1e-6}.get(dtype, 1e-12)
    np.testing.assert_allclose(
        to_value(actual, dtype).astype(np.float64), expected.astype(np.float64), rtol=tolerance
    )


def float_floormod(a, b):
    r = np.fmod(a, b)
    return np.where((r != 0) & ((r < 0) != (b < 0)), r + b, r)


FLOAT_BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "min": np.minimum,
    "max": np.maximum,
    "floordiv": lambda a, b: np.floor(a / b),
    "truncdiv": lambda a, b: np.trunc(a / b),
    "truncmod": np.fmod,
    "floormod": float_floormod,
}


@pytest.mark.parametrize("lanes", [1, 12])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("op", FLOAT_BINARY)
def test_float_binary(op, dtype, lanes):
    a, b = pairs(dtype)
    wide = np.float64 if dtype == "float64" else np.float32
    x, y = to_value(a, dtype).astype(wide), to_value(b, dtype).astype(wide)
    with np.errstate(all="ignore"):
        expected = to_value(to_storage(FLOAT_BINARY[op](x, y), dtype), dtype)
    close(elementwise(lambda p, q: Binary(op, p, q), [a, b], dtype, lanes), expected, dtype)


def truncated_quotient(a, b):
    q = np.abs(a.astype(object)) // np.abs(b.astype(object))
    return np.where((a < 0) != (b < 0), -q, q)


def wrapped(values, dtype):
    low, high = dtypes.integer_range(dtype)
    return np.array([(int(v) - low) % (high - low + 1) + low for v in values], dtype)


INTEGER_BINARY = {
    "add": lambda a, b: a.astype(object) + b.astype(object),
    "sub": lambda a, b: a.astype(object) - b.astype(object),
    "mul": lambda a, b: a.astype(object) * b.astype(object),
    "min": np.minimum,
    "max": np.maximum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "floordiv": lambda a, b: a.astype(object) // b.astype(object),
    "floormod": lambda a, b: a.astype(object) % b.astype(object),
    "truncdiv": truncated_quotient,
    "div": truncated_quotient,
    "truncmod": lambda a, b: a.astype(object) - truncated_quotient(a, b) * b.astype(object),
}


@pytest.mark.parametrize("lanes", [1, 16])
@pytest.mark.parametrize("dtype", SIGNED + UNSIGNED)
@pytest.mark.parametrize("op", INTEGER_BINARY)
def test_integer_binary(op, dtype, lanes):
    a, b = pairs(dtype)
    actual = elementwise(lambda p, q: Binary(op, p, q), [a, b], dtype, lanes)
    usable = b != 0 if "div" in op or "mod" in op else np.ones(len(b), bool)
    expected = wrapped(INTEGER_BINARY[op](a[usable], b[usable]), dtype)
    np.testing.assert_array_equal(actual[usable], expected)


@pytest.mark.parametrize("divisor", [1, 2, 8, 7, -1, -3, 100])
@pytest.mark.parametrize("op", ["floordiv", "floormod", "truncdiv", "truncmod"])
def test_division_by_a_constant(op, divisor):
    a, _ = pairs("int32")
    b = np.full(len(a), divisor, "int32")
    actual = elementwise(lambda p: Binary(op, p, Const(divisor, "int32")), [a], "int32", 16)
    np.testing.assert_array_equal(actual, wrapped(INTEGER_BINARY[op](a, b), "int32"))


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint16", "int64"])
@pytest.mark.parametrize("op", ["shl", "shr"])
def test_shifts(op, dtype):
    a = np.array([1, 2, 100, 127, 64, 3, 77, 5] * 2, dtype)
    if dtypes.is_signed(dtype):
        a[::3] *= -1
    b = (np.arange(16) % dtypes.bits(dtype)).astype(dtype)
    expected = np.left_shift(a, b) if op == "shl" else np.right_shift(a, b)
    for lanes in (1, 16):
        actual = elementwise(lambda p, q: Binary(op, p, q), [a, b], dtype, lanes)
        np.testing.assert_array_equal(actual, expected)


def test_integer_power():
    a = np.array([2, 3, -2, 7, 0, 1, -1, 10] * 2, "int32")
    b = np.array([0, 1, 2, 3, 4, 5, 6, 9] * 2, "int32")
    for lanes in (1, 16):
        actual = elementwise(lambda p, q: Binary("pow", p, q), [a, b], "int32", lanes)
        np.testing.assert_array_equal(actual, a**b)
    cube = elementwise(lambda p: Binary("pow", p, Const(3, "int32")), [a], "int32", 16)
    np.testing.assert_array_equal(cube, a**3)


COMPARISONS = {
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}


@pytest.mark.parametrize("lanes", [1, 12])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "int8", "uint8", "int64"])
@pytest.mark.parametrize("op", COMPARISONS)
def test_compare(op, dtype, lanes):
    a, b = pairs(dtype)
    actual = elementwise(lambda p, q: Compare(op, p, q), [a, b], dtype, lanes)
    expected = COMPARISONS[op](to_value(a, dtype), to_value(b, dtype))
    np.testing.assert_array_equal(actual, expected)


FLOAT_UNARY = {
    "neg": np.negative,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.rint,
    "trunc": np.trunc,
    "sign": np.sign,
    "isnan": np.isnan,
    "isinf": np.isinf,
    "isfinite": np.isfinite,
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "sin": np.sin,
    "asin": np.arcsin,
    "acos": np.arccos,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
}


@pytest.mark.parametrize("lanes", [1, 12])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("op", FLOAT_UNARY)
def test_float_unary(op, dtype, lanes):
    a, _ = pairs(dtype)
    with np.errstate(all="ignore"):
        wide = FLOAT_UNARY[op](to_value(a, dtype).astype(np.float64))
        narrow = wide if wide.dtype == bool else to_value(to_storage(wide, dtype), dtype)
    actual = elementwise(lambda p: Unary(op, p), [a], dtype, lanes)
    close(actual, narrow, "bool" if wide.dtype == bool else dtype)


@pytest.mark.parametrize("lanes", [1, 16])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_error_function_of_narrow_types(dtype, lanes):
    """It is rounded correctly but where that is close, one at the ends, and odd."""
    values = np.concatenate([np.linspace(-4, 4, 4084), [0, -0.0, 1e-6, -1e-6, 3, -3, 100, -100]])
    a = to_storage(np.concatenate([values, np.full(2, [np.inf]), [-np.inf, np.nan]]), dtype)
    exact = np.array([math.erf(x) for x in to_value(a, dtype)])
    actual = to_value(elementwise(lambda p: Unary("erf", p), [a], dtype, lanes), dtype)
    step = {"float16": 2.0**-10, "bfloat16": 2.0**-7}[dtype]
    np.testing.assert_allclose(actual, exact, rtol=0.6 * step, atol=6e-8)
    np.testing.assert_array_equal(actual[-4:-1], [1, 1, -1])
    assert np.isnan(actual[-1])
    np.testing.assert_array_equal(np.signbit(actual[:-1]), np.signbit(to_value(a, dtype)[:-1]))


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint8", "int64"])
def test_integer_unary(dtype):
    a, _ = pairs(dtype)
    for op, function in {"neg": np.negative, "bitnot": np.invert, "sign": np.sign}.items():
        for lanes in (1, 16):
            actual = elementwise(lambda p, op=op: Unary(op, p), [a], dtype, lanes)
            np.testing.assert_array_equal(actual, function(a), err_msg=op)
    np.testing.assert_array_equal(elementwise(lambda p: Unary("abs", p), [a], dtype, 16), np.abs(a))


@pytest.mark.parametrize("lanes", [1, 16])
def test_logic(lanes):
    a = np.array([0, 0, 1, 1] * 4, bool)
    b = np.array([0, 1, 0, 1] * 4, bool)
    for op, expected in {
        "and": a & b,
        "or": a | b,
        "xor": a ^ b,
        "min": a & b,
        "max": a | b,
    }.items():
        actual = elementwise(lambda p, q, op=op: Binary(op, p, q), [a, b], "bool", lanes)
        np.testing.assert_array_equal(actual, expected, err_msg=op)
    np.testing.assert_array_equal(elementwise(lambda p: Unary("not", p), [a], "bool", lanes), ~a)


@pytest.mark.parametrize("lanes", [1, 16])
@pytest.mark.parametrize("target", COMPUTED)
@pytest.mark.parametrize("source", COMPUTED)
def test_cast(source, target, lanes):
    values = np.array([0, 1, 2, 3, 100, 5, 77, 42] * 2, np.float64)
    if source not in ("bool", *UNSIGNED) and target not in ("bool", *UNSIGNED):
        values[::2] *= -1
    if dtypes.is_float(source):
        values[1::2] += 0.75
    if source == "bool":
        values = (values > 2).astype(np.float64)
    a = to_storage(values, source)
    x = to_value(a, source)
    expected = x.astype(np.float64)
    expected = np.trunc(expected) if dtypes.is_integer(target) else expected
    expected = expected != 0 if target == "bool" else to_value(to_storage(expected, target), target)
    actual = elementwise(lambda p: Cast(target, p), [a], source, lanes)
    np.testing.assert_array_equal(to_value(actual, target), expected)


# ---------------------------------------------------------------------- access patterns


def vector_access(pattern, size, lanes=16):
    """``out[l] = x[pattern(l)]`` over one vector."""
    x, out, lane = Buffer("x", (size,), "float32"), Buffer("out", (lanes,), "float32"), Var("l")
    body = For(lane, lanes, VECTORIZED, store(out, (lane,), load(x, pattern(lane))))
    values, result = aligned(np.arange(size), "float32"), aligned_empty((lanes,), "float32")
    run_func(Func("f", (x, out), body), [values, result])
    return result


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5, -1, -2])
@pytest.mark.parametrize("lanes", [4, 7, 16])
def test_strided_loads(stride, lanes):
    first = 0 if stride > 0 else -stride * (lanes - 1)
    actual = vector_access(lambda v: v * stride + first, abs(stride) * (lanes - 1) + 1, lanes)
    np.testing.assert_array_equal(actual, np.arange(lanes) * stride + first)


@pytest.mark.parametrize(
    ("pattern", "reference"),
    [
        (lambda v: v // 4, lambda i: i // 4),
        (lambda v: v % 4, lambda i: i % 4),
        (lambda v: v % 4 * 8 + v // 4, lambda i: i % 4 * 8 + i // 4),
        (lambda v: v * v, lambda i: i * i),
        (lambda v: minimum(v, 9), lambda i: np.minimum(i, 9)),
        (lambda v: (v + 16) // 16, lambda i: (i + 16) // 16),
        (lambda _: const(3), lambda i: i * 0 + 3),
    ],
)
def test_gathers(pattern, reference):
    np.testing.assert_array_equal(vector_access(pattern, 256), reference(np.arange(16)))


def test_indirect_load_and_scatter():
    x, idx = Buffer("x", (10, 4), "float32"), Buffer("idx", (16,), "int32")
    out, lane = Buffer("out", (16, 3), "float32"), Var("l")
    row = Cast("int64", load(idx, lane))
    body = For(lane, 16, VECTORIZED, store(out, (lane, 1), load(x, row, 2)))
    values = aligned(np.arange(40).reshape(10, 4), "float32")
    rows = aligned(np.arange(16) * 7 % 10, "int32")
    result = aligned(np.zeros((16, 3)), "float32")
    run_func(Func("f", (x, idx, out), body), [values, rows, result])
    np.testing.assert_array_equal(result[:, 1], values[rows, 2])
    assert not result[:, [0, 2]].any()


def test_lane_as_data():
    out, i, lane = Buffer("out", (4, 16), "int64"), Var("i"), Var("l")
    value = i * 100 + lane * 3
    body = For(i, 4, SERIAL, For(lane, 16, VECTORIZED, store(out, (i, lane), value)))
    result = aligned_empty((4, 16), "int64")
    run_func(Func("f", (out,), body), [result])
    np.testing.assert_array_equal(result, np.arange(4)[:, None] * 100 + np.arange(16) * 3)


def test_int64_data_wraps_around():
    a = np.array([2**62, -(2**63), 5, 7], np.int64)
    actual = elementwise(lambda p: p * 2 + p, [a], "int64", 4)
    np.testing.assert_array_equal(actual, wrapped([int(v) * 3 for v in a], "int64"))


# ---------------------------------------------------------------------- select


@pytest.fixture
def guarded():
    """An array at the very end of a readable page: reading beyond it is a crash."""
    size = mmap.PAGESIZE
    area = mmap.mmap(-1, 2 * size)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    libc = ctypes.CDLL(None)
    libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    assert libc.mprotect(start + size, size, 0) == 0
    whole = np.frombuffer(area, np.float32, size // 4)
    yield whole[-16:]
    assert libc.mprotect(start + size, size, 3) == 0


@pytest.mark.parametrize("kind", [VECTORIZED, SERIAL, UNROLLED])
@pytest.mark.parametrize("stride", [1, -1, 2, 5, 0])
def test_select_does_not_read_the_other_side(guarded, kind, stride):
    guarded[:] = np.arange(16)
    x, out = Buffer("x", (16,), "float32"), Buffer("out", (64,), "float32")
    i, lane = Var("i"), Var("l")
    n = i * 16 + lane
    # Row 0 is partly inside, the others are far out of bounds.
    index = n * stride + 8 if stride >= 0 else const(12) - n
    inside = both(compare("ge", index, 0), compare("lt", index, 16), compare("lt", n, 16))
    value = Select(inside, load(x, index), Const(-1.0, "float32"))
    body = For(i, 4, SERIAL, For(lane, 16, kind, store(out, (n,), value)))
    result = aligned_empty((64,), "float32")
    run_func(Func("f", (x, out), body), [guarded, result])
    where = np.arange(64) * stride + 8 if stride >= 0 else 12 - np.arange(64)
    expected = np.where((where >= 0) & (where < 16) & (np.arange(64) < 16), where, -1)
    np.testing.assert_array_equal(result, expected)


def test_select_far_out_of_bounds():
    x, out, i, lane = (
        Buffer("x", (8,), "float32"),
        Buffer("o", (64,), "float32"),
        Var("i"),
        Var("l"),
    )
    n = i * 16 + lane
    far = n * 1_000_000_000
    nested = Select(compare("lt", n, 4), load(x, n), load(x, n - 4))
    value = Select(compare("lt", n, 1), load(x, far), Select(compare("lt", n, 12), nested, nested))
    value = Select(compare("lt", n, 12), value, Unary("neg", Cast("float32", n)))
    result, values = aligned_empty((64,), "float32"), aligned(np.arange(8) + 1, "float32")
    for kind in (VECTORIZED, SERIAL):
        body = For(i, 4, SERIAL, For(lane, 16, kind, store(out, (n,), value)))
        run_func(Func("f", (x, out), body), [values, result])
        k = np.arange(64)
        expected = np.where(k < 4, k + 1, np.where(k < 12, k - 3, -k))
        np.testing.assert_array_equal(result, expected)


def test_select_masks_indirect_loads():
    x, idx, out, lane = (
        Buffer("x", (4,), "float32"), Buffer("idx", (8,), "int64"),
        Buffer("o", (16,), "float32"), Var("l"),
    )  # fmt: skip
    value = Select(compare("lt", lane, 8), load(x, load(idx, lane)), Const(0.0, "float32"))
    result = aligned_empty((16,), "float32")
    rows = aligned(np.arange(8) % 4, "int64")
    body = For(lane, 16, VECTORIZED, store(out, (lane,), value))
    run_func(Func("f", (x, idx, out), body), [aligned(np.arange(4), "float32"), rows, result])
    np.testing.assert_array_equal(result, [0, 1, 2, 3, 0, 1, 2, 3] + [0] * 8)


def test_deep_expression():
    x, out = Buffer("x", (4,), "float32"), Buffer("o", (4,), "float32")
    i = Var("i")
    value = load(x, i)
    for k in range(3000):
        value = Select(compare("lt", i, k), load(x, i), value + 1.0) if k % 50 == 0 else value + 1.0
    result = aligned_empty((4,), "float32")
    llvm_text([Func("f", (x, out), For(i, 4, SERIAL, store(out, (i,), value)))], host_target())
    shared = load(x, i)
    for _ in range(60):
        shared = shared * 0.5 + shared * 0.5
    body = For(i, 4, SERIAL, store(out, (i,), shared))
    run_func(Func("f", (x, out), body), [aligned(np.ones(4), "float32"), result])
    np.testing.assert_array_equal(result, 1)


# ---------------------------------------------------------------------- statements


@pytest.mark.parametrize("kind", ["sum", "prod", "min", "max"])
@pytest.mark.parametrize("dtype", ["float32", "int32", "float16"])
def test_reductions(kind, dtype):
    rng = np.random.default_rng(0)
    data = rng.integers(1, 4, (8, 32)).astype(dtype)
    x, out, r, i, lane = (
        Buffer("x", (8, 32), dtype), Buffer("o", (32,), dtype), Var("r"), Var("i"), Var("l"),
    )  # fmt: skip
    step = For(r, 8, SERIAL, store(out, (i * 16 + lane,), load(x, r, i * 16 + lane), kind))
    over_lanes = For(
        r,
        8,
        SERIAL,
        For(lane, 16, VECTORIZED, store(out, (i * 16 + lane,), load(x, r, i * 16 + lane), kind)),
    )
    start = {"sum": 0, "prod": 1, "min": 9, "max": 0}[kind]
    function = {"sum": np.sum, "prod": np.prod, "min": np.min, "max": np.max}[kind]
    for body in (For(i, 2, SERIAL, over_lanes), For(i, 2, SERIAL, For(lane, 16, SERIAL, step))):
        result = aligned(np.full(32, start), dtype)
        run_func(Func("f", (x, out), body), [aligned(data, dtype), result])
        np.testing.assert_array_equal(result, function(data, axis=0).astype(dtype))


def test_max_reduction_keeps_nan():
    data = np.zeros((8, 16), np.float32)
    data[0, 3] = data[7, 5] = data[4, 9] = np.nan
    x, out, r, lane = (
        Buffer("x", (8, 16), "float32"),
        Buffer("o", (16,), "float32"),
        Var("r"),
        Var("l"),
    )
    body = For(
        r, 8, SERIAL, For(lane, 16, VECTORIZED, store(out, (lane,), load(x, r, lane), "max"))
    )
    result = aligned(np.full(16, -np.inf), "float32")
    run_func(Func("f", (x, out), body), [aligned(data, "float32"), result])
    np.testing.assert_array_equal(result, data.max(axis=0))


def test_any_and_all():
    data = np.array([[1, 0, 1, 0], [1, 0, 0, 0]], bool)
    x, out, r, lane = Buffer("x", (2, 4), "bool"), Buffer("o", (4,), "bool"), Var("r"), Var("l")
    for kind, start, expected in (("any", 0, data.any(0)), ("all", 1, data.all(0))):
        body = For(
            r, 2, SERIAL, For(lane, 4, VECTORIZED, store(out, (lane,), load(x, r, lane), kind))
        )
        result = aligned(np.full(4, start), "bool")
        run_func(Func("f", (x, out), body), [aligned(data, "bool"), result])
        np.testing.assert_array_equal(result, expected)


def matmul_tile(rows, vectors, depth):
    """``c[p] = max(a.T @ b, 0)`` on a tile of accumulators, four times in parallel."""
    columns = 16 * vectors
    a, b = Buffer("a", (depth, rows), "float32"), Buffer("b", (depth, columns), "float32")
    c, acc = Buffer("c", (4, rows, columns), "float32"), Buffer("acc", (rows, columns), "float32")
    p, k = Var("p"), Var("k")

    def tile(body):
        i, j, lane = Var("i"), Var("j"), Var("l")
        inner = For(lane, 16, VECTORIZED, body(i, j * 16 + lane))
        return For(i, rows, UNROLLED, For(j, vectors, UNROLLED, inner))

    body = block(
        tile(lambda i, j: store(acc, (i, j), Const(0.0, "float32"))),
        For(
            k,
            depth,
            SERIAL,
            tile(lambda i, j: store(acc, (i, j), load(a, k, i) * load(b, k, j), "sum")),
        ),
        tile(lambda i, j: store(c, (p, i, j), maximum(load(acc, i, j), 0.0))),
    )
    return Func("tile", (a, b, c), For(p, 4, PARALLEL, Allocate(acc, body)))


def test_accumulator_tile():
    func = matmul_tile(14, 2, 64)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(64, 14)), rng.normal(size=(64, 32))
    x, y, result = (
        aligned(a, "float32"),
        aligned(b, "float32"),
        aligned_empty((4, 14, 32), "float32"),
    )
    run_func(func, [x, y, result])
    expected = np.maximum(x.T @ y, 0)
    for copy in result:
        np.testing.assert_allclose(copy, expected, rtol=1e-4, atol=1e-4)


def test_accumulator_tile_lives_in_registers():
    if not host_target().has("avx512f"):
        pytest.skip("looks at AVX-512 assembly")
    text = assembly_text([matmul_tile(14, 2, 64)], host_target())
    lines = text.splitlines()
    fused = [n for n, line in enumerate(lines) if "vfmadd" in line]
    assert len(fused) == 28
    loop = lines[fused[0] : fused[-1]]
    assert not any("%rsp" in line or "(%rbp)" in line for line in loop)


def test_branches_and_nested_parallel():
    x, out = Buffer("x", (3, 8), "float32"), Buffer("o", (3, 8), "float32")
    scratch = Buffer("s", (8,), "float32")
    o, i, j = Var("o"), Var("i"), Var("j")
    fill = For(j, 8, SERIAL, store(scratch, (j,), load(x, o, j) * 2.0))
    inner = If(
        compare("lt", i, 4),
        store(out, (o, i), load(scratch, i)),
        store(out, (o, i), Cast("float32", o) - load(scratch, i)),
    )
    body = Allocate(scratch, Block((fill, For(i, 8, PARALLEL, inner))))
    skip = If(
        compare("ne", o, 1), body, For(j, 8, SERIAL, store(out, (o, j), Const(7.0, "float32")))
    )
    values, result = (
        aligned(np.arange(24).reshape(3, 8), "float32"),
        aligned_empty((3, 8), "float32"),
    )
    run_func(Func("f", (x, out), For(o, 3, SERIAL, skip)), [values, result])
    expected = np.where(np.arange(8) < 4, values * 2, np.arange(3)[:, None] - values * 2)
    expected[1] = 7
    np.testing.assert_array_equal(result, expected)


def test_workspace_and_two_stages():
    x, out, work = (Buffer(n, (64,), "float32") for n in ("x", "o", "w"))
    i, j = Var("i"), Var("j")
    body = block(
        For(i, 64, PARALLEL, store(work, (i,), load(x, i) + 1.0)),
        For(j, 64, PARALLEL, store(out, (j,), load(work, const(63) - j))),
    )
    values, result = aligned(np.arange(64), "float32"), aligned_empty((64,), "float32")
    func = Func("f", (x, out), body, (work,))
    run_func(func, [values, result, aligned_empty((64,), "float32")])
    np.testing.assert_array_equal(result, (values + 1)[::-1])


def test_scratch_memory_beyond_the_stack():
    """Blocks of 16 MiB, several at once, from threads that give them back and take them again."""
    func = parse(
        """
        func @f(x: float32[8, 4]) -> (out: float32[8, 4]) {
          parallel i < 8 {
            alloc big: float32[2, 1024, 2048]
            alloc more: float32[1024, 64]
            for j < 4 {
              big[1, 1023, 2047 - j] = x[i, j]
              more[1023, j] = x[i, j]
            }
            for k < 4 { out[i, k] = big[1, 1023, 2047 - k] + more[1023, k] }
          }
        }
        """
    )
    x = aligned(np.arange(32).reshape(8, 4), "float32")
    for _ in range(3):
        out = aligned_empty((8, 4), "float32")
        run_func(func, [x, out])
        np.testing.assert_array_equal(out, 2 * x)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 37, 100])
def test_every_iteration_runs_once_in_either_direction(threads, count):
    """Every other job goes through its iterations from the end."""
    out, i = Buffer("o", (count,), "float32"), Var("i")
    one = Store(out, (i,), Const(1.0, "float32"), "sum")
    func = Func("f", (out,), For(i, count, PARALLEL, one))
    before = get_num_threads()
    set_num_threads(threads)
    result = aligned(np.zeros(count), "float32")
    for runs in (1, 2, 3, 4):
        run_func(func, [result])
        np.testing.assert_array_equal(result, runs)
    set_num_threads(before)


def test_loads_look_ahead_once_and_past_the_end():
    """A hint for each place, however often unrolled loops load from it."""
    func = parse(
        """
        func @f(x: float32[4, 16]) -> (out: float32[3, 16]) {
          for k < 4 {
            unrolled i < 3 { vectorized j < 16 { out[i, j] += x[k, j] ahead 32 } }
          }
        }
        """
    )
    assert llvm_text([func], host_target()).count("call void @llvm.prefetch") == 1
    x = aligned(np.arange(64).reshape(4, 16), "float32")
    out = aligned(np.zeros((3, 16)), "float32")
    run_func(func, [x, out])
    np.testing.assert_array_equal(out, np.tile(x.sum(0), (3, 1)))


def test_prefetch_follows_the_parallel_loop():
    """A step of the parallel loop ahead is a step behind where that loop runs backwards."""
    func = parse(
        """
        func @f(x: float32[4, 16]) -> (out: float32[4, 16]) {
          parallel i < 4 { vectorized j < 16 { out[i, j] = x[i, j] ahead 16 } }
        }
        """
    )
    text = llvm_text([func], host_target())
    assert text.count("call void @llvm.prefetch") == 1
    assert "mul nsw i64 %step, 16" in text
    x = aligned(np.arange(64).reshape(4, 16), "float32")
    for _ in range(2):
        out = aligned(np.zeros((4, 16)), "float32")
        run_func(func, [x, out])
        np.testing.assert_array_equal(out, x)


def test_same_bits_for_any_number_of_threads():
    func = matmul_tile(6, 2, 33)
    rng = np.random.default_rng(0)
    x, y = (
        aligned(rng.normal(size=(33, 6)), "float32"),
        aligned(rng.normal(size=(33, 32)), "float32"),
    )
    before, results = get_num_threads(), []
    for threads in (1, 2, 3, 7):
        set_num_threads(threads)
        result = aligned_empty((4, 6, 32), "float32")
        run_func(func, [x, y, result])
        results.append(result.tobytes())
    set_num_threads(before)
    assert len(set(results)) == 1


def test_empty_and_single_loops():
    out, i, j = Buffer("o", (4,), "float32"), Var("i"), Var("j")
    body = block(
        For(i, 0, SERIAL, store(out, (i,), Const(1.0, "float32"))),
        For(i, 0, PARALLEL, store(out, (i,), Const(1.0, "float32"))),
        For(j, 1, PARALLEL, store(out, (j + 2,), Const(5.0, "float32"))),
    )
    result = aligned(np.zeros(4), "float32")
    run_func(Func("f", (out,), body), [result])
    np.testing.assert_array_equal(result, [0, 0, 5, 0])


def test_a_uniform_store_in_a_vectorized_loop_is_refused():
    out, lane = Buffer("o", (4,), "float32"), Var("l")
    func = Func("f", (out,), For(lane, 4, VECTORIZED, store(out, (0,), Const(1.0, "float32"))))
    with pytest.raises(InternalError, match="one place"):
        compile_kernels([func], host_target())


def test_narrower_instruction_sets():
    host = host_target()
    if not host.triple.startswith("x86_64"):
        pytest.skip("restricts an x86-64 CPU")
    narrow = host.with_features("sse2")
    func = matmul_tile(4, 1, 16)
    x, y = aligned(np.ones((16, 4)), "float32"), aligned(np.ones((16, 16)), "float32")
    result = aligned_empty((4, 4, 16), "float32")
    run_func(func, [x, y, result], narrow)
    np.testing.assert_array_equal(result, 16)
    assert "ymm" not in assembly_text([func], narrow)


@pytest.mark.parametrize("width", ["sse2", "avx2"])
def test_float16_on_narrower_instruction_sets(width):
    host = host_target()
    if not host.triple.startswith("x86_64"):
        pytest.skip("restricts an x86-64 CPU")
    target = host.with_features(*(["sse2"] if width == "sse2" else ["avx2", "fma", "f16c"]))
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    x, wide = Buffer("x", (65536,), "float16"), Buffer("w", (65536,), "float32")
    back, i, lane = Buffer("b", (65536,), "float16"), Var("i"), Var("l")
    n = i * 16 + lane
    value = Cast("float32", load(x, n))
    stores = block(store(wide, (n,), value), store(back, (n,), Cast("float16", value * 0.3)))
    body = For(i, 4096, SERIAL, For(lane, 16, VECTORIZED, stores))
    results = aligned_empty((65536,), "float32"), aligned_empty((65536,), "float16")
    run_func(
        Func("f", (x, wide, back), body, outputs=2), [aligned(every, "float16"), *results], target
    )
    np.testing.assert_array_equal(results[0], every.astype(np.float32))
    expected = (every.astype(np.float32) * np.float32(0.3)).astype(np.float16)
    np.testing.assert_array_equal(results[1], expected)
