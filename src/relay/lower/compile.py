"""From a typed module to scheduled kernels and a plan of memory: everything but machine code."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.codegen.llvm.calls import Place, Source
from relay.codegen.llvm.calls import Step as EntryStep
from relay.ir.expr import Call, Function, Op, Var
from relay.ir.module import IRModule
from relay.ir.types import TensorType
from relay.lower.constants import Constants
from relay.lower.kernel import Kernel
from relay.lower.memory import Block, plan_memory
from relay.lower.program import Program, Step, Value, linearize
from relay.lower.translate import function_key, held_constants, operators
from relay.lower.work import origins
from relay.runtime.executable import TensorSpec
from relay.runtime.ndarray import NDArray
from relay.runtime.work import Work
from relay.support.collector import paused_collector
from relay.support.errors import UnsupportedError
from relay.target import Target
from relay.transform.base import PassContext
from relay.transform.pipelines import REQUIRED, graph_pipeline

_MAX_NAME = 60


@dataclass(frozen=True)
class CompileOptions:
    """What a module is compiled for, besides the passes' own context."""

    target: Target
    opt_level: int = 3


@dataclass(frozen=True)
class Lowered:
    """A module ready for machine code: kernels, the order of their calls, and places in memory.

    `work` says for each of the `steps` what it does and where it comes from. `constants` are made
    when they are first asked for, which takes memory: best when the machine code is there.
    """

    target: Target
    fused: IRModule
    program: Program
    kernels: tuple[Kernel, ...]
    steps: tuple[EntryStep, ...]
    placed: Constants
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    arena_bytes: int
    work: tuple[Work, ...] = ()

    @cached_property
    def constants(self) -> tuple[npt.NDArray[np.generic], ...]:
        """The constants as kernels take them."""
        return self.placed.arrays()

    def kernel(self, name: str) -> Kernel:
        """The kernel called `name`; raises `UnsupportedError` listing the kernels there are."""
        for kernel in self.kernels:
            if kernel.name == name:
                return kernel
        present = ", ".join(k.name for k in self.kernels)
        raise UnsupportedError(f"there is no kernel {name}; the kernels are {present}")


def optimise(module: IRModule, options: CompileOptions) -> IRModule:
    """`module` after all graph passes: typed, simplified, laid out and fused.

    Runs in the current `PassContext` with the options' level, and whatever that is with what
    makes one dataflow graph per function: nothing else can be lowered.
    """
    current = PassContext.current()
    context = PassContext(
        options.opt_level,
        (*(current.required_pass or ()), *REQUIRED),
        current.disabled_pass,
        current.instruments,
        current.config,
    )
    with context:
        return graph_pipeline(options.opt_level, options.target)(module)


def lower(
    module: IRModule, options: CompileOptions, each: Callable[[Kernel], object] | None = None
) -> Lowered:
    """Lower an optimised (fused) module; `each` is called with every kernel before the next one.

    Raises `UnsupportedError` for what the graph executor does not run.
    """
    with paused_collector():
        program = linearize(module["main"], _copy_function)
        kernels, calls = _make_kernels(program, options.target, each)
        placement = _Placement(program, calls)
    return Lowered(
        target=options.target,
        fused=module,
        program=program,
        kernels=tuple(kernels),
        steps=placement.steps,
        placed=placement.constants,
        inputs=tuple(
            TensorSpec(name, v.type.concrete_shape, v.type.dtype)
            for name, v in zip(program.input_names, program.inputs, strict=True)
        ),
        outputs=tuple(
            TensorSpec(f"output{k}", v.type.concrete_shape, v.type.dtype)
            for k, v in enumerate(program.outputs)
        ),
        arena_bytes=placement.arena_bytes,
        work=_work(program, calls),
    )


def _work(program: Program, calls: Sequence[Kernel]) -> tuple[Work, ...]:
    """What each step of a program, a call of one of `calls`, does."""
    return tuple(
        replace(kernel.work, nodes=origins(step.source))
        for step, kernel in zip(program.steps, calls, strict=True)
    )


def _copy_function(type_: TensorType) -> Function:
    """The fused function that copies a tensor."""
    parameter = Var("p0", type_)
    return Function([parameter], Call(Op.get("copy"), [parameter]), attrs={"Primitive": 1})


