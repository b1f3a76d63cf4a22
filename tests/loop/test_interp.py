"""The reference meaning of loop programs, against NumPy and against the contract."""

import numpy as np
import pytest

import relay.loop
from relay.support.errors import InputError, InternalError


def run(header: str, body: str, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    return relay.loop.run(relay.loop.parse(f"func @f{header} {{ {body} }}"), *arrays)


def test_matrix_product(rng: np.random.Generator) -> None:
    a = rng.standard_normal((6, 5)).astype("float32")
    b = rng.standard_normal((5, 8)).astype("float32")
    (out,) = run(
        "(a: float32[6, 5], b: float32[5, 8]) -> (out: float32[6, 8])",
        "parallel i < 6 { alloc acc: float32[8] vectorized v < 8 { acc[v] = 0.0 } "
        "for k < 5 { vectorized v < 8 { acc[v] += a[i, k] * b[k, v] } } "
        "vectorized v < 8 { out[i, v] = acc[v] } }",
        a,
        b,
    )
    expected = np.zeros((6, 8), "float32")
    for k in range(5):
        expected += a[:, k : k + 1] * b[k]
    np.testing.assert_array_equal(out, expected)


def test_conditions_split_the_lanes_and_guard_memory() -> None:
    x = np.arange(4, dtype="float32")
    (out,) = run(
        "(x: float32[4]) -> (out: float32[8])",
        "parallel i < 8 { if i % 2 == 0 { out[i] = select(i < 4, x[i], -1.0) } "
        "else { out[i] = 9.0 out[i] min= select(i >= 2 and i < 6, x[i - 2], 5.0) } }",
        x,
    )
    np.testing.assert_array_equal(out, np.float32([0, 5, 2, 1, -1, 3, -1, 5]))


def test_integers_wrap_and_divide() -> None:
    x = np.array([-128, -7, 7, 127], "int8")
    (out,) = run(
        "(x: int8[4]) -> (out: int8[4, 5])",
        "for i < 4 { out[i, 0] = x[i] + 1:int8 out[i, 1] = x[i] // 2:int8 "
        "out[i, 2] = truncdiv(x[i], 2:int8) out[i, 3] = x[i] % 3:int8 "
        "out[i, 4] = truncmod(x[i], 3:int8) }",
        x,
    )
    assert out.tolist() == [
        [-127, -64, -64, 1, -2],
        [-6, -4, -3, 2, -1],
        [8, 3, 3, 1, 1],
        [-128, 63, 63, 1, 1],
    ]


def test_bfloat16_is_rounded_after_every_operation() -> None:
    one = np.array([0x3F80], "uint16")
    (out,) = run(
        "(x: bfloat16[1]) -> (out: bfloat16[1])", "out[0] = x[0] + 0.001:bfloat16 + x[0]", one
    )
    assert out.tolist() == [0x4000]


def test_float32_stays_float32() -> None:
    x = np.float32([16777216.0])
    (out,) = run("(x: float32[1]) -> (out: float32[1])", "out[0] = x[0] + 1.0 - x[0]", x)
    assert out.tolist() == [0.0]


def test_memory_starts_as_nan() -> None:
    (out,) = run("() -> (out: float32[2])", "out[0] = 1.0")
    np.testing.assert_array_equal(out, np.float32([1, np.nan]))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("for i < 9 { out[i] = 1.0 }", "index 0 of out: float32[8] is 8 in `out[i] = 1.0`"),
        ("out[0] = out[0 - 1]", "index 0 of out: float32[8] is -1 in `out[0] = out[0 - 1]`"),
        (
            "vectorized i < 8 { out[i // 2] = 1.0 }",
            "two iterations at once write one place in `out[i // 2] = 1.0`",
        ),
    ],
)
def test_broken_contract(body: str, message: str) -> None:
    with pytest.raises(InternalError) as error:
        run("() -> (out: float32[8])", body)
    assert str(error.value) == message


def test_wrong_inputs() -> None:
    with pytest.raises(InputError, match=r"^@f takes 1 inputs, found 0$"):
        run("(x: float32[2]) -> (out: float32[2])", "out[0] = x[0]")
    with pytest.raises(InputError, match=r"was given as int64\[3\]$"):
        run("(x: float32[2]) -> (out: float32[2])", "out[0] = x[0]", np.arange(3))


@pytest.mark.parametrize("dtype", ["int64", "float32"])
def test_powers_and_divisions_towards_zero(dtype: str) -> None:
    x = np.array([-3, -1, 1, 2], dtype)
    (out,) = run(
        f"(x: {dtype}[4]) -> (out: {dtype}[4, 2])",
        f"for i < 4 {{ out[i, 0] = pow(x[i], 2:{dtype}) out[i, 1] = truncdiv(x[i], 2:{dtype}) }}",
        x,
    )
    assert out.tolist() == [[9, -1], [1, 0], [1, 0], [4, 1]]


def test_integers_to_negative_powers() -> None:
    x = np.array([-3, -1, 1, 2], "int64")
    (out,) = run("(x: int64[4]) -> (out: int64[4])", "for i < 4 { out[i] = pow(x[i], -3) }", x)
    assert out.tolist() == [0, -1, 1, 0]
