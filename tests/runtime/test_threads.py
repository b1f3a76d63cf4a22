"""The thread pool: use from many threads, forks, sizes, the end of the process."""

import ctypes
import multiprocessing
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from relay.codegen.llvm.host import host_target
from relay.codegen.llvm.jit import compile_kernels
from relay.codegen.llvm.link import thread_pool
from relay.loop.ir import Buffer, For, Func, Kind, Load, Store, block
from relay.runtime.memory import aligned_empty
from relay.runtime.threads import ensure_started, get_num_threads, set_num_threads
from relay.support.errors import InputError
from relay.te.expr import Var, cast, compare, const, either

N = 1000


@pytest.fixture(scope="module")
def kernel():
    """Adds one to every element, three times, in parallel loops of different lengths."""
    x = Buffer("x", (N,), "int32")

    def step(count):
        i, j = Var("i"), Var("j")
        index = i * (N // count) + j
        body = For(j, N // count, Kind.SERIAL, Store(x, (index,), Load(x, (index,)) + 1))
        return For(i, count, Kind.PARALLEL, body)

    library = compile_kernels(
        [Func("add", (x,), For(Var("r"), 20, Kind.SERIAL, block(step(N), step(2), step(5))))],
        host_target(),
    ).link()
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library["add"])

    def run(array):
        ensure_started()
        pointers = (ctypes.c_void_p * 1)(array.ctypes.data)
        function(ctypes.addressof(pointers))

    run.library = library
    return run


@pytest.fixture
def four_threads():
    before = get_num_threads()
    set_num_threads(4)
    yield
    set_num_threads(before)


def zeros():
    x = aligned_empty((N,), "int32")
    x[...] = 0
    return x


def test_every_iteration_runs_once(kernel, four_threads):
    x = zeros()
    for _ in range(20):
        kernel(x)
    assert (x == 20 * 60).all()


def test_many_callers(kernel, four_threads):
    arrays = [zeros() for _ in range(8)]

    def work(x):
        for _ in range(20):
            kernel(x)

    threads = [threading.Thread(target=work, args=(x,)) for x in arrays]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all((x == 20 * 60).all() for x in arrays)


def test_sizes(kernel):
    before = get_num_threads()
    for threads in (1, 3, 2, 6, 1):
        set_num_threads(threads)
        assert get_num_threads() == threads
        x = zeros()
        kernel(x)
        assert (x == 60).all()
    set_num_threads(before)
    with pytest.raises(InputError, match="1 to"):
        set_num_threads(0)


def test_a_held_up_thread_leaves_its_work_to_the_others():
    """The caller is held up in the first piece of its part until all the rest has been begun."""
    before = get_num_threads()
    set_num_threads(2)
    ensure_started()
    lock, caller_begun, rest_begun = threading.Lock(), threading.Event(), threading.Event()
    begun: dict[int, list[int]] = {}
    waited: list[bool] = []

    def body(env, begin, end, step):
        me = threading.get_ident()
        if me == caller:
            caller_begun.set()
        else:
            caller_begun.wait(timeout=20)
        with lock:
            begun.setdefault(me, []).extend(range(begin, end, step))
            if sum(map(len, begun.values())) == 32:
                rest_begun.set()
        if me == caller and not waited:
            waited.append(rest_begun.wait(timeout=20))

    caller, number = threading.get_ident(), ctypes.c_int64
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, number, number, number)(body)
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, number)
    parallel_for = call(thread_pool().addresses["relay_parallel_for"])
    for _ in range(2):  # forwards and backwards
        for state in (begun, waited, caller_begun, rest_begun):
            state.clear()
        parallel_for(ctypes.cast(function, ctypes.c_void_p), None, 32)
        assert waited == [True]
        assert sorted(i for part in begun.values() for i in part) == list(range(32))
        assert len(begun[caller]) == 8
    set_num_threads(before)


def test_uneven_iterations_all_run_once():
    """Work that grows with the number of the iteration: all of it once, whoever does it."""
    x = Buffer("x", (37,), "int32")
    i, j = Var("i"), Var("j")
    counts = either(compare("le", const(30), i), compare("lt", j, const(1)))
    add = Store(x, (i,), Load(x, (i,)) + cast(counts, "int32"))
    body = For(i, 37, Kind.PARALLEL, For(j, 20_000, Kind.SERIAL, add))
    library = compile_kernels([Func("late", (x,), body)], host_target()).link()
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library["late"])
    before = get_num_threads()
    for threads in (1, 2, 3, 5):
        set_num_threads(threads)
        array = aligned_empty((37,), "int32")
        array[...] = 0
        pointers = (ctypes.c_void_p * 1)(array.ctypes.data)
        for _ in range(10):
            function(ctypes.addressof(pointers))
        assert (array == np.where(np.arange(37) >= 30, 200_000, 10)).all()
    set_num_threads(before)


def test_restart_after_shutdown(kernel, four_threads):
    pool = thread_pool()
    pool.shutdown()
    assert pool.stale
    x = zeros()
    kernel(x)
    assert not pool.stale
    assert (x == 60).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork(kernel, four_threads):
    kernel(zeros())

    def child(queue):
        x = zeros()
        kernel(x)
        queue.put(bool((x == 60).all()))

    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    assert queue.get(timeout=20)
    process.join(timeout=20)
    assert process.exitcode == 0
    x = zeros()
    kernel(x)
    assert (x == 60).all()


def test_process_ends_cleanly():
    code = (
        "from relay.codegen.llvm.link import thread_pool\n"
        "from relay.runtime.threads import set_num_threads, ensure_started\n"
        "set_num_threads(4); thread_pool(); ensure_started()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    assert done.returncode == 0


def test_numpy_is_untouched(kernel):
    x = zeros()
    kernel(x)
    assert int(np.sum(x)) == 60 * N
