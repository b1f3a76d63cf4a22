"""Sizes unknown until run time, threads, memory, arguments, and the machine's own interface."""

import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import relay
from relay.executor.vm.graphs import DynamicGraph
from relay.support.errors import InputError, RelayError, UnsupportedError

HEADER = '#[version = "0.0.5"]\n'
RNG = np.random.default_rng(0)
LOOP = """def @main(%n: int32, %x: Tensor[(16), float32]) -> Tensor[(16), float32] {
  let %loop = fn(%i: int32, %a: Tensor[(16), float32]) -> Tensor[(16), float32] {
    if (less(%i, %n)) { %loop(add(%i, 1), add(%a, %x)) } else { %a } };
  %loop(0, %x) }"""


def machine(text: str, specialise: bool = True) -> relay.vm.VirtualMachine:
    return relay.vm.VirtualMachine(
        relay.vm.compile(relay.parse(HEADER + text), specialise=specialise)
    )


def floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


# ---------------------------------------------------------------------- sizes unknown now

DYNAMIC = {
    "elementwise": "{ add(exp(%x), %x) }",
    "dense": """{ nn.dense(%x, ones(shape=[5, 3], dtype="float32"), units=None) }""",
    "concatenate": "{ concatenate((%x, negative(%x)), axis=0) }",
    "reshape": "{ reshape(%x, newshape=[-1]) }",
    "sum and softmax": "{ (sum(%x, axis=[0]), nn.softmax(%x)) }",
    "branches of different sizes": """{
        let %y = if (less(sum(%x), 0f)) { concatenate((%x, %x), axis=0) } else { %x };
        exp(%y) }""",
    "functions": """{
        let %f = fn(%t: (Tensor[(?, 3), float32], float32)) { multiply(%t.0, %t.1) };
        %f((%f((%x, 2f)), 3f)) }""",
}


@pytest.mark.parametrize("name", DYNAMIC)
def test_dynamic(name: str) -> None:
    mod = relay.parse(HEADER + "def @main(%x: Tensor[(?, 3), float32]) " + DYNAMIC[name])
    reference = relay.create_executor("debug", mod=mod).evaluate()
    vm = relay.vm.VirtualMachine(relay.vm.compile(mod))
    for rows in (1, 4, 2):
        x = floats(rows, 3)
        for _ in range(2):
            found, expected = vm.invoke("main", x), reference(x)
            if not isinstance(expected, tuple):
                found, expected = (found,), (expected,)
            for mine, theirs in zip(found, expected, strict=True):
                np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6)


def test_compilations_are_listed_and_kept() -> None:
    vm = machine("def @main(%x: Tensor[(?, 3), float32]) { exp(%x) }")
    events = vm.executable.compilations
    assert events == []
    for rows in (2, 3, 2, 3):
        vm.run(floats(rows, 3))
    assert events == ["Tensor[(2, 3), float32]", "Tensor[(3, 3), float32]"]


def rows_of(vm: relay.vm.VirtualMachine, start: int = 0) -> list[int]:
    """For how many rows graphs were compiled, from event number `start`."""
    events = vm.executable.compilations[start:]
    return [int(event.removeprefix("Tensor[(").split(",")[0]) for event in events]


def test_what_was_used_last_is_kept() -> None:
    vm = machine("def @main(%x: Tensor[(?, 3), float32]) { (exp(%x), 1) }")
    assert vm.executable.specialisation_limit == 64
    vm.executable.specialisation_limit = 2
    for rows in (1, 2, 1, 3):  # 3 drives out 2
        vm.run(floats(rows, 3))
    assert rows_of(vm) == [1, 2, 3]
    for rows in (1, 3, 2, 3, 1):
        x = floats(rows, 3)
        np.testing.assert_allclose(vm.run(x)[0].numpy(), np.exp(x), rtol=1e-5)
    assert rows_of(vm, 3) == [2, 1]
    vm.executable.specialisation_limit = 1  # from the next compilation on
    vm.run(floats(3, 3))
    assert rows_of(vm, 5) == []
    for rows in (4, 3, 4, 4):
        vm.run(floats(rows, 3))
    assert rows_of(vm, 5) == [4, 3, 4]
    with pytest.raises(InputError, match="one at least, found 0"):
        vm.executable.specialisation_limit = 0


