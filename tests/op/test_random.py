"""Random numbers: known answers of the cipher, independence, distributions, and marks."""

import numpy as np
import pytest

import relay
from relay.executor.build import build
from relay.ir.expr import Function
from relay.ir.module import IRModule
from relay.op.threefry import encrypted
from relay.runtime.threads import get_num_threads, set_num_threads
from relay.support.errors import RelayError, UnsupportedError

ALL = (1 << 64) - 1
PI = [0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89,
      0x452821E638D01377, 0xBE5466CF34E90C6C, 0xBE5466CF34E90C6C, 0xC0AC29B7C97C50DD]  # fmt: skip
#: Key, counter and result of threefry4x64-20, as published with the paper.
ANSWERS = [
    ([0] * 4, [0] * 4, "09218ebde6c85537 55941f5266d86105 4bd25e16282434dc ee29ec846bd2e40b"),
    ([ALL] * 4, [ALL] * 4, "29c24097942bba1b 0371bbfb0f6f4e11 3c231ffa33f83a1c cd29113fde32d168"),
    (PI[4:], PI[:4], "a7e8fde591651bd9 baafd0c30138319b 84a5c1a729e685b9 901d406ccebc1ba4"),
]


def run(*results: relay.Expr) -> list[np.ndarray]:
    """Compiled results of a program without arguments, which the interpreter must give too."""
    program = Function([], relay.Tuple(list(results)))
    found = [a.numpy() for a in build(program).create()()]
    module = IRModule.from_expr(program)
    wanted = relay.create_executor("debug", module).evaluate()()
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-6, atol=1e-6)
    return found


@pytest.mark.parametrize(("key", "counter", "answer"), ANSWERS)
def test_known_answers(key, counter, answer):
    block = encrypted(key, np.array([counter], "uint64"))[0]
    assert " ".join(f"{int(word):016x}" for word in block) == answer


def test_the_compiled_stream_is_the_cipher():
    _, bits = run(*relay.random.threefry_generate(relay.random.threefry_key(5), (33,)))
    # The counter of a new key is zero; the first word of the key is the seed.
    counters = np.zeros((9, 4), "uint64")
    counters[:, 3] = np.arange(9)
    np.testing.assert_array_equal(bits, encrypted([5, 0, 0, 0], counters).reshape(-1)[:33])


def test_what_comes_after_goes_on_where_it_ended():
    key = relay.random.threefry_key(1 << 200)
    next_key, first = relay.random.threefry_generate(key, (8,))
    _, second = relay.random.threefry_generate(next_key, (3, 4))
    _, whole = relay.random.threefry_generate(key, (20,))
    a, b, c = run(first, second, whole)
    np.testing.assert_array_equal(np.concatenate([a, b.reshape(-1)]), c)


def test_split_keys_give_other_numbers():
    keys = [relay.random.threefry_key(3)]
    for _ in range(3):
        keys = [part for key in keys for part in relay.random.threefry_split(key)]
    drawn = run(*(relay.random.threefry_generate(key, (64,))[1] for key in keys))
    assert len({int(v) for part in drawn for v in part}) == 8 * 64


def test_a_path_that_is_full_becomes_a_new_key():
    key = relay.random.threefry_key(3)
    for _ in range(130):
        key = relay.random.threefry_split(key)[1]
    (last,) = run(key)
    assert last[8] != 0
    assert last[:4].tolist() != [3, 0, 0, 0]


