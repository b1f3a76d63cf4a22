"""Graphs of the virtual machine: machine code, or functions to be specialised at run time.

A graph whose shapes are all known is compiled ahead of time. One with sizes that are known only at
run time is compiled when it meets arguments of certain shapes. Of the code for different shapes it
keeps what was used last. `Specialising.compilations` lists every such event, and a program made
with ``specialise=False`` refuses it.
"""

import ctypes
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from relay.codegen.llvm.calls import SYMBOL
from relay.executor.build import build
from relay.executor.graph import GraphFactory
from relay.executor.vm.operators import late_arguments
from relay.executor.vm.values import Layout, Tensor, layout
from relay.ir.expr import Call, Constant, Expr, Function, Let, Tuple, TupleGetItem, Var
from relay.ir.module import IRModule
from relay.ir.types import TensorType, flatten_tensor_types
from relay.ir.visit import post_order, substitute
from relay.op.dynamic import DynamicOperator
from relay.runtime.executable import TensorSpec
from relay.runtime.ndarray import NDArray
from relay.support.errors import InputError, InternalError, RelayError, UnsupportedError
from relay.target import Target
from relay.transform.dynamic_to_static import LIKE, DynamicToStatic
from relay.transform.infer_type import InferType
from relay.transform.to_graph_normal_form import ToGraphNormalForm

_Shapes: TypeAlias = tuple[tuple[int, ...], ...]
_Key: TypeAlias = tuple[_Shapes, tuple[bytes, ...]]
_ENTRY = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)


class Graph:
    """Machine code of one graph: its entry, what its results are, the constants it reads."""

    def __init__(self, factory: GraphFactory) -> None:
        self.factory = factory
        self.arena_bytes = factory.arena_bytes
        self.inputs = _layouts(factory.inputs)
        self.outputs = _layouts(factory.outputs)
        addresses = [c.ctypes.data for c in factory.constants]
        self._table = (ctypes.c_void_p * max(1, len(addresses)))(*addresses)
        self._constants = ctypes.addressof(self._table)
        # Code for another machine can be saved, but not called.
        code = factory.library
        self._entry = _ENTRY(code[SYMBOL]) if code is not None else lambda *_: factory.linked()
        self._pack_inputs = struct.Struct(f"={len(self.inputs)}Q").pack
        self._pack_outputs = struct.Struct(f"={len(self.outputs)}Q").pack

    @property
    def arity(self) -> tuple[int, int]:
        """How many tensors it takes and gives."""
        return len(self.inputs), len(self.outputs)

    def specialise(self, arguments: Sequence[Tensor]) -> "Graph":
        """The machine code for `arguments`: this. Raises `InputError` where they do not fit."""
        if [a.layout for a in arguments] != self.inputs:
            raise InputError(
                f"compiled code for arguments ({_shown(self.inputs)}) is called with "
                f"({_shown([a.layout for a in arguments])})"
            )
        return self

    def run(self, arguments: Sequence[Tensor], arena: int) -> list[Tensor]:
        """The results for `arguments`, which fit. `arena` is the address of scratch memory."""
        results = [Tensor(spec) for spec in self.outputs]
        self._entry(
            self._pack_inputs(*[a.address for a in arguments]),
            self._pack_outputs(*[r.address for r in results]),
            self._constants,
            arena,
        )
        return results


def _layouts(specs: Sequence[TensorSpec]) -> list[Layout]:
    return [layout(spec.shape, spec.dtype) for spec in specs]


def _shown(layouts: Sequence[Layout]) -> str:
    return ", ".join(map(str, layouts))


@dataclass
class Specialising:
    """How the dynamic graphs of a program are compiled while it runs, if that is `allowed`.

    Each keeps its code for `limit` combinations of sizes. `compilations` lists the shapes of all
    that was compiled, and of what was compiled once more.
    """

    allowed: bool = True
    limit: int = 64
    compilations: list[str] = field(default_factory=list)


