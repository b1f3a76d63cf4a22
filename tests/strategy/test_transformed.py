"""Convolutions by tiles: every plan is legal and computes the convolution."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import loop_programs as p
import relay
from loop_programs import Case
from relay import te
from relay.ir.op import Operator
from relay.loop import verify
from relay.loop.ir import Func
from relay.op.nn.winograd import Conv2DWinograd, transforms
from relay.schedule.steps import Parallel
from relay.strategy import plan
from relay.strategy.transformed import _Plan, _plans
from relay.target import Target

TARGET = Target("x86_64", "x86-64-v3", ("avx", "avx2", "fma"), 32, 16, cores=2)


def winograd(
    images: int, inputs: int, outputs: int, height: int, width: int, block: int, step: int = 4
) -> Case:
    """A convolution by 3 x 3 kernels with bias and relu; `inputs` and `outputs` count blocks."""
    points = step + 2
    x = te.placeholder((images, inputs, height, width, block), "float32", "x")
    w = te.placeholder((points, points, outputs, inputs, block, block), "float32", "w")
    bias = te.placeholder((outputs, 1, 1, block), "float32", "bias")
    declaration: Operator = Conv2DWinograd(
        tile_size=step,
        padding=(1, 1, 1, 1),
        kernel_size=(3, 3),
        data_layout=f"NCHW{block}c",
        kernel_layout=f"OIHW{block}i{block}o",
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
