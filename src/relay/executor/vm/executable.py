"""A compiled program of the virtual machine: functions, constants, and graphs as machine code.

A graph whose shapes are all known is compiled ahead of time. One with sizes that are known only at
run time is compiled when it first meets arguments of certain shapes, and kept: `compilations` lists
every such event, and a program made with ``specialise=False`` refuses it.
"""

import ctypes
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.codegen.llvm.entry import SYMBOL
from relay.executor.build import build
from relay.executor.graph import GraphFactory
from relay.executor.vm.instructions import VMFunction
from relay.executor.vm.values import Tensor
from relay.ir.adt import Constructor
from relay.ir.expr import Function, Let, Tuple, TupleGetItem, Var
from relay.ir.module import IRModule
from relay.ir.types import TensorType, flatten_tensor_types
from relay.ir.visit import post_order, substitute
from relay.support.errors import InternalError, UnsupportedError
from relay.target import Target

_ENTRY = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)


class Graph:
    """Machine code of one graph: its entry, what its results are, the constants it reads."""

    def __init__(self, factory: GraphFactory) -> None:
        self.factory = factory
        self.entry: Callable[..., None] = _ENTRY(factory.library[SYMBOL])
        self.arena_bytes = factory.arena_bytes
        self.output_specs = [
            (spec.shape, spec.dtype, _nbytes(spec.shape, spec.dtype)) for spec in factory.outputs
        ]
        addresses = [c.ctypes.data for c in factory.constants]
        self._constants = (ctypes.c_void_p * max(1, len(addresses)))(*addresses)
        self.constants = ctypes.addressof(self._constants)

    def specialise(self, arguments: Sequence[Tensor]) -> "Graph":
        """The machine code for `arguments`: this, whatever they are."""
        return self


def _nbytes(shape: Sequence[int], dtype: str) -> int:
    return math.prod(shape) * dtypes.itemsize(dtype)


@dataclass
class DynamicGraph:
    """A graph with sizes unknown until run time; compiled for each combination that it meets."""

    function: Function
    target: Target
    compilations: list[str]
    allowed: bool = True
    known: dict[tuple[tuple[int, ...], ...], Graph] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def specialise(self, arguments: Sequence[Tensor]) -> Graph:
        """The machine code for the shapes of `arguments`, compiled unless they have been met."""
        shapes = tuple(t.shape for t in arguments)
        graph = self.known.get(shapes)
        if graph is not None:
            return graph
        with self.lock:
            if shapes not in self.known:
                self.known[shapes] = self._compile(shapes)
        return self.known[shapes]

    def _compile(self, shapes: tuple[tuple[int, ...], ...]) -> Graph:
        types = flatten_tensor_types(Tuple(self.function.params).checked_type)
        concrete = [
            Var(p.name_hint, TensorType(shape, type_.dtype))
            for p, shape, type_ in zip(self.function.params, shapes, types, strict=True)
        ]
        shown = ", ".join(str(v.type_annotation) for v in concrete)
        if not self.allowed:
            raise UnsupportedError(
                f"a graph has to be compiled for arguments ({shown}), but this program was made "
                "with specialise=False"
            )
        self.compilations.append(shown)
        return compile_graph(_retyped(self.function, concrete), self.target)


def _retyped(function: Function, params: Sequence[Var]) -> Function:
    """`function` with other parameters, and types inside derived from theirs."""
    body = substitute(function.body, dict(zip(function.params, params, strict=True)))
    bound = [n.variable for n in post_order(body) if isinstance(n, Let)]
    fresh = {v: Var(v.name_hint) for v in bound}
    return Function(params, substitute(body, fresh))


def compile_graph(function: Function, target: Target) -> Graph:
    """Compile straight-line dataflow of known shapes."""
    return Graph(build(IRModule.from_expr(function), target))


def is_static(function: Function) -> bool:
    """Whether all tensors in a graph have known shapes."""
    for node in post_order(function):
        if isinstance(node, Function | Tuple | TupleGetItem):
            continue
        try:
            types = flatten_tensor_types(node.checked_type)
        except ValueError:
            raise InternalError(f"a graph contains a value of type {node.checked_type}") from None
        if not all(t.is_static for t in types):
            return False
    return True


@dataclass
class VMExecutable:
    """What `relay.vm.compile` returns; `VirtualMachine` runs it, several at once if need be."""

    functions: tuple[VMFunction, ...]
    entries: dict[str, int]
    graphs: tuple[Graph | DynamicGraph, ...]
    constants: tuple[npt.NDArray[np.generic], ...]
    constant_dtypes: tuple[str, ...]
    constructors: dict[int, Constructor]
    compilations: list[str]
    target: Target

    def __post_init__(self) -> None:
        self.constant_values = [
            Tensor.of(array, dtype)
            for array, dtype in zip(self.constants, self.constant_dtypes, strict=True)
        ]