@dataclass
class DynamicGraph:
    """A graph with sizes unknown until run time; compiled for each combination that it meets.

    Parameters in `late` decide about sizes with their values (``dyn.reshape(%x, %shape)``): it is
    compiled for each of these, too.
    """

    function: Function
    target: Target
    specialising: Specialising = field(default_factory=Specialising)
    known: dict[_Key, Graph] = field(default_factory=dict)
    """What is compiled; what was used last comes last."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while `known` changes."""
    compiling: threading.Lock = field(default_factory=threading.Lock)
    """Held while code is made, so that no two threads make the same."""
    late: tuple[int, ...] = field(init=False)
    undecided: bool = field(init=False)
    """Whether there are operators whose attributes are to be found yet."""

    def __post_init__(self) -> None:
        calls = [n for n in post_order(self.function) if isinstance(n, Call)]
        found = {late for call in calls for late in late_arguments(call)}
        self.late = tuple(k for k, p in enumerate(self.function.params) if p in found)
        self.undecided = any(isinstance(call.attrs, (DynamicOperator, *LIKE)) for call in calls)

    @property
    def arity(self) -> tuple[int, int]:
        """How many tensors it takes and gives."""
        results = flatten_tensor_types(self.function.body.checked_type)
        return len(self.function.params), len(results)

    def specialise(self, arguments: Sequence[Tensor]) -> Graph:
        """The machine code for the shapes of `arguments`, compiled unless it is there.

        Raises `UnsupportedError` where that is not allowed or not possible, and `InputError` for
        arguments that the graph does not take.
        """
        shapes = tuple([a.layout.shape for a in arguments])
        values = tuple([arguments[k].numpy().tobytes() for k in self.late])
        key = (shapes, values)
        graph = self._used(key)
        if graph is None:
            with self.compiling:
                graph = self._used(key)  # another thread may have waited for the same
                if graph is None:
                    graph = self._compile(shapes, arguments)
                    self._keep(key, graph)
        return graph.specialise(arguments)

    def _used(self, key: _Key) -> Graph | None:
        """The code for `key`, if it is there; it is the last to be forgotten from now on."""
        with self.lock:
            graph = self.known.pop(key, None)
            if graph is not None:
                self.known[key] = graph
            return graph

    def _keep(self, key: _Key, graph: Graph) -> None:
        """Keep `graph`, and forget what is too much; who runs that has it until it ends."""
        with self.lock:
            self.known[key] = graph
            while len(self.known) > self.specialising.limit:
                del self.known[next(iter(self.known))]

    def _compile(self, shapes: _Shapes, arguments: Sequence[Tensor]) -> Graph:
        types = flatten_tensor_types(Tuple(self.function.params).checked_type)
        if len(types) != len(shapes):
            raise InputError(f"a graph takes {len(types)} arguments, found {len(shapes)}")
        concrete = [
            Var(p.name_hint, TensorType(shape, type_.dtype))
            for p, shape, type_ in zip(self.function.params, shapes, types, strict=True)
        ]
        shown = ", ".join(str(v.type_annotation) for v in concrete)
        if not self.specialising.allowed:
            raise UnsupportedError(
                f"a graph has to be compiled for arguments ({shown}), but this program was made "
                "with specialise=False"
            )
        try:
            function = _retyped(self.function, concrete)
            values = {concrete[k]: _constant(arguments[k]) for k in self.late}
            if values:
                function = function.with_body(substitute(function.body, values))
            if self.undecided:
                function = _decided(function)
            graph = compile_graph(function, self.target)
        except RelayError as error:
            raise type(error)(
                f"a graph cannot be compiled for arguments ({shown}): {error.message}"
            ) from error
        self.specialising.compilations.append(shown)
        return graph


def _retyped(function: Function, params: Sequence[Var]) -> Function:
    """`function` with other parameters, and types inside derived from theirs."""
    body = substitute(function.body, dict(zip(function.params, params, strict=True)))
    bound = [n.variable for n in post_order(body) if isinstance(n, Let)]
    fresh = {v: Var(v.name_hint) for v in bound}
    return Function(params, substitute(body, fresh))


def _constant(tensor: Tensor) -> Expr:
    return Constant(NDArray(tensor.numpy().copy(), tensor.dtype))


def _decided(function: Function) -> Function:
    """`function` with ordinary operators for ``dyn`` ones, whose sizes are constants now."""
    module = InferType()(ToGraphNormalForm()(InferType()(IRModule.from_expr(function))))
    return InferType()(DynamicToStatic()(module))["main"]


def compile_graph(function: Function, target: Target) -> Graph:
    """Compile straight-line dataflow of known shapes."""
    return Graph(build(IRModule.from_expr(function), target))


def is_static(function: Function) -> bool:
    """Whether all tensors in a graph have known shapes."""
    for node in post_order(function):
        if isinstance(node, Function | Tuple | TupleGetItem):
            continue
        if isinstance(node, Call) and isinstance(node.attrs, DynamicOperator):
            return False
        try:
            types = flatten_tensor_types(node.checked_type)
        except ValueError:
            raise InternalError(f"a graph contains a value of type {node.checked_type}") from None
        if not all(t.is_static for t in types):
            return False
    return True
