"""Operators that are ordered stages, compiled, against their references: sizes, dtypes, ties."""

import numpy as np
import pytest

from relay.executor.build import build
from relay.ir.expr import Function, Var
from relay.ir.op import Operator
from relay.ir.types import TensorType
from relay.op.gradients import make
from relay.runtime.threads import get_num_threads, set_num_threads

SIZES = [0, 1, 2, 7, 97, 130, 1023, 4099]
DTYPES = ["float16", "float32", "float64", "int8", "uint8", "int16", "int32", "uint32", "int64"]
DTYPES += ["uint64"]


def numbers(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    """Many equals, the extremes, and for floating point zeros of both signs, infinity and NaN."""
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape))
    if dtype.startswith("float"):
        special = np.array([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0], dtype)
        values = (rng.integers(-40, 40, size) / 8).astype(dtype)
    else:
        limits = np.iinfo(dtype)
        special = np.array([limits.min, limits.max, limits.max], dtype)
        values = rng.integers(limits.min, limits.max, size, dtype=dtype, endpoint=True)
        values[::2] = rng.integers(0, 5, len(values[::2])).astype(dtype)
    where = rng.random(size) < 0.1
    values[where] = rng.choice(special, int(where.sum()))
    return values.reshape(shape)


def results(name: str, *arrays: np.ndarray, **attributes: object) -> tuple:
    """What compiled code and the reference give."""
    variables = [Var(f"x{k}", TensorType(a.shape, a.dtype.name)) for k, a in enumerate(arrays)]
    call = make(name, *variables, **attributes)
    found = [a.numpy() for a in build(Function(variables, call)).create()(*arrays)]
    assert isinstance(call.attrs, Operator)
    wanted = call.attrs.reference(*arrays)
    return found, list(wanted) if isinstance(wanted, tuple) else [wanted]


def check(name: str, *arrays: np.ndarray, tolerance: float = 0, **attributes: object) -> None:
    found, wanted = results(name, *arrays, **attributes)
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_sorts(dtype, up):
    for seed, size in enumerate(SIZES):
        x = numbers((size,), dtype, seed)
        check("argsort", x, is_ascend=up, dtype="int64")
    for axis, shape in ((0, (130, 3)), (1, (2, 99, 4)), (-1, (3, 4100))):
        x = numbers(shape, dtype)
        check("argsort", x, axis=axis, is_ascend=up)
        check("sort", x, axis=axis, is_ascend=up)


@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize("dtype", ["float16", "float32", "int32", "uint8", "int64"])
@pytest.mark.parametrize("k", [0, 1, 7, 64, 65])
def test_top_k(dtype, up, k):
    for axis, shape in ((0, (65,)), (1, (3, 301)), (0, (300, 5)), (-1, (2, 9001)), (0, (20003,))):
        check("topk", numbers(shape, dtype), k=k, axis=axis, is_ascend=up)
    check("topk", numbers((300,), dtype), k=k, is_ascend=up, ret_type="indices", dtype="int64")


def test_top_k_of_equals_and_of_what_grows():
    for x in (np.zeros(20000), np.arange(20000.0), np.full(20000, np.nan), -np.arange(20000.0)):
        for up in (True, False):
            check("topk", x.astype("float32"), k=9, is_ascend=up)


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int64"])
def test_search(dtype, right):
    wanted = numbers((3, 300), dtype, 1)
    for size in SIZES:
        check("searchsorted", np.sort(numbers((size,), dtype)), wanted, right=right)
        check("searchsorted", np.sort(numbers((3, size), dtype)), wanted, right=right)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "int8", "int32", "uint64", "float64"])
def test_unique(dtype, ordered):
    for size in SIZES:
        check("unique", numbers((size,), dtype), sorted=ordered, return_counts=True)
    check("unique", np.zeros(500, dtype), sorted=ordered)


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_scans(name, exclusive):
    shapes = [((n,), 0) for n in SIZES] + [((20001,), 0), ((3, 9000), 1), ((5, 300), 1)]
    shapes += [((40, 300), 0), ((2, 9, 7), 1), ((0, 3), 0), ((3, 0), 0), ((1, 1), 1)]
    for shape, axis in shapes:
        for dtype in ("int32", "uint8", "int64"):
            x = numbers(shape, dtype)
            check(name, x, axis=axis, exclusive=exclusive)
            check(name, x, exclusive=exclusive, dtype="int64")
        x = (1 + np.random.default_rng(0).random(shape) / 1000).astype("float32")
        check(name, x, axis=axis, exclusive=exclusive, tolerance=1e-3)


