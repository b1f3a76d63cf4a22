"""The entry function, executables and the object cache."""

import numpy as np
import pytest

from relay.codegen.llvm import objects
from relay.codegen.llvm.calls import SYMBOL, Place, Source, Step
from relay.codegen.llvm.entry import entry_text
from relay.codegen.llvm.host import host_target
from relay.codegen.llvm.jit import compile_kernels
from relay.codegen.llvm.link import link, object_code
from relay.codegen.llvm.objects import (
    cache_key,
    cache_read,
    cache_write,
    directory,
    object_path,
    sweep,
)
from relay.loop.ir import Buffer, For, Func, Kind, Load, Store
from relay.runtime.executable import Executable, TensorSpec
from relay.runtime.memory import aligned_empty
from relay.support.errors import InputError
from relay.te.expr import Var


def add_func(name, n=64):
    a, b, c = (Buffer(x, (n,), "float32") for x in "abc")
    i = Var("i")
    body = For(i, n, Kind.PARALLEL, Store(c, (i,), Load(a, (i,)) + Load(b, (i,))))
    return Func(name, (a, b, c), body)


@pytest.fixture(scope="module")
def executable():
    """``out = (x + y) + k``, through the arena."""
    target = host_target()
    kernels = compile_kernels([add_func("first"), add_func("second")], target)
    x, y, out = Source(Place.INPUT, 0), Source(Place.INPUT, 1), Source(Place.OUTPUT, 0)
    middle, k = Source(Place.ARENA, 64), Source(Place.CONSTANT, 0)
    steps = [Step("first", (x, y, middle)), Step("second", (middle, k, out))]
    entry = object_code(entry_text(steps, target), target)
    library = link([*kernels.objects.values(), entry], [SYMBOL])
    specs = [TensorSpec(n, (64,), "float32") for n in ("x", "y", "out")]
    constant = np.full(64, 10, np.float32)
    return Executable(library[SYMBOL], specs[:2], specs[2:], [constant], 1024, library)


def test_run(executable):
    x, y = np.arange(64, dtype=np.float32), np.ones(64, np.float32)
    executable.set_input("x", x)
    executable.set_input(1, y)
    executable.run()
    np.testing.assert_array_equal(executable.output(0).numpy(), x + 11)


def test_call_gives_outputs_of_their_own(executable):
    ones, twos = np.full(64, 1, np.float32), np.full(64, 2, np.float32)
    first, second = executable(ones, ones)[0], executable(twos, twos)[0]
    assert (first.numpy() == 12).all()
    assert (second.numpy() == 14).all()
    other = executable.clone()
    assert (other(ones, twos)[0].numpy() == 13).all()


def test_aligned_inputs_are_not_copied(executable):
    x = aligned_empty((64,), "float32")
    x[...] = 1
    other = executable.clone()
    other.set_input("x", x)
    other.set_input("y", x)
    x[...] = 2
    other.run()
    assert (other.output(0).numpy() == 14).all()


def test_wrong_inputs(executable):
    fresh = executable.clone()
    with pytest.raises(InputError, match=r"no value yet: x: float32\[64\], y"):
        fresh.run()
    with pytest.raises(InputError, match="the inputs are: x"):
        fresh.set_input("z", np.zeros(64, np.float32))
    with pytest.raises(InputError, match=r"expects float32\[64\], not float32\[63\]"):
        fresh.set_input("x", np.zeros(63, np.float32))
    with pytest.raises(InputError, match="not float64"):
        fresh.set_input("x", np.zeros(64))
    with pytest.raises(InputError, match="expected 2 inputs"):
        fresh(np.zeros(64, np.float32))


def test_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("RELAY_CACHE", raising=False)
    target = host_target()
    key = cache_key("text", target)
    assert key != cache_key("text2", target)
    assert cache_read(key) is None
    cache_write(key, b"object")
    assert cache_read(key) == b"object"
    path = object_path(key)
    path.write_bytes(path.read_bytes() + b"x")
    assert cache_read(key) is None
    for number in range(4):
        cache_write(f"ff{number}", bytes(1000))
    folder = object_path("ff").parent
    sweep(folder, 8192)
    assert len(list(folder.iterdir())) == 2
    monkeypatch.setattr(objects, "BOUND", 4096 * 256)
    for number in range(objects._SWEEP_EVERY + 1):
        cache_write(f"ee{number}", b"one in each block")
    assert len(list(object_path("ee").parent.iterdir())) <= objects._SWEEP_EVERY
    first, again = (compile_kernels([add_func("cached")], target).objects for _ in range(2))
    assert first == again
    monkeypatch.setenv("RELAY_CACHE", "off")
    assert directory() is None
    cache_write(key, b"object")
    assert cache_read(key) is None
