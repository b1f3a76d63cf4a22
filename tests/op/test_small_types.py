"""Small data types in programs: what moves and compares them, and what refuses them."""

from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import relay
from relay import codes, dtypes, nn
from relay.ir.expr import Expr
from relay.runtime.ndarray import NDArray, array
from relay.support.errors import InputError, TypeInferenceError

SMALL = sorted(dtypes.SMALL)
EXECUTORS = ("debug", "graph", "vm")
SHAPE = (4, 6)


def elements(dtype: str, shape: tuple[int, ...] = SHAPE, seed: int = 1) -> NDArray:
    """Random elements, no NaN among them."""
    low, high = (0, 100) if dtypes.is_float(dtype) else dtypes.integer_range(dtype)
    high = min(high, (1 << dtypes.width(dtype)) - 1)
    numbers = np.random.default_rng(seed).integers(low, high, shape, endpoint=True)
    return NDArray(numbers.astype(dtypes.to_numpy(dtype)), dtype)


def results(build: Callable[..., Expr], *arrays: NDArray) -> dict[str, NDArray]:
    """What the executors make of a program."""
    params = [relay.var(f"x{k}", shape=a.shape, dtype=a.dtype) for k, a in enumerate(arrays)]
    module = typed(relay.Function(params, build(*params)))
    again = relay.parse(module.astext(), "again")
    assert again.astext() == module.astext()
    return {name: relay.create_executor(name, mod=again).evaluate()(*arrays) for name in EXECUTORS}


def typed(function: relay.Function) -> relay.IRModule:
    """A module of `function`, all of it typed, as the parser makes them."""
    return relay.transform.InferType()(relay.IRModule.from_expr(function))


INDICES = relay.const(np.array([3, 0, 2], "int32"))
MOVES: dict[str, Callable[[Expr], Expr]] = {
    "reshape": lambda x: relay.reshape(x, (3, 8)),
    "transpose": lambda x: relay.transpose(x, (1, 0)),
    "expand_dims": lambda x: relay.squeeze(relay.expand_dims(x, 1), (1,)),
    "concatenate": lambda x: relay.concatenate([x, relay.reverse(x, 1)], 0),
    "stack": lambda x: relay.stack([x, x], 1),
    "split": lambda x: relay.split(x, 2, 1)[1],
    "slice": lambda x: relay.strided_slice(x, (0, 5), (4, 0), (1, -2)),
    "take": lambda x: relay.take(x, INDICES, 0),
    "gather": lambda x: relay.gather(x, 1, relay.const(np.array([[1, 0]] * 4, "int64"))),
    "gather_nd": lambda x: relay.gather_nd(x, relay.const(np.array([[1, 0], [2, 5]], "int32"))),
    "where": lambda x: relay.where(relay.less(x, relay.const(1, _dtype(x))), x, x),
    "broadcast_to": lambda x: relay.broadcast_to(x, (2, *SHAPE)),
    "tile": lambda x: relay.tile(x, (2, 1)),
    "repeat": lambda x: relay.repeat(x, 2, 1),
    "pad": lambda x: nn.pad(x, ((1, 0), (0, 2)), relay.const(1, _dtype(x))),
    "mirror_pad": lambda x: nn.mirror_pad(x, ((1, 1), (2, 0))),
    "full_like": lambda x: relay.full_like(x, relay.const(1, _dtype(x))),
    "full": lambda x: relay.concatenate(
        [x, relay.full(relay.const(1, _dtype(x)), SHAPE, _dtype(x))], 0
    ),
    "copy": lambda x: relay.copy(x),
    "trilu": lambda x: relay.trilu(x, relay.const(0), True),
    "batch_flatten": lambda x: nn.batch_flatten(relay.reshape(x, (2, 3, 4))),
    "layout": lambda x: relay.layout_transform(relay.reshape(x, (1, 4, 2, 3)), "NCHW", "NHWC"),
    "depth": lambda x: nn.depth_to_space(relay.reshape(x, (1, 4, 2, 3)), 2),
    "less": lambda x: relay.less(x, relay.reverse(x, 1)),
    "equal": lambda x: relay.equal(x, relay.const(1, _dtype(x))),
    "isnan": lambda x: relay.isnan(x),
}