@pytest.mark.parametrize("mode", ["update", "add", "mul", "min", "max"])
@pytest.mark.parametrize("dtype", ["float32", "int32", "int8"])
def test_scatters(mode, dtype):
    rng = np.random.default_rng(0)

    def some(*shape: int) -> np.ndarray:
        return rng.integers(-3, 4, shape).astype(dtype)

    for axis, shape, part in (
        (0, (40,), (99,)),
        (0, (30, 1024), (50, 1024)),
        (0, (30, 5), (50, 3)),
        (1, (3, 20, 5), (2, 40, 5)),
        (-1, (4, 33), (4, 50)),
        (0, (5, 2), (0, 2)),
    ):
        at = rng.integers(-shape[axis], shape[axis], part)
        check("scatter_elements", some(*shape), at, some(*part), axis=axis, reduction=mode)
    for shape, places in (((40,), (1, 99)), ((9, 7), (2, 4, 50)), ((9, 3, 512), (1, 30))):
        at = np.stack([rng.integers(0, d, places[1:]) for d in shape[: places[0]]])
        update = some(*places[1:], *shape[places[0] :])
        check("scatter_nd", some(*shape), at, update, mode=mode)


def test_positions_outside_are_left_out():
    x, at, update = np.zeros((4, 3), "float32"), np.array([[5, -1, 2]]), np.ones((3, 3), "float32")
    (found,), _ = _compiled_only("scatter_nd", x, at, update, mode="add")
    assert found.sum(axis=1).tolist() == [0, 0, 3, 0]
    (found,), _ = _compiled_only("scatter_elements", x, at, update[:1], axis=0)
    assert found.tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 1, 0]]


def _compiled_only(name: str, *arrays: np.ndarray, **attributes: object) -> tuple:
    variables = [Var(f"x{k}", TensorType(a.shape, a.dtype.name)) for k, a in enumerate(arrays)]
    made = build(Function(variables, make(name, *variables, **attributes))).create()
    return [a.numpy() for a in made(*arrays)], None


def test_inverse_permutations():
    for size in SIZES:
        for dtype in ("int32", "int64"):
            check("invert_permutation", np.random.default_rng(size).permutation(size).astype(dtype))


def sparse(rows: int, columns: int, dtype: str = "float32") -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(rows)
    held = [np.flatnonzero(rng.random(columns) < 0.3) for _ in range(rows)]
    at = np.concatenate(held) if held else np.zeros(0)
    starts = np.cumsum([0, *(len(h) for h in held)])
    return rng.integers(-3, 4, len(at)).astype(dtype), at.astype("int32"), starts.astype("int32")


def test_sparse_matrices():
    rng = np.random.default_rng(0)
    for rows, columns in ((1, 1), (9, 9), (33, 40), (70, 70)):
        parts = sparse(rows, columns)
        check("nn.sparse_add", rng.integers(-3, 4, (rows, columns)).astype("float32"), *parts)
        for lines in (1, 16, 35):
            dense = rng.integers(-3, 4, (lines, columns)).astype("float32")
            check("nn.sparse_dense", dense, *parts)
            check("nn.sparse_dense", dense, *parts, sparse_lhs=True)
        if rows == columns:
            check("nn.sparse_transpose", *parts)
    at = rng.integers(0, 9, (300, 2))
    values, default = rng.random(300).astype("float32"), np.float32(2).reshape(())
    check("sparse_to_dense", at, values, default, output_shape=(9, 9))


def test_any_number_of_threads_gives_the_same_bits():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 30000)).astype("float32")
    cases = [("cumsum", {"axis": 1}), ("cumsum", {}), ("topk", {"k": 40}), ("argsort", {})]
    before = get_num_threads()
    try:
        for name, attributes in cases:
            found = []
            for threads in (1, 2, 5):
                set_num_threads(threads)
                found.append([a.tobytes() for a in _compiled_only(name, x, **attributes)[0]])
            assert found[0] == found[1] == found[2]
    finally:
        set_num_threads(before)
