"""Kernels to LLVM IR text, assembly and objects."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from relay.codegen import llvm
from relay.codegen.llvm.builder import Module
from relay.codegen.llvm.host import host_target
from relay.codegen.llvm.kernel import write_kernel
from relay.codegen.llvm.link import compile_text, link
from relay.loop.ir import Func
from relay.runtime.library import Library
from relay.runtime.threads import ensure_started
from relay.support.errors import InternalError
from relay.support.timing import stage
from relay.target import Target


def llvm_text(funcs: Sequence[Func], target: Target) -> str:
    """The LLVM IR of kernels, before optimisation."""
    with stage("code generation"):
        module = Module(target)
        for func in funcs:
            write_kernel(module, func)
        return str(module)


def assembly_text(funcs: Sequence[Func], target: Target) -> str:
    """The assembly of kernels, optimised."""
    return llvm.native.assembly(llvm_text(funcs, target), target)


@dataclass(frozen=True)
class CompiledKernels:
    """Object code, one object a kernel, by the kernel's name."""

    target: Target
    objects: dict[str, bytes] = field(default_factory=dict)

    def link(self, symbols: Sequence[str] = ()) -> Library:
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


def run_func(
    func: Func, arrays: Sequence[npt.NDArray[np.generic]], target: Target | None = None
) -> None:
    """Compile a kernel and run it once on `arrays`: its parameters, then its workspaces."""
    library = compile_kernels([func], target or host_target()).link()
    ensure_started()
    pointers = (ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays])
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library[func.name])(ctypes.addressof(pointers))