def _dtype(x: Expr) -> str:
    return x.checked_type.dtype


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("dtype", ["int4", "uint2", "float8_e4m3fn", "float8_e8m0fnu"])
def test_elements_move(dtype: str, name: str) -> None:
    if (dtype, name) == ("float8_e8m0fnu", "trilu"):
        pytest.skip("there is no zero")
    found = results(MOVES[name], elements(dtype))
    for executor in EXECUTORS:
        assert found[executor].dtype == found["debug"].dtype
        np.testing.assert_array_equal(
            found[executor].numpy(), found["debug"].numpy(), err_msg=executor
        )


@pytest.mark.parametrize("dtype", SMALL)
def test_there_and_back(dtype: str) -> None:
    given = elements(dtype)
    for found in results(lambda x: relay.cast(relay.cast(x, "float32"), dtype), given).values():
        np.testing.assert_array_equal(found.numpy(), given.numpy())


@pytest.mark.parametrize("saturate", [True, False])
@pytest.mark.parametrize("dtype", sorted(dtypes.SMALL_FLOATS))
def test_out_of_range(dtype: str, saturate: bool) -> None:
    values = np.array([1e6, -1e6, np.inf, -np.inf, np.nan, 3.0, 1e-9, 0.0, 2.0**127], np.float32)
    expected = codes.encode(values, dtype, saturate)
    given = NDArray(values)
    for found in results(lambda x: relay.cast(x, dtype, saturate=saturate), given).values():
        np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.parametrize("saturate", [True, False])
@pytest.mark.parametrize("mode", codes.ROUND_MODES)
@pytest.mark.parametrize("source", ["float32", "float64", "float16", "int32"])
def test_powers_of_two(source: str, mode: str, saturate: bool) -> None:
    values = np.array([0, 1, 1.4, 1.5, 3, 5, 6, 7, 100, -2, 2**15])
    if source.startswith("float"):
        small = 2.0 ** np.array([-126, -127, -128, -129.0])
        odd = [np.nan, np.inf, 2.0**127, 1.75 * 2.0**127]
        with np.errstate(over="ignore", under="ignore"):
            values = np.concatenate([values, small, small * 1.25, odd])
    with np.errstate(over="ignore"):
        given = NDArray(values.astype(source))
    expected = codes.encode(given.numpy(), codes.E8M0, saturate, mode)

    def program(x: Expr) -> Expr:
        return relay.cast(x, codes.E8M0, saturate=saturate, round_mode=mode)

    for found in results(program, given).values():
        np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("uint8", "float8_e5m2"),
        ("float8_e4m3fn", "int8"),
        ("float4_e2m1fn", "uint4"),
        ("int4", "float4_e2m1fn"),
        ("bfloat16", "int16"),
        ("int16", "bfloat16"),
        ("float16", "bfloat16"),
    ],
)
def test_reinterpret(source: str, target: str) -> None:
    bits = np.arange(1 << dtypes.width(source)) if dtypes.width(source) < 16 else np.arange(500)
    stored = bits.astype(f"uint{dtypes.bits(source)}")
    if dtypes.width(source) == 4:
        stored = codes.low_bits(stored, source)
    given = NDArray(stored.view(dtypes.to_numpy(source)), source)
    mask = (1 << dtypes.width(target)) - 1
    for found in results(lambda x: relay.reinterpret(x, target), given).values():
        assert found.dtype == target
        np.testing.assert_array_equal(found.numpy().astype(np.int64) & mask, bits & mask)


@pytest.mark.parametrize(
    "build",
    [
        lambda x: relay.add(x, x),
        lambda x: relay.sum(x),
        lambda x: relay.exp(x),
        lambda x: nn.relu(x),
        lambda x: nn.dense(x, x),
        lambda x: nn.dense(relay.cast(x, "int8"), relay.cast(x, "int8"), out_dtype="int4"),
        lambda x: relay.clip(x, 0.0, 1.0),
        lambda x: relay.sort(x),
    ],
)
def test_nothing_is_computed(build: Callable[[Expr], Expr]) -> None:
    x = relay.var("x", shape=SHAPE, dtype="int4")
    with pytest.raises(TypeInferenceError, match="cast first"):
        assert build(x).checked_type


def test_casts_that_say_too_little() -> None:
    x, like = relay.var("x", shape=SHAPE), relay.var("l", shape=SHAPE, dtype="uint4")
    with pytest.raises(TypeInferenceError, match='use cast\\(x, dtype="uint4"\\)'):
        assert relay.cast_like(x, like).checked_type
    with pytest.raises(TypeInferenceError, match="round_mode must be one of nearest, up, down"):
        assert relay.cast(x, codes.E8M0, round_mode="away").checked_type