def test_forgotten_code_is_freed() -> None:
    vm = machine("def @main(%x: Tensor[(?, 3), float32]) { exp(%x) }")
    vm.executable.specialisation_limit = 2
    (graph,) = vm.executable.graphs
    assert isinstance(graph, DynamicGraph)
    results = []
    libraries = []
    for rows in range(1, 8):
        results.append((rows, vm.run(np.zeros((rows, 3), np.float32))))
        libraries.append(weakref.ref(list(graph.known.values())[-1].factory.library))
    assert len(graph.known) == 2
    gc.collect()
    assert [library() is not None for library in libraries] == [False] * 5 + [True] * 2
    for rows, result in results:  # their memory is their own
        np.testing.assert_array_equal(result.numpy(), np.ones((rows, 3), np.float32))


def test_a_loop_that_grows_a_tensor() -> None:
    vm = machine("""def @main(%x: Tensor[(1), float32], %n: int32) -> Tensor[(?), float32] {
        let %loop = fn(%i: int32, %a: Tensor[(?), float32]) -> Tensor[(?), float32] {
          if (less(%i, %n)) { %loop(add(%i, 1), concatenate((%a, %x), axis=0)) } else { %a } };
        %loop(0, %x) }""")
    x = np.ones(1, np.float32)
    assert vm.run(x, 5).shape == (6,)
    assert len(vm.executable.compilations) == 5
    assert vm.run(x, 5).shape == (6,)
    assert len(vm.executable.compilations) == 5


def test_sizes_that_are_computed() -> None:
    mod = relay.parse(
        HEADER
        + """def @main(%x: Tensor[(?, ?), float32], %n: Tensor[(2), int64]) {
        let %s = multiply(%n, 2i64);
        let %y = dyn.reshape(exp(%x), %s);
        (%y, sum(%y, axis=[0]), dyn.reshape(%x, shape_of(%y, dtype="int64"))) }"""
    )
    reference = relay.create_executor("debug", mod=mod).evaluate()
    vm = relay.vm.VirtualMachine(relay.vm.compile(mod))
    x = floats(4, 6)
    for sizes in ([1, 6], [3, 2], [1, 6]):
        given = np.array(sizes, np.int64)
        for mine, theirs in zip(vm.run(x, given), reference(x, given), strict=True):
            np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-5)
    with pytest.raises(RelayError, match="cannot be compiled for arguments"):
        vm.run(x, np.array([5, 5], np.int64))


def test_without_specialisation() -> None:
    vm = machine("def @main(%x: Tensor[(?, 3), float32]) { exp(%x) }", specialise=False)
    with pytest.raises(UnsupportedError, match=r"\(2, 3\).*specialise=False"):
        vm.run(floats(2, 3))
    static = machine("def @main(%x: Tensor[(2, 3), float32]) { exp(%x) }", specialise=False)
    assert static.run(floats(2, 3)).shape == (2, 3)


def test_sizes_that_do_not_fit_are_refused() -> None:
    vm = machine("""def @main(%x: Tensor[(?), float32], %y: Tensor[(?), float32]) {
        add(%x, %y) }""")
    with pytest.raises(RelayError, match=r"cannot be compiled for arguments \(Tensor\[\(2\)"):
        vm.run(floats(2), floats(3))
    assert vm.run(floats(3), floats(3)).shape == (3,)
    narrow = machine("""def @f(%x: Tensor[(3), float32]) { exp(%x) }
        def @main(%x: Tensor[(?), float32]) { @f(%x) }""")
    assert narrow.run(floats(3)).shape == (3,)
    with pytest.raises(InputError, match="compiled code for arguments"):
        narrow.run(floats(4))


