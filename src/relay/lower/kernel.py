"""A kernel: one fused function on its way from the graph to machine code."""

from collections.abc import Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import cached_property

from relay.codegen.llvm.jit import llvm_text
from relay.codegen.llvm.link import compile_text, object_code
from relay.ir.expr import Function
from relay.loop import nest
from relay.loop.ir import Block, Buffer, Func
from relay.loop.walk import loads, map_buffers, stores, with_body
from relay.lower.record import Record, Summary, read_record, record_key, write_record
from relay.lower.translate import Translated, function_key, is_own, translate
from relay.lower.work import kernel_work
from relay.runtime.work import Work
from relay.schedule import Schedule
from relay.schedule.steps import Pack
from relay.strategy import plan
from relay.support.timing import stage
from relay.target import Target


@dataclass(frozen=True, eq=False)
class Kernel:
    """The fused function `source` as a kernel called `name`, for `target`.

    `constant` tells for every tensor of its parameters whether it is known at compile time. What a
    caller has to know, and the object code, come from the cache on disk where they are there;
    `translated`, `loops`, `schedule` and `scheduled` are made when they are asked for, and are the
    same either way.
    """

    name: str
    source: Function
    constant: tuple[bool, ...]
    target: Target

    @cached_property
    def translated(self) -> Translated:
        """The function as tensor expressions."""
        with stage("lowering"):
            return translate(self.source)

    @cached_property
    def loops(self) -> Func:
        """The program as built."""
        with stage("lowering"):
            return nest.build(self.name, self.translated.inputs, self.translated.outputs)

    @cached_property
    def schedule(self) -> Schedule:
        """What is done to `loops`."""
        loops = self.loops
        with stage("scheduling"):
            return plan(loops, self.target, self._known)

    @property
    def scheduled(self) -> Func:
        """What is compiled.

        Where a constant parameter is packed, it takes the packed array in its place; see `packs`.
        """
        return self._without_packs[0]

    @property
    def packs(self) -> Mapping[int, Pack]:
        """How to make the packed arrays that the kernel takes, by position of the parameter."""
        return self._summary.packs

    @property
    def workspace_bytes(self) -> tuple[int, ...]:
        """Sizes of the scratch buffers that the kernel is given."""
        return self._summary.workspace_bytes

    @property
    def work(self) -> Work:
        """What a call does; its nodes are left open."""
        return self._summary.work

    def object_code(self, worker: Executor) -> "Future[bytes]":
        """The object file of the kernel: from the cache, or made by `worker` and kept there.

        Only LLVM is left to `worker`: it runs beside the Python that makes the next kernel's text.
        """
        if self._record is not None:
            found: Future[bytes] = Future()
            found.set_result(self._record.image)
            return found
        return worker.submit(self._compile, llvm_text([self.scheduled], self.target), self._summary)

    def _compile(self, text: str, summary: Summary) -> bytes:
        if self._key is None:
            return compile_text(text, self.target)
        image = object_code(text, self.target)
        write_record(self._key, Record(summary, image))
        return image

    @cached_property
    def _key(self) -> str | None:
        """The key of the record; None where sources that it does not know decide about the code."""
        if not is_own(self.source):
            return None
        return record_key(self.name, function_key(self.source), self.constant, self.target)

    @cached_property
    def _record(self) -> Record | None:
        return None if self._key is None else read_record(self._key)

    @cached_property
    def _summary(self) -> Summary:
        if self._record is not None:
            return self._record.summary
        scheduled, packs = self._without_packs
        sizes = tuple(b.nbytes for b in scheduled.workspaces)
        return Summary(packs, sizes, kernel_work(self.source, self.loops))

    @property
    def _known(self) -> frozenset[str]:
        """The names of the parameters whose value is known at compile time."""
        inputs = self.loops.params[: -self.loops.outputs]
        held = (True,) * (len(inputs) - len(self.constant))
        known = (*self.constant, *held)
        return frozenset(b.name for b, k in zip(inputs, known, strict=True) if k)

    @cached_property
    def _without_packs(self) -> tuple[Func, dict[int, Pack]]:
        schedule = self.schedule
        with stage("scheduling"):
            return _take_out_packs(schedule, self._known)


def _take_out_packs(schedule: Schedule, constants: frozenset[str]) -> tuple[Func, dict[int, Pack]]:
    """The scheduled program without the packing of constants, and that packing."""
    func = schedule.finish()
    packs: dict[int, Pack] = {}
    for step in schedule.trace:
        if isinstance(step, Pack) and step.buffer in constants:
            position = next(i for i, b in enumerate(func.params) if b.name == step.buffer)
            packed = next(b for b in func.workspaces if b.name == step.packed_name)
            without = _without_writes(func, packed)
            if any(e.buffer is func.params[position] for e in loads(without.body)):
                continue  # also read as it is: pack it in every run
            func = _with_parameter(without, position, packed)
            packs[position] = step
    return func, packs


def _without_writes(func: Func, buffer: Buffer) -> Func:
    """`func` without the statements at its top that write `buffer`."""
    top = func.body.stmts if isinstance(func.body, Block) else (func.body,)
    kept = [s for s in top if not any(store.buffer is buffer for store in stores(s))]
    return with_body(func, Block(tuple(kept)))


def _with_parameter(func: Func, position: int, packed: Buffer) -> Func:
    """`func` taking the workspace `packed` as its parameter at `position`."""
    parameter = Buffer(packed.name, packed.shape, packed.dtype)
    params = list(func.params)
    params[position] = parameter
    body = map_buffers(func.body, {packed: parameter})
    workspaces = tuple(b for b in func.workspaces if b is not packed)
    return Func(func.name, tuple(params), body, workspaces, func.outputs)
