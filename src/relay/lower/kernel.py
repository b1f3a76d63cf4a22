"""A kernel: one fused function on its way from the graph to scheduled loops."""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.ir.expr import Function
from relay.loop import nest
from relay.loop.ir import Block, Buffer, Func
from relay.loop.walk import loads, map_buffers, stores, with_body
from relay.lower.translate import Translated, translate
from relay.schedule import Schedule
from relay.schedule.steps import Pack
from relay.strategy import plan
from relay.support.timing import stage
from relay.target import Target


@dataclass(frozen=True)
class Kernel:
    """A compiled-to-be function.

    `loops` is the program as built and `schedule` what was done to it. `scheduled` is what is
    compiled: where a constant parameter is packed, it takes the packed array in its place, and
    `packs` says how to make that, by position of the parameter.
    """

    name: str
    source: Function
    translated: Translated
    loops: Func
    schedule: Schedule
    scheduled: Func
    packs: dict[int, Pack]

    @property
    def workspace_bytes(self) -> list[int]:
        """Sizes of the scratch buffers that the kernel is given."""
        return [b.nbytes for b in self.scheduled.workspaces]


def make_kernel(name: str, source: Function, constant: Sequence[bool], target: Target) -> Kernel:
    """Lower and schedule the fused function `source`.

    `constant` tells for every tensor of its parameters whether it is known at compile time.
    """
    with stage("lowering"):
        translated = translate(source)
        loops = nest.build(name, translated.inputs, translated.outputs)
    known = [*constant, *(True for _ in translated.constants)]
    names = frozenset(b.name for b, k in zip(loops.params, known, strict=False) if k)
    with stage("scheduling"):
        schedule = plan(loops, target, names)
        scheduled, packs = _take_out_packs(schedule, names)
    return Kernel(name, source, translated, loops, schedule, scheduled, packs)


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
