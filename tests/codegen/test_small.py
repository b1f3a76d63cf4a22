"""Small data types in compiled loops, against the reference meaning of the same loops."""

import numpy as np
import pytest

from codegen.test_llvm import elementwise, load, store
from relay import codes, dtypes
from relay.loop.interp import run
from relay.loop.ir import Buffer, For, Func, Kind
from relay.te.expr import Cast, Compare, Expr, Unary, Var, binary, const, select

SMALL = sorted(dtypes.SMALL)
LANES = 16


def sample(dtype: str) -> np.ndarray:
    """Elements as they are stored: all of a small type, odd and ordinary ones of the others."""
    rng = np.random.default_rng(5)
    if dtype in dtypes.SMALL_INTEGERS:
        low, high = dtypes.integer_range(dtype)
        return np.resize(np.arange(low, high + 1), LANES).astype(dtypes.to_numpy(dtype))
    if dtype in dtypes.SMALL_FLOATS:
        return np.arange(max(LANES, 1 << dtypes.width(dtype))).astype(np.uint8) & (
            (1 << dtypes.width(dtype)) - 1
        )
    if dtypes.is_float(dtype):
        bits = rng.integers(0, 1 << 32, 4096, dtype=np.uint32).view(np.float32)
        usual = rng.standard_normal(4096) * 2.0 ** rng.integers(-20, 20, 4096)
        edges = np.concatenate([codes._bounds(n) for n in codes.FORMATS])
        edges = np.concatenate([np.nextafter(edges, 0), edges, np.nextafter(edges, 1e9)])
        special = [0, -0.0, np.inf, -np.inf, np.nan]
        values = np.concatenate([bits, usual, edges, -edges, special]).astype(np.float64)
        values = np.resize(values, len(values) // LANES * LANES + LANES)
        with np.errstate(over="ignore"):
            return codes.encode(values, dtype)
    low, high = (0, 1) if dtype == "bool" else dtypes.integer_range(dtype)
    values = rng.integers(max(low, -300), min(high, 300), 256, endpoint=True)
    return values.astype(dtypes.to_numpy(dtype))


def compiled_and_interpreted(value_of, given: np.ndarray, dtype: str):
    """Both meanings of one expression on every element of `given`."""
    compiled = elementwise(value_of, [given], dtype, LANES)
    x, i = Buffer("x", (len(given),), dtype), Var("i")
    value: Expr = value_of(load(x, i))
    out = Buffer("out", (len(given),), value.dtype)
    (expected,) = run(
        Func("f", (x, out), For(i, len(given), Kind.SERIAL, store(out, (i,), value))), given
    )
    return compiled, expected, value.dtype


def same(found: np.ndarray, expected: np.ndarray, dtype: str) -> None:
    """Equal values; of NaN there may be several."""
    np.testing.assert_array_equal(codes.decode(found, dtype), codes.decode(expected, dtype))


@pytest.mark.parametrize("small", SMALL)
def test_from_small(small: str) -> None:
    given = sample(small)
    values = codes.decode(given, small)
    for target in dtypes.NAMES:
        kept = given
        if dtypes.is_float(small) and not dtypes.is_float(target) and target != "bool":
            fits = np.isfinite(values) & (np.abs(values) < 2**30)
            low = dtypes.integer_range(target)[0] if target not in dtypes.SMALL else -np.inf
            kept = given[fits & (values >= low) & (np.abs(values) < 2.0 ** dtypes.bits(target) / 2)]
            kept = np.resize(kept, len(given))
        same(*compiled_and_interpreted(lambda x, to=target: Cast(to, x), kept, small))


@pytest.mark.parametrize("source", [n for n in dtypes.NAMES if n not in dtypes.SMALL])
def test_to_small(source: str) -> None:
    given = sample(source)
    for target in SMALL:
        kept = given
        if dtypes.is_float(source) and target in dtypes.SMALL_INTEGERS:
            values = codes.decode(given, source)
            kept = np.resize(given[np.isfinite(values) & (np.abs(values) < 2**30)], len(given))
        same(*compiled_and_interpreted(lambda x, to=target: Cast(to, x), kept, source))


@pytest.mark.parametrize("small", SMALL)
def test_comparisons_and_choices(small: str) -> None:
    given = sample(small)
    for op in ("lt", "le", "eq", "ne"):

        def value(x: Expr, op: str = op) -> Expr:
            return Compare(op, x, const(1, small))

        same(*compiled_and_interpreted(value, given, small))

    def chosen(x: Expr) -> Expr:
        return select(Compare("lt", x, const(1, small)), const(2, small), x)

    same(*compiled_and_interpreted(chosen, given, small))


@pytest.mark.parametrize("small", [*sorted(dtypes.SMALL_FLOATS), "bfloat16"])
def test_bits(small: str) -> None:
    given = sample(small)

    def flipped(x: Expr) -> Expr:
        bits = Unary("asint", x)
        assert bits.dtype == f"int{dtypes.width(small)}"
        wide = binary("xor", Cast("int16", bits), const(1, "int16"))
        return Unary(f"as{small}", Cast(bits.dtype, wide))

    compiled, expected, _ = compiled_and_interpreted(flipped, given, small)
    np.testing.assert_array_equal(compiled, given ^ 1)
    # Of the NaNs of a type, the reference meaning knows one.
    number = ~np.isnan(codes.decode(given ^ 1, small)) & ~np.isnan(codes.decode(given, small))
    np.testing.assert_array_equal(expected[number], compiled[number])


def test_what_nobody_wrote_is_not_a_number() -> None:
    out = Buffer("out", (4,), "float8_e5m2")
    body = For(Var("i"), 0, Kind.SERIAL, store(out, (0,), const(0, out.dtype)))
    (found,) = run(Func("f", (out,), body))
    assert np.isnan(codes.decode(found, "float8_e5m2")).all()
