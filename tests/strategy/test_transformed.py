"""Convolutions by tiles: every plan is legal and computes the convolution."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import loop_programs as p
import relay
from loop_programs import Case
from relay import te
from relay.codes import from_bfloat16, to_bfloat16
from relay.ir.op import Operator
from relay.loop import verify
from relay.loop.ir import Func
from relay.op.nn.winograd import Conv2DWinograd, transformed_kernel, transforms
from relay.schedule import parse, replay
from relay.schedule.steps import Pack, Parallel, Prefetch
from relay.strategy import plan
from relay.strategy.transformed import _Plan, _plans
from relay.target import Target, for_cpu

TARGET = Target("x86_64", "x86-64-v3", ("avx", "avx2", "fma"), 32, 16, cores=2)


PAIRS = for_cpu(
    "x86_64-unknown-linux-gnu", features=("avx512bf16", "avx512bw", "avx512vl"), cores=2
)


def winograd(
    images: int,
    inputs: int,
    outputs: int,
    height: int,
    width: int,
    block: int,
    step: int = 4,
    dtype: str = "float32",
) -> Case:
    """A convolution by 3 x 3 kernels with bias and relu; `inputs` and `outputs` count blocks."""
    points = step + 2
    x = te.placeholder((images, inputs, height, width, block), dtype, "x")
    w = te.placeholder((points, points, outputs, inputs, block, block), dtype, "w")
    bias = te.placeholder((outputs, 1, 1, block), "float32", "bias")
    declaration: Operator = Conv2DWinograd(
        tile_size=step,
        padding=(1, 1, 1, 1),
        kernel_size=(3, 3),
        data_layout=f"NCHW{block}c",
        kernel_layout=f"OIHW{block}i{block}o",
        out_dtype="float32",
    )
    y = declaration.compute(x, w)
    out = te.compute(
        y.shape,
        lambda n, o, h, v, c: te.maximum(y[n, o, h, v, c] + bias[o, 0, 0, c], 0.0),
        "out",
    )
    return Case((x, w, bias), (out,))


CASES = {
    "partial": winograd(1, 1, 2, 5, 7, 8),
    "images": winograd(2, 2, 1, 6, 6, 8),
    "wide": winograd(1, 1, 3, 5, 21, 8),
    "step-2": winograd(1, 2, 2, 6, 5, 8, step=2),
    "step-6": winograd(1, 1, 1, 7, 13, 8, step=6),
    "half-vectors": winograd(1, 1, 2, 6, 6, 4),
}


def check(case: Case, func: Func) -> None:
    """`func` is legal, and right up to what cancels in the transforms, also when compiled."""
    verify(func)
    arrays = case.arrays()
    wanted = case.reference(arrays)[0]
    split = len(func.params) - func.outputs
    given = [a.reshape(b.shape) for a, b in zip(arrays, func.params[:split], strict=True)]
    for found in (relay.loop.run(func, *given)[0], p.compiled(func, arrays)[0]):
        assert np.abs(found - wanted).max() <= 2e-6 * np.abs(wanted).max()


@pytest.mark.parametrize("name", CASES)
def test_the_chain_is_recognised_and_right(name: str) -> None:
    case = CASES[name]
    schedule = plan(case.build(), TARGET)
    assert any(isinstance(step, Parallel) for step in schedule.trace)
    assert "products.acc" in str(schedule)
    check(case, schedule.finish())


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(("rows", "columns"), [(1, 2), (1, 4), (3, 4)])
def test_every_way_to_cut_it_is_right(
    rows: int, columns: int, apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = _Plan(rows, columns, vectors=1, apart=apart)
    case = winograd(1, 2, 2, 10, 14, 8)

    def only(chain: object, target: Target) -> list[_Plan]:
        assert wanted in _plans(chain, target)  # type: ignore[arg-type]
        return [wanted]

    monkeypatch.setattr("relay.strategy.transformed._plans", only)
    check(case, plan(case.build(), TARGET).finish())


NARROW = {
    "near": winograd(1, 1, 2, 5, 7, 16, 2, "bfloat16"),
    "images": winograd(2, 2, 1, 6, 6, 16, 2, "bfloat16"),
    "wide": winograd(1, 2, 4, 5, 21, 16, 2, "bfloat16"),
    "apart": winograd(1, 8, 8, 7, 7, 16, 2, "bfloat16"),
    "step-4": winograd(1, 2, 2, 6, 6, 16, 4, "bfloat16"),
}


@pytest.mark.parametrize("constants", [frozenset(), frozenset({"w"})])
@pytest.mark.parametrize("name", NARROW)
def test_narrow_tiles_are_multiplied_in_pairs(name: str, constants: frozenset[str]) -> None:
    func = NARROW[name].build()
    schedule = plan(func, PAIRS, constants)
    scheduled = schedule.finish()
    verify(scheduled)
    assert "merge(" in str(schedule)
    assert "products.acc" in str(schedule)
    packed = [step for step in schedule.trace if isinstance(step, Pack)]
    assert [step.pairs for step in packed] == [4] * len(constants)
    ahead = [step for step in schedule.trace if isinstance(step, Prefetch)]
    assert all(step.buffer == ("w.packed" if constants else "w") for step in ahead)
    assert str(replay(func, parse(str(schedule))).finish()) == str(scheduled)
    compare_narrow(func, scheduled)


@pytest.mark.parametrize("target", [TARGET, replace(PAIRS, features=("avx512f",))])
def test_narrow_tiles_without_the_instruction(target: Target) -> None:
    func = NARROW["images"].build()
    schedule = plan(func, target, frozenset({"w"}))
    assert "products.acc" in str(schedule)
    assert "merge(" not in str(schedule)
    compare_narrow(func, schedule.finish())


def compare_narrow(func: Func, scheduled: Func) -> None:
    """`scheduled` computes what `func` does, up to another order of sums."""
    rng = np.random.default_rng(0)
    inputs = func.params[: -func.outputs]
    values = [rng.standard_normal(b.shape) for b in inputs]
    arrays = [
        to_bfloat16(v) if b.dtype == "bfloat16" else v.astype("float32")
        for v, b in zip(values, inputs, strict=True)
    ]
    wanted, found = (p.compiled(f, arrays)[0] for f in (func, scheduled))
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()


def test_the_error_of_narrow_tiles() -> None:
    """It is about that of the direct way in the same type with tiles of 2, and larger with 4."""
    rng = np.random.default_rng(1)
    images, inputs, outputs, size = 1, 16, 2, 12
    data = np.maximum(rng.standard_normal((images, inputs, size, size, 16)), 0).astype("float32")
    kernel = rng.standard_normal((outputs, inputs, 3, 3, 16, 16)).astype("float32")
    exact = convolution(data, kernel)
    rounded = [from_bfloat16(to_bfloat16(value)) for value in (data, kernel)]
    errors = {1: distance(convolution(*rounded), exact)}
    for step in (2, 4):
        points = to_bfloat16(transformed_kernel(rounded[1], (2, 3), step))
        case = winograd(images, inputs, outputs, size, size, 16, step, "bfloat16")
        bias = np.full((outputs, 1, 1, 16), 1e4, "float32")
        func = plan(case.build(), PAIRS, frozenset()).finish()
        found = p.compiled(func, [to_bfloat16(data), points, bias])[0] - bias
        errors[step] = distance(found, exact)
    assert errors[1] < errors[2] < 2 * errors[1]
    assert errors[4] > 4 * errors[1]


def convolution(data: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """A convolution by 3 x 3 kernels in float64, its data padded."""
    padded = np.pad(data.astype("float64"), [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)])
    tiles = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    return np.einsum("nihwcab,oiabcd->nohwd", tiles, kernel.astype("float64"), optimize=True)


def distance(found: np.ndarray, wanted: np.ndarray) -> float:
    """The relative error, in the mean of squares."""
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


small = st.integers(1, 3)


@settings(max_examples=25)
@given(small, small, small, st.integers(1, 11), st.integers(1, 11), st.sampled_from([2, 4]))
def test_any_size(
    images: int, inputs: int, outputs: int, height: int, width: int, step: int
) -> None:
    case = winograd(images, inputs, outputs, height, width, 8, step)
    check(case, plan(case.build(), TARGET).finish())


@pytest.mark.parametrize(("m", "r"), [(1, 3), (2, 3), (4, 3), (6, 3), (2, 5), (4, 5), (2, 7)])
def test_the_transforms_make_a_convolution(m: int, r: int) -> None:
    matrices = transforms(m, r)
    data, kernel, result = (
        np.array(matrix, "float64") for matrix in (matrices.data, matrices.kernel, matrices.result)
    )
    rng = np.random.default_rng(0)
    d, g = rng.standard_normal(m + r - 1), rng.standard_normal(r)
    wanted = [g @ d[i : i + r] for i in range(m)]
    np.testing.assert_allclose(result @ ((kernel @ g) * (data @ d)), wanted, rtol=1e-9)
