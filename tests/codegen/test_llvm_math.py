"""The elementary functions against 64-bit references: accuracy in ulp, and edge cases."""

import math

import numpy as np
import pytest

from relay.codegen.llvm.jit import run_func
from relay.loop.ir import Buffer, For, Func, Kind, Load, Store
from relay.runtime.memory import aligned_empty
from relay.te.expr import Var, binary, unary

EDGES = [
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, 1e-45, -1e-45, 1e-38, 1e-30, -1e-30, 1e-7,
    88.7, 88.8, -87.3, -88.0, -100.0, -103.9, -104.1, 20.0, 3.4e38, -3.4e38, math.inf, -math.inf,
    math.nan,
]  # fmt: skip
ERF = np.frompyfunc(math.erf, 1, 1)
REFERENCES = {
    "exp": np.exp,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "erf": lambda x: ERF(x).astype(np.float64),
    "sin": np.sin,
    "cos": np.cos,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "tan": np.tan,
    "atan": np.arctan,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "asin": np.arcsin,
    "acos": np.arccos,
    "sinh": np.sinh,
    "cosh": np.cosh,
}


def evaluate(build, *inputs, lanes=16, dtype="float32", out=None):
    """Run ``build(*loads)`` elementwise over `inputs`, whose length is a multiple of `lanes`."""
    n = len(inputs[0])
    buffers = [Buffer(f"x{i}", (n,), dtype) for i in range(len(inputs))]
    i, lane = Var("i"), Var("l")
    index = i * lanes + lane
    value = build(*[Load(b, (index,)) for b in buffers])
    result = Buffer("out", (n,), value.dtype)
    inner = For(lane, lanes, Kind.VECTORIZED, Store(result, (index,), value))
    func = Func("f", (*buffers, result), For(i, n // lanes, Kind.SERIAL, inner))
    arrays = []
    for x in inputs:
        a = aligned_empty((n,), dtype)
        a[:] = x
        arrays.append(a)
    arrays.append(aligned_empty((n,), value.dtype))
    run_func(func, arrays)
    return arrays[-1]


def ulps(actual, exact):
    """Distance of float32 results to exact values, in units of the last place there."""
    rounded = exact.astype(np.float32)
    with np.errstate(all="ignore"):
        unit = np.spacing(np.abs(rounded)).astype(np.float64)
        distance = np.abs(actual.astype(np.float64) - exact) / unit
    same = (actual == rounded) | (np.isnan(actual) & np.isnan(rounded))
    return np.where(same, 0, np.where(np.isfinite(rounded), distance, np.inf))


def samples(op):
    rng = np.random.default_rng(0)
    wide = rng.uniform(-100, 100, 4000)
    near = rng.normal(size=4000) * np.exp(rng.uniform(-10, 1, 4000))
    x = np.concatenate([wide, near, EDGES, np.linspace(-5, 5, 4004)]).astype(np.float32)
    if op.startswith("log") or op == "rsqrt":
        x = np.concatenate([np.abs(x), -np.abs(x[:32]), np.exp(rng.uniform(-100, 88, 2048))])
    if op in ("asin", "acos", "atanh"):
        x = np.concatenate([x, rng.uniform(-1, 1, 8000), 1 - np.exp(rng.uniform(-17, 0, 2000))])
    if op in ("asinh", "acosh", "atan", "sinh", "cosh"):
        sizes = np.exp(rng.uniform(-80, 88, 4000))
        x = np.concatenate([x, sizes, -sizes, 1 + np.exp(rng.uniform(-15, 5, 2000))])
    x = x.astype(np.float32)
    return np.resize(x, len(x) // 16 * 16 + 16)


@pytest.mark.parametrize("lanes", [1, 16])
@pytest.mark.parametrize("op", REFERENCES)
def test_within_four_ulp(op, lanes):
    x = samples(op)
    with np.errstate(all="ignore"):
        exact = REFERENCES[op](x.astype(np.float64))
    actual = evaluate(lambda e: unary(op, e), x, lanes=lanes)
    distance = ulps(actual, exact)
    worst = int(np.argmax(distance))
    assert distance[worst] <= 4, (op, x[worst], actual[worst], exact[worst], distance[worst])


def test_power():
    rng = np.random.default_rng(0)
    edges = np.array([0, -0.0, 1, -1, 2, -2, 0.5, 3, -3, np.inf, -np.inf, np.nan, 1e-40, 2.5])
    a, b = np.meshgrid(edges, edges)
    base = np.concatenate([a.ravel(), np.exp(rng.uniform(-10, 10, 2000)), rng.normal(size=400)])
    exponent = np.concatenate([b.ravel(), rng.uniform(-8, 8, 2000), rng.integers(-9, 9, 400)])
    n = len(base) // 16 * 16
    base, exponent = base[:n].astype(np.float32), exponent[:n].astype(np.float32)
    with np.errstate(all="ignore"):
        exact = np.power(base.astype(np.float64), exponent.astype(np.float64))
    for lanes in (1, 16):
        actual = evaluate(lambda x, y: binary("pow", x, y), base, exponent, lanes=lanes)
        distance = ulps(actual, exact)
        worst = int(np.argmax(distance))
        assert distance[worst] <= 1, (base[worst], exponent[worst], actual[worst], exact[worst])


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, -1, -2, 0.5])
def test_constant_power(exponent):
    x = np.linspace(0.1, 9, 64).astype(np.float32)
    actual = evaluate(lambda e: binary("pow", e, exponent), x)
    assert ulps(actual, x.astype(np.float64) ** exponent).max() <= 2


def test_signed_zero_and_infinity():
    x = np.array([0.0, -0.0, np.inf, -np.inf] * 4, np.float32)
    for op, expected in {
        "tanh": [0.0, -0.0, 1, -1],
        "erf": [0.0, -0.0, 1, -1],
        "exp": [1, 1, np.inf, 0],
        "sigmoid": [0.5, 0.5, 1, 0],
        "sin": [0.0, -0.0, np.nan, np.nan],
    }.items():
        actual = evaluate(lambda e, op=op: unary(op, e), x)[:4]
        np.testing.assert_array_equal(actual, np.array(expected, np.float32), err_msg=op)
        finite = ~np.isnan(actual)
        np.testing.assert_array_equal(np.signbit(actual[finite]), np.signbit(expected)[finite])