def _kernel_name(func: Function, used: Counter[str]) -> str:
    """``fused_conv2d_add_relu``, with a number where several kernels would be called so."""
    words = [name.rsplit(".", 1)[-1] for name in operators(func)]
    name = "_".join(["fused", *words])
    if len(name) > _MAX_NAME:
        name = name[:_MAX_NAME].rstrip("_")
    used[name] += 1
    return name if used[name] == 1 else f"{name}_{used[name] - 1}"


def _make_kernels(
    program: Program, target: Target, each: Callable[[Kernel], object] | None
) -> tuple[list[Kernel], list[Kernel]]:
    """The different kernels of a program, and the kernel of each of its steps."""
    _check_static(program)
    known: dict[tuple[str, tuple[bool, ...]], Kernel] = {}
    used: Counter[str] = Counter()
    calls: list[Kernel] = []
    for step in program.steps:
        constant = tuple(v.storage.constant is not None for v in step.inputs)
        key = (function_key(step.source), constant)
        kernel = known.get(key)
        if kernel is None:
            name = _kernel_name(step.source, used)
            kernel = known[key] = Kernel(name, step.source, constant, target)
            if each is not None:
                each(kernel)
        calls.append(kernel)
    return list(known.values()), calls


def _check_static(program: Program) -> None:
    values = [*program.inputs, *(v for s in program.steps for v in s.outputs)]
    for value in values:
        if not value.type.is_static:
            raise UnsupportedError(
                f"the graph executor needs static shapes; found a value of type {value.type}. "
                "Give the input shapes when importing, or bind them in the program"
            )


class _Placement:
    """Decides where every value of a program lives, and makes the packed constants."""

    def __init__(self, program: Program, calls: Sequence[Kernel]) -> None:
        self.constants = Constants()
        self._outputs = {v.storage: k for k, v in enumerate(program.outputs)}
        self._inputs = {v: k for k, v in enumerate(program.inputs)}
        self._temporaries = self._lifetimes(program)
        self._blocks = list(self._temporaries.values())
        self._workspaces: list[list[int]] = []
        for number, kernel in enumerate(calls):
            places = []
            for size in kernel.workspace_bytes:
                places.append(len(self._blocks))
                self._blocks.append(Block(size, number, number))
            self._workspaces.append(places)
        self._offsets, self.arena_bytes = plan_memory(self._blocks)
        self._numbers = {value: k for k, value in enumerate(self._temporaries)}
        self.steps = tuple(
            self._step(number, step, kernel)
            for number, (step, kernel) in enumerate(zip(program.steps, calls, strict=True))
        )

    def _lifetimes(self, program: Program) -> dict[Value, Block]:
        """When each value that lives in the arena is first written and last read."""
        first: dict[Value, int] = {}
        last: dict[Value, int] = {}
        for number, step in enumerate(program.steps):
            for value in step.outputs:
                first.setdefault(value.storage, number)
                last[value.storage] = number
            for value in step.inputs:
                last[value.storage] = number
        blocks = {}
        for value, number in first.items():
            if value not in self._outputs:
                size = int(np.prod(value.type.concrete_shape, dtype=np.int64))
                size *= dtypes.itemsize(value.type.dtype)
                blocks[value] = Block(size, number, last[value])
        return blocks

    def _step(self, number: int, step: Step, kernel: Kernel) -> EntryStep:
        args = [self._source(v, kernel, k) for k, v in enumerate(step.inputs)]
        for k, held in enumerate(held_constants(step.source), len(step.inputs)):
            args.append(self._constant(held, held.data, held.data.shape, kernel, k))
        args += [self._source(v, kernel, None) for v in step.outputs]
        args += [Source(Place.ARENA, self._offsets[k]) for k in self._workspaces[number]]
        return EntryStep(kernel.name, tuple(args))

    def _source(self, value: Value, kernel: Kernel, position: int | None) -> Source:
        storage = value.storage
        if storage.constant is not None:
            data, shape = storage.constant.data, value.type.concrete_shape
            return self._constant((storage.constant, value.type), data, shape, kernel, position)
        if storage.input is not None:
            return Source(Place.INPUT, storage.input)
        if storage in self._outputs:
            return Source(Place.OUTPUT, self._outputs[storage])
        return Source(Place.ARENA, self._offsets[self._numbers[storage]])

    def _constant(
        self,
        owner: Hashable,
        data: NDArray,
        shape: tuple[int, ...],
        kernel: Kernel,
        position: int | None,
    ) -> Source:
        pack = kernel.packs.get(position) if position is not None else None
        return Source(Place.CONSTANT, self.constants.place(owner, data, shape, pack))
