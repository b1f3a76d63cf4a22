"""What the verifier accepts, even strictly, and what it says of the rest."""

import pytest

import relay.loop
from relay.loop.ir import Buffer, Func, Load, Store
from relay.te.expr import Var, const

HEADER = "func @f(x: float32[8]) -> (out: float32[8]) workspace (s: float32[6, 10, 16])"

PROVED = [
    "parallel i < 8 { out[i] = x[i] }",
    "for i < 8 { out[i] = select(i >= 2 and i < 6, x[i - 2] + x[i + 2], 0.0) }",
    "for i < 8 { out[i] = select(i < 3 or not (i < 7), 0.0, x[i - 3]) }",
    "for i < 8 { if i < 4 { out[i] = x[i + 4] } else { out[i] = x[i - 4] } }",
    "for i < 3 { for j < 3 { if i * 3 + j < 8 { out[i * 3 + j] = 0.0 } } }",
    "for i < 12 { for j < 3 { if i * 3 + j < 16 { out[(i * 3 + j) // 2] = 0.0 } } }",
    "for i < 64 { out[i // 8] += x[i % 8] }",
    "for i < 8 { out[i] = x[min(i + 1, 7)] }",
    "for i < 8 { if i == 9 { out[i + 100] = 0.0 } else { out[i] = 0.0 } }",
    # A fused parallel loop, tiles, and a private buffer.
    "parallel p < 60 { vectorized v < 16 { s[p // 10, p % 10, v] = 0.0 } } out[0] = 0.0",
    "parallel p < 30 { for j < 2 { s[p // 5, p % 5 * 2 + j, 0] = 0.0 } } out[0] = 0.0",
    "for o < 6 { parallel p < 5 { for k < 2 { s[o, p * 2 + k, 3] = 0.0 } } } out[0] = 0.0",
    # What is read is written by none of the lanes: halves are joined.
    "vectorized v < 4 { s[0, 0, v] += s[0, 0, v + 4] } out[0] = 0.0",
    "parallel i < 8 { alloc a: float32[2] for k < 2 { a[k] = x[i] } out[i] = a[1] out[i] += a[0] }",
]


@pytest.mark.parametrize("body", PROVED)
def test_proved(body: str) -> None:
    relay.loop.verify(relay.loop.parse(f"{HEADER} {{ {body} }}"), strict=True)


BROKEN = [
    ("for i < 9 { out[i] = 0.0 }", "index 0 of out: float32[8] runs over 0 .. 8 in `out[i] = 0.0`"),
    (
        "for i < 8 { out[i] = x[i - 1] }",
        "index 0 of x: float32[8] runs over -1 .. 6 in `out[i] = x[i - 1]`",
    ),
    ("out[0] = 0.0 x[0] = 0.0", "x is an input in `x[0] = 0.0`"),
    ("s[0, 0, 0] = 0.0", "nothing is stored to the output out: float32[8]"),
    (
        "parallel i < 8 { parallel j < 2 { out[i] = 0.0 } }",
        "parallel loops do not nest in `parallel j < 2`",
    ),
    (
        "vectorized i < 8 { if i < 3 { out[i] = 0.0 } }",
        "a vectorized loop has only stores inside in `if i < 3`",
    ),
    (
        "vectorized i < 8 { out[0] += x[i] }",
        "every iteration writes one place (`vectorized i < 8`) in `out[0] += x[i]`",
    ),
    (
        "parallel i < 8 { for k < 8 { out[k] += x[i] } }",
        "every iteration writes one place (`parallel i < 8`) in `out[k] += x[i]`",
    ),
    ("out[0] or= 0.0", "no value of type float32 is updated so in `out[0] or= 0.0`"),
]


@pytest.mark.parametrize(("body", "message"), BROKEN)
def test_broken(body: str, message: str) -> None:
    with pytest.raises(relay.loop.VerifyError) as error:
        relay.loop.verify(relay.loop.parse(f"{HEADER} {{ {body} }}"))
    assert str(error.value) == f"@f: {message}"


UNPROVED = [
    (
        "for i < 8 { out[i] = select(x[i] < 0.0, x[i + 1], 0.0) }",
        "index 0 of x: float32[8] may leave its buffer: it runs over 1 .. 8",
    ),
    ("for i < 8 { out[int64(x[i])] = 0.0 }", "may leave its buffer: it is not known"),
    ("parallel i < 4 { out[i] = out[i + 1] }", "iterations may touch one place"),
    ("parallel i < 7 { out[i] = 0.0 out[i + 1] = 1.0 }", "iterations may touch one place"),
    ("parallel i < 8 { out[i // 2] = 0.0 }", "iterations may touch one place"),
    ("parallel i < 8 { if i == 0 { out[0] = 0.0 } }", "every iteration writes one place"),
]


@pytest.mark.parametrize(("body", "message"), UNPROVED)
def test_unproved(body: str, message: str) -> None:
    func = relay.loop.parse(f"{HEADER} {{ {body} }}")
    relay.loop.verify(func)
    with pytest.raises(relay.loop.VerifyError) as error:
        relay.loop.verify(func, strict=True)
    assert message in str(error.value)


def test_names_out_of_scope() -> None:
    out, other = Buffer("out", (2,), "float32"), Buffer("other", (2,), "float32")
    with pytest.raises(relay.loop.VerifyError, match="there is no buffer other"):
        relay.loop.verify(Func("f", (out,), Store(out, (const(0),), Load(other, (const(0),)))))
    with pytest.raises(relay.loop.VerifyError, match="the variable i is not bound"):
        relay.loop.verify(Func("f", (out,), Store(out, (Var("i"),), const(0.0, "float32"))))
