"""Kernels to objects, objects into this process.

The optimisation pipeline is LLVM's own at level `_LEVEL` without its vectorizers and unroller:
schedules have vectorized and unrolled already.
"""

import ctypes
import ctypes.util
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import llvmlite.binding as llvm
import numpy as np
import numpy.typing as npt

from relay.codegen.llvm.builder import Module
from relay.codegen.llvm.host import host_target, target_machine
from relay.codegen.llvm.kernel import write_kernel
from relay.codegen.llvm.objects import cache_key, cache_read, cache_write
from relay.codegen.llvm.support import KERNEL_SYMBOLS, support_text
from relay.codegen.llvm.support import SYMBOLS as SUPPORT_SYMBOLS
from relay.loop.ir import Func
from relay.runtime.threads import Pool, ensure_started, install
from relay.support.errors import InternalError
from relay.support.timing import stage
from relay.target import Target

_LEVEL = 2


def llvm_text(funcs: Sequence[Func], target: Target) -> str:
    """The LLVM IR of kernels, before optimisation."""
    with stage("code generation"):
        module = Module(target)
        for func in funcs:
            write_kernel(module, func)
        return str(module)


@cache
def _options() -> llvm.PipelineTuningOptions:
    """How LLVM optimises. Made once: every call of LLVM may have to wait for Python's lock."""
    options = llvm.create_pipeline_tuning_options(speed_level=_LEVEL)
    options.loop_vectorization = False
    options.slp_vectorization = False
    options.loop_unrolling = False
    options.loop_interleaving = False
    return options


def optimised(text: str, target: Target) -> llvm.ModuleRef:
    """LLVM IR text parsed, verified and optimised."""
    machine = target_machine(target)
    try:
        module = llvm.parse_assembly(text)
        # Alignments and the integers that registers hold are the target's, not LLVM's defaults.
        module.data_layout = str(machine.target_data)
        module.verify()
    except RuntimeError as error:
        raise InternalError(f"malformed LLVM IR: {error}\n{text}") from error
    builder = llvm.create_pass_builder(machine, _options())
    builder.getModulePassManager().run(module, builder)
    return module


def object_code(text: str, target: Target) -> bytes:
    """The object file for a module of LLVM IR text."""
    with stage("LLVM"):
        return bytes(target_machine(target).emit_object(optimised(text, target)))


def assembly_text(funcs: Sequence[Func], target: Target) -> str:
    """The assembly of kernels, optimised."""
    module = optimised(llvm_text(funcs, target), target)
    return str(target_machine(target).emit_assembly(module))


@dataclass(frozen=True)
class CompiledKernels:
    """Object code, one object a kernel, by the kernel's name."""

    target: Target
    objects: dict[str, bytes] = field(default_factory=dict)

    def link(self, symbols: Sequence[str] = ()) -> "Library":
        """Load the kernels into this process; `symbols` are exported beside the kernels."""
        return link(list(self.objects.values()), [*self.objects, *symbols])


def compile_kernels(funcs: Sequence[Func], target: Target) -> CompiledKernels:
    """Compile kernels, which have different names, for `target`, or take them from the cache."""
    kernels = CompiledKernels(target)
    for func in funcs:
        if func.name in kernels.objects:
            raise InternalError(f"two kernels are called {func.name}")
        kernels.objects[func.name] = compile_text(llvm_text([func], target), target)
    return kernels


def compile_text(text: str, target: Target) -> bytes:
    """The object for a module of LLVM IR text, from the cache where it is there."""
    key = cache_key(text, target)
    image = cache_read(key)
    if image is None:
        image = object_code(text, target)
        cache_write(key, image)
    return image


@cache
def _engine() -> llvm.LLJIT:
    host_target()
    return llvm.create_lljit_compiler(target_machine(host_target()))


_numbers = itertools.count()


class Library:
    """Linked code: addresses by symbol. The code lives as long as this object."""

    def __init__(self, tracker: llvm.ResourceTracker, symbols: Sequence[str]) -> None:
        self._tracker = tracker
        self.addresses: Mapping[str, int] = {name: int(tracker[name]) for name in symbols}

    def __getitem__(self, symbol: str) -> int:
        return self.addresses[symbol]


def link(
    objects: Sequence[bytes], symbols: Sequence[str], imports: Mapping[str, int] | None = None
) -> Library:
    """Link objects into this process and find the addresses of `symbols`."""
    builder = llvm.JITLibraryBuilder()
    for image in objects:
        builder.add_object_img(image)
    for name, address in (imports or default_imports()).items():
        builder.import_symbol(name, address)
    builder.add_current_process()
    for name in symbols:
        builder.export_symbol(name)
    return Library(builder.link(_engine(), f"relay{next(_numbers)}"), symbols)


#: Where kernels find what they call from the C library, by platform: shared libraries to search.
_LIBM_NAMES = (
    "exp log log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf pow fmod "
    "floor ceil trunc rint roundeven fma"
).split()


@cache
def _c_library() -> dict[str, int]:
    """Addresses of the C mathematics functions that this platform has."""
    name = ctypes.util.find_library("m") or ctypes.util.find_library("msvcrt")
    library = ctypes.CDLL(name)
    found = {}
    for base in _LIBM_NAMES:
        for symbol in (base, base + "f"):
            function = getattr(library, symbol, None)
            if function is not None:
                found[symbol] = int(ctypes.cast(function, ctypes.c_void_p).value or 0)
    return found


@cache
def thread_pool() -> Pool:
    """The process's thread pool, from support code compiled for this machine."""
    target = host_target()
    image = compile_text(support_text(target), target)
    library = link([image], SUPPORT_SYMBOLS, _c_library())
    _forever.append(library)
    return install(library.addresses)


#: Code that threads may be running until the very end of the process.
_forever: list[Library] = []


def default_imports() -> dict[str, int]:
    """Addresses of what kernels call: the support code and the C mathematics library."""
    support = thread_pool().addresses
    return {**_c_library(), **{name: support[name] for name in KERNEL_SYMBOLS}}


def run_func(
    func: Func, arrays: Sequence[npt.NDArray[np.generic]], target: Target | None = None
) -> None:
    """Compile a kernel and run it once on `arrays`: its parameters, then its workspaces."""
    library = compile_kernels([func], target or host_target()).link()
    ensure_started()
    pointers = (ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays])
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library[func.name])(ctypes.addressof(pointers))
