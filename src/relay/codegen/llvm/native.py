"""LLVM itself, through llvmlite: the machine's description, optimisation, objects, and its linker.

Reached as `relay.codegen.llvm.native` only, which loads it on first use: it takes 20 MB and more.

The optimisation pipeline is LLVM's own at level `_LEVEL` without its vectorizers and unroller:
schedules have vectorized and unrolled already.
"""

import ctypes
import ctypes.util
import itertools
from collections.abc import Mapping, Sequence
from functools import cache

import llvmlite.binding as llvm

from relay.runtime.library import Library
from relay.support.errors import InternalError
from relay.target import Target, for_cpu

_LEVEL = 2


@cache
def _initialize(native: bool) -> None:
    """Make LLVM's code generators available: this machine's, or all, which take 10 MB more."""
    if native:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
    else:
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
    llvm.initialize_native_asmparser()


def describe_host() -> tuple[str, str, tuple[str, ...]]:
    """LLVM's triple, CPU and sorted features of this machine."""
    features = llvm.get_host_cpu_features()
    present = tuple(sorted(name for name, has in features.items() if has))
    return llvm.get_process_triple(), llvm.get_host_cpu_name(), present


@cache
def target_machine(target: Target) -> llvm.TargetMachine:
    """LLVM's code generator for `target`. Objects are position independent."""
    _initialize(target.triple == llvm.get_process_triple())
    features = ",".join(f"+{name}" for name in target.features)
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=features, opt=2, reloc="pic", codemodel="small"
    )


@cache
def _options() -> llvm.PipelineTuningOptions:
    """How LLVM optimises. Made once: every call of LLVM may have to wait for Python's lock."""
    options = llvm.create_pipeline_tuning_options(speed_level=_LEVEL)
    options.loop_vectorization = False
    options.slp_vectorization = False
    options.loop_unrolling = False
    options.loop_interleaving = False
    return options


def _optimised(text: str, target: Target) -> llvm.ModuleRef:
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
    """The object file for LLVM IR text, which is parsed, verified and optimised."""
    return bytes(target_machine(target).emit_object(_optimised(text, target)))


def assembly(text: str, target: Target) -> str:
    """The assembly for LLVM IR text, optimised."""
    return str(target_machine(target).emit_assembly(_optimised(text, target)))


# ---------------------------------------------------------------------- where we do not load


@cache
def _engine() -> llvm.LLJIT:
    triple, cpu, features = describe_host()
    return llvm.create_lljit_compiler(target_machine(for_cpu(triple, cpu, features)))


_numbers = itertools.count()


def load(objects: Sequence[bytes], symbols: Sequence[str], imports: Mapping[str, int]) -> Library:
    """Load object files by LLVM's linker: where `relay.runtime.library` knows no way.

    Raises `RuntimeError` for what LLVM cannot link.
    """
    builder = llvm.JITLibraryBuilder()
    for image in objects:
        builder.add_object_img(image)
    for name, address in {**_c_library(), **imports}.items():
        builder.import_symbol(name, address)
    builder.add_current_process()
    for name in symbols:
        builder.export_symbol(name)
    tracker = builder.link(_engine(), f"relay{next(_numbers)}")
    return Library(tracker, {name: int(tracker[name]) for name in symbols})


#: What kernels call of the C mathematics library.
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