def test_gradients_stop_at_small_types() -> None:
    x = relay.var("x", shape=SHAPE)
    quantized = relay.cast(relay.cast(x, "float8_e4m3fn"), "float32")
    function = relay.Function([x], relay.sum(relay.multiply(quantized, x)))
    module = relay.transform.InferType()(typed(function))
    gradient = relay.transform.gradient(module["main"], module)
    value = np.full(SHAPE, 1.3, np.float32)
    _, (found,) = relay.create_executor("debug").evaluate(gradient)(value)
    np.testing.assert_array_equal(found.numpy(), np.full(SHAPE, 1.25, np.float32))


@pytest.mark.parametrize("dtype", [*SMALL, "bfloat16"])
def test_arrays_of_ml_dtypes(dtype: str) -> None:
    theirs = (np.arange(4) % 2).astype(getattr(ml_dtypes, dtype))
    found = array(theirs)
    assert (found.dtype, found.numpy().dtype) == (dtype, dtypes.to_numpy(dtype))
    shared = NDArray(theirs)
    assert shared.dtype == dtype
    assert np.shares_memory(shared.numpy(), theirs)
    assert found.typed().dtype == theirs.dtype
    np.testing.assert_array_equal(found.typed().view(np.uint8), theirs.view(np.uint8))
    np.testing.assert_array_equal(np.asarray(found, theirs.dtype).view("u1"), theirs.view("u1"))
    np.testing.assert_array_equal(np.asarray(found, "float32"), theirs.astype("float32"))
    np.testing.assert_array_equal(found.values(), theirs.astype("float32"))
    assert found[1].item() == float(theirs[1])
    if dtype != codes.E8M0:
        assert array([0.0, 1.0, 0.0, 1.0], dtype).numpy().tobytes() == theirs.tobytes()
    np.testing.assert_array_equal(array(found, "float64").numpy(), theirs.astype("float64"))
    assert relay.const(theirs).checked_type.dtype == dtype
    again = array(np.zeros(4), dtype).copyfrom(theirs)
    np.testing.assert_array_equal(again.numpy(), found.numpy())


@pytest.mark.parametrize("executor", EXECUTORS)
def test_arguments_of_ml_dtypes(executor: str) -> None:
    x = relay.var("x", shape=(3,), dtype="float8_e5m2")
    module = typed(relay.Function([x], relay.cast(x, "float32")))
    evaluate = relay.create_executor(executor, mod=module).evaluate()
    values = np.array([1, 2, np.inf], ml_dtypes.float8_e5m2)
    for given in (values, values.view(np.uint8), NDArray(values), array(values)):
        np.testing.assert_array_equal(evaluate(given).numpy(), [1, 2, np.inf])
    with pytest.raises(InputError):
        evaluate(values.astype(ml_dtypes.float8_e4m3fn))


def test_what_is_shared_with_nobody() -> None:
    with pytest.raises(BufferError, match="int4"):
        elements("int4").__dlpack__()
    assert np.from_dlpack(array([1.0])).tolist() == [1.0]


@pytest.mark.parametrize("dtype", SMALL)
def test_files(dtype: str, tmp_path: Path) -> None:
    weight = elements(dtype, seed=4)
    saved = relay.load_param_dict(relay.save_param_dict({"w": weight}))["w"]
    assert saved.dtype == dtype
    np.testing.assert_array_equal(saved.numpy(), weight.numpy())

    x = relay.var("x", shape=SHAPE, dtype=dtype)
    both = relay.concatenate([x, relay.const(weight)], 0)
    module = typed(relay.Function([x], both))
    assert relay.parse(module.astext(), "again").astext() == module.astext()

    given = elements(dtype)
    expected = np.concatenate([given.numpy(), weight.numpy()])
    path = tmp_path / "program.relay"
    relay.vm.compile(module).save(path)
    machine = relay.vm.VirtualMachine(relay.vm.load(path))
    np.testing.assert_array_equal(machine.invoke("main", given).numpy(), expected)

    relay.build(module).export_library(tmp_path / "graph.relay")
    graph = relay.load(tmp_path / "graph.relay")["default"](relay.cpu(0))
    graph.set_input("x", given)
    graph.run()
    found = graph.get_output(0)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.numpy(), expected)