# ---------------------------------------------------------------------- threads and memory


def test_threads_share_an_executable() -> None:
    vm = machine("""def @main(%x: Tensor[(?, 8), float32], %n: int32) -> Tensor[(?, 8), float32] {
        let %loop = fn(%i: int32, %a: Tensor[(?, 8), float32]) -> Tensor[(?, 8), float32] {
          if (less(%i, %n)) { %loop(add(%i, 1), nn.softmax(add(%a, %x))) } else { %a } };
        %loop(0, %x) }""")
    inputs = [floats(rows, 8) for rows in range(1, 9)]
    expected = [machine_result.numpy().copy() for machine_result in (vm.run(x, 4) for x in inputs)]
    wrong: list[str] = []

    def work(number: int) -> None:
        for k in range(200):
            which = (number + k) % 8
            found = vm.invoke("main", inputs[which], 4).numpy()
            if not np.array_equal(found, expected[which]):
                wrong.append(f"thread {number}, run {k}")

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(vm.executable.compilations) == 8


def test_threads_drive_out_code_that_others_run() -> None:
    vm = machine("""def @main(%x: Tensor[(?, 8), float32]) { nn.softmax(add(%x, %x)) }""")
    vm.executable.specialisation_limit = 2
    inputs = [floats(rows, 8) for rows in range(1, 5)]
    expected = [result.numpy().copy() for result in map(vm.run, inputs)]
    wrong: list[str] = []

    def work(number: int) -> None:
        for k in range(20):
            which = (number + k) % 4
            try:
                if np.array_equal(vm.invoke("main", inputs[which]).numpy(), expected[which]):
                    continue
                wrong.append(f"thread {number}, run {k}")
            except RelayError as error:
                wrong.append(str(error))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    (graph,) = vm.executable.graphs
    assert isinstance(graph, DynamicGraph)
    assert len(graph.known) == 2
    assert len(vm.executable.compilations) > 4


def test_a_loop_needs_no_more_memory_than_a_step() -> None:
    size = 1 << 16
    vm = machine(LOOP.replace("(16)", f"({size})"))
    x = np.zeros(size, np.float32)
    vm.run(2, x)
    gc.collect()
    gc.disable()
    try:
        tracemalloc.start()
        vm.run(10_000, x)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert peak < 4 * 4 * size