def test_results_do_not_depend_on_threads():
    program = Function([], relay.random.uniform(relay.random.threefry_key(9), (70_001,))[1])
    before = get_num_threads()
    found = []
    try:
        for threads in (1, 2, 4):
            set_num_threads(threads)
            found.append(build(program).create()()[0].numpy())
    finally:
        set_num_threads(before)
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distributions(dtype):
    key = relay.random.threefry_key(12)
    _, even = relay.random.uniform(key, (200, 301), dtype, -2.0, 6.0)
    _, bell = relay.random.normal(key, (200, 301), dtype, 5.0, 0.5)
    u, n = run(even, bell)
    assert (u.dtype, n.dtype) == (dtype, dtype)
    assert u.min() >= -2
    assert u.max() <= 6
    counts = np.histogram(u, 16, (-2, 6))[0] / u.size
    np.testing.assert_allclose(counts, 1 / 16, atol=0.004)
    z = (n - 5) / 0.5
    assert np.isfinite(z).all()
    moments = [float(np.mean(z**k)) / k for k in (1, 2, 3)]
    np.testing.assert_allclose(moments, [0, 0.5, 0], atol=0.02)


def test_multinomial_follows_the_weights():
    probs = relay.const(np.array([[1, 0, 3, 6], [5, 5, 0, 0]], "float32"))
    _, drawn = run(*relay.random.multinomial(relay.random.threefry_key(2), probs, 20_000))
    for row, wanted in zip(drawn, ([0.1, 0, 0.3, 0.6], [0.5, 0.5, 0, 0]), strict=True):
        np.testing.assert_allclose(np.bincount(row, minlength=4) / 20_000, wanted, atol=0.015)


def test_seeds_and_shapes_are_checked():
    with pytest.raises(ValueError, match="256 bits"):
        relay.random.threefry_key(-1)
    with pytest.raises(ValueError, match="256 bits"):
        relay.random.threefry_key(1 << 256)
    with pytest.raises((ValueError, RelayError), match="out_dtype"):
        relay.random.uniform(relay.random.threefry_key(0), (3,), "int32")
    wrong = relay.var("k", shape=(4,), dtype="uint64")
    with pytest.raises(RelayError, match="threefry_key"):
        relay.infer_expr(relay.random.threefry_split(wrong)[0])


# ---------------------------------------------------------------- marks


def test_marks_of_devices_are_left_out():
    x = relay.var("x", shape=(3,))
    body = relay.annotation.on_device(relay.nn.relu(x), relay.cpu())
    program = Function([x], relay.device_copy(body, "cpu", relay.cpu(0)))
    assert program.body.attrs.dst_virtual_device == "cpu(0)"
    data = np.array([-1, 0, 2], "float32")
    np.testing.assert_array_equal(build(program).create()(data)[0].numpy(), [0, 0, 2])


@pytest.mark.parametrize("kind", ["graph", "debug", "vm"])
def test_a_device_that_is_not_there_is_refused(kind):
    x = relay.var("x", shape=(3,))
    program = Function([x], relay.annotation.on_device(x, relay.Device("cuda")))
    with pytest.raises(UnsupportedError, match=r"cuda\(0\)"):
        relay.create_executor(kind, IRModule.from_expr(program)).evaluate()(np.zeros(3, "float32"))


def test_functions_on_devices():
    x, y = relay.var("x", shape=(3,)), relay.var("y", shape=(3,))
    placed = relay.annotation.function_on_device(
        Function([x, y], relay.add(x, y)), [relay.cpu(), relay.cpu()], relay.cpu()
    )
    ones = np.ones(3, "float32")
    np.testing.assert_array_equal(build(placed).create()(ones, ones)[0].numpy(), [2, 2, 2])
    with pytest.raises(ValueError, match="expected 2 devices"):
        relay.annotation.function_on_device(Function([x, y], x), [relay.cpu()], relay.cpu())


def test_a_function_with_a_number_is_the_function():
    x = relay.var("x", shape=(3,))
    marked = relay.annotation.with_funcid(Function([x], relay.nn.relu(x)), fid=4)
    y = relay.var("y", shape=(3,))
    program = Function([y], relay.Call(marked, [y]))
    data = np.array([-1, 0, 2], "float32")
    found = relay.create_executor("vm", IRModule.from_expr(program)).evaluate()(data)
    np.testing.assert_array_equal(found.numpy(), [0, 0, 2])
