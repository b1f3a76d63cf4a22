"""Running a compiled graph with a clock between its kernels."""

import time
from weakref import WeakKeyDictionary

import numpy as np

from relay.codegen.llvm.calls import PROFILED_SYMBOL
from relay.codegen.llvm.entry import profiled_entry_text, tick_seconds
from relay.codegen.llvm.link import compile_text, link
from relay.executor.graph import GraphFactory
from relay.executor.profile.machine import measure_machine
from relay.executor.profile.profile import Profile
from relay.runtime.executable import Executable
from relay.runtime.library import Library
from relay.runtime.threads import get_num_threads
from relay.support.errors import InputError

#: The entries that tell the time, by the code of the graph they belong to.
_entries: "WeakKeyDictionary[Library, Library]" = WeakKeyDictionary()


def profile_graph(
    factory: GraphFactory, executable: Executable, runs: int, warm_up: int, roofline: bool
) -> Profile:
    """The profile of `executable`, made by `factory`; see `GraphModule.profile`."""
    if runs < 1 or warm_up < 0:
        raise InputError(
            f"profiling needs at least 1 run and 0 runs to warm up, not {runs} and {warm_up}"
        )
    if len(factory.calls) != factory.steps:
        raise InputError("this program does not list its kernel calls; compile the model again")
    entry = _profiled_entry(factory)
    stamps = np.zeros((runs, len(factory.calls) + 1), np.int64)
    walls, plain = np.zeros(runs), np.zeros(runs)
    for _ in range(warm_up):
        executable.run()
        executable.run_profiled(entry, stamps[0])
    for k in range(runs):
        start = time.perf_counter()
        executable.run()
        middle = time.perf_counter()
        executable.run_profiled(entry, stamps[k])
        walls[k] = time.perf_counter() - middle
        plain[k] = middle - start
    seconds = (stamps - stamps[:, :1]) * tick_seconds(factory.target)
    # The clock of the stamps is another one than the caller's: half of the rest is before them.
    lead = np.maximum(walls - seconds[:, -1], 0.0) / 2
    return Profile(
        target=factory.target.cpu,
        threads=get_num_threads(),
        names=tuple(step.kernel for step in factory.calls),
        work=factory.work,
        stamps=seconds + lead[:, None],
        walls=walls,
        plain=plain,
        ceilings=measure_machine() if roofline else None,
    )


def _profiled_entry(factory: GraphFactory) -> int:
    """The address of the entry that tells the time; it is compiled on first use."""
    library = factory.linked()
    found = _entries.get(library)
    if found is None:
        text = profiled_entry_text(factory.calls, factory.target)
        entry = compile_text(text, factory.target)
        # The last object is the usual entry, which calls the same kernels.
        found = link([*factory.objects[:-1], entry], [PROFILED_SYMBOL])
        _entries[library] = found
    return found[PROFILED_SYMBOL]