def test_a_straight_line_forgets_what_it_has_used() -> None:
    size, steps = 1 << 16, 40
    lines = "".join(f"let %y{k} = @f(%y{k - 1}); " for k in range(1, steps))
    kind = f"Tensor[({size}), float32]"
    vm = machine(f"""def @f(%x: {kind}) -> {kind} {{ add(%x, 1f) }}
        def @main(%x: {kind}) {{ let %y0 = @f(%x); {lines} @f(%y{steps - 1}) }}""")
    x = np.zeros(size, np.float32)
    vm.run(x)
    tracemalloc.start()
    vm.run(x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * 4 * size


def test_recursive_closures_leave_no_cycles() -> None:
    vm = machine(LOOP)
    x = np.zeros(16, np.float32)
    vm.run(3, x)
    gc.collect()
    gc.disable()
    try:
        vm.run(3, x)
        assert gc.collect() == 0
    finally:
        gc.enable()


# ---------------------------------------------------------------------- arguments and results


def test_arguments_of_all_kinds() -> None:
    vm = machine("def @main(%x: Tensor[(2, 3), float32], %n: int32) { (add(%x, %x), %n) }")
    x = floats(2, 3)
    strided = np.asarray(floats(3, 2).T)

    class Foreign:
        def __init__(self, array: np.ndarray) -> None:
            self.__dlpack__ = array.__dlpack__
            self.__dlpack_device__ = array.__dlpack_device__

    for given in (x, relay.NDArray(x), x.tolist(), strided, Foreign(x)):
        array = given if isinstance(given, np.ndarray) else x
        np.testing.assert_allclose(vm.run(given, 3)[0].numpy(), 2 * array, rtol=1e-6)
    assert vm.run(n=np.int32(4), x=x)[1].item() == 4
    assert vm.run(x, relay.const(4))[1].item() == 4


def test_wrong_arguments() -> None:
    vm = machine("""def @main(%x: Tensor[(2), float32], %t: (int32, (int32,))) {
        (%x, (%t.1).0) }""")
    x = floats(2)
    assert vm.run(x, (1, (2,)))[1].item() == 2
    cases = [
        ((x,), r"expected the arguments \(x, t\), found 1 by position"),
        ((x, (1, (2,)), 3), "found 3 by position"),
        ((floats(3), (1, (2,))), r"x: expected Tensor\[\(2\), float32\], found .*\(3\)"),
        ((x.astype(np.float64), (1, (2,))), "x: expected .* found .*float64"),
        ((x, (1, 2)), "t.1: expected a tuple of 1 fields"),
        ((x, 5), "t: expected a tuple of 2 fields"),
        ((x, (1, ("a",))), "t.1.0: expected an array, found a str"),
        ((None, (1, (2,))), "x: expected an array, found a NoneType"),
    ]
    for arguments, message in cases:
        with pytest.raises(InputError, match=message):
            vm.run(*arguments)
    with pytest.raises(InputError, match=r"no function @nothing; the functions are: @main"):
        vm.invoke("nothing")
    with pytest.raises(InputError, match="by name"):
        vm.run(x, y=3)


def test_what_relay_users_know() -> None:
    executable = relay.vm.compile(relay.parse(HEADER + LOOP), target="llvm")
    vm = relay.vm.VirtualMachine(executable, relay.cpu(0))
    x = np.ones(16, np.float32)
    vm.set_input("main", 3, x=x)
    vm.run()
    (result,) = vm.get_outputs()
    np.testing.assert_array_equal(result.numpy(), 4 * x)
    assert executable.globals == ["main"]
    assert executable.get_function_params("main") == ["n", "x"]
    assert len(vm.benchmark(2, x, repeat=2, number=1)) == 2
    with pytest.raises(InputError):
        vm.set_input("main", 3)


def test_constants_cannot_be_changed_through_results() -> None:
    vm = machine("def @main() { 7f }")
    result = vm.run().numpy()
    assert not result.flags.writeable
    assert vm.run().item() == 7


def test_parameters_are_bound() -> None:
    x, w = relay.var("x", shape=(2, 3)), relay.var("w", shape=(4, 3))
    mod = relay.IRModule.from_expr(relay.Function([x, w], relay.nn.dense(x, w)))
    weight, given = floats(4, 3), floats(2, 3)
    for run in (
        relay.vm.VirtualMachine(relay.vm.compile(mod, params={"w": weight})).run,
        relay.create_executor("vm", mod=mod, params={"w": weight}).evaluate(),
    ):
        np.testing.assert_allclose(run(given).numpy(), given @ weight.T, rtol=1e-5)


@pytest.mark.parametrize("level", [0, 1, 2, 3])
@pytest.mark.parametrize("kind", ["vm", "graph"])
def test_every_level_of_optimisation(kind: str, level: int) -> None:
    mod = relay.parse(
        HEADER
        + """def @main(%x: Tensor[(2), float32]) {
        let %y = exp(%x);
        add(%y, %x) }"""
    )
    with relay.transform.PassContext(opt_level=level):
        found = relay.create_executor(kind, mod=mod).evaluate()(np.ones(2, np.float32))
    np.testing.assert_allclose(found.numpy(), np.exp(1) + 1, rtol=1e-6)
