"""The step that puts a copy between a stage and its readers."""

from dataclasses import dataclass

from relay.loop.ir import Block, Buffer, For, Func, Kind, Load, Stmt, Store, block
from relay.loop.walk import map_buffers
from relay.schedule.compute_at import stage_nests
from relay.schedule.names import Fresh
from relay.schedule.steps import Step
from relay.support.errors import ScheduleError
from relay.te.expr import Expr, Var


@dataclass(frozen=True)
class Isolate(Step):
    """Compute stage `buffer` as ``buffer.acc`` and copy it: then it can be tiled by itself.

    The loops of the copy are called ``buffer.copy.K``; there is one also where nothing is to run
    over, so that the stage can be computed in it.
    """

    buffer: str

    def names(self, func: Func) -> tuple[str, list[str]]:
        """The names of the stage and of the loops of its copy; raises `ScheduleError`."""
        fresh = Fresh(func)
        loops = max(1, len(self._stage(func).shape))
        return fresh(f"{self.buffer}.acc"), [fresh(f"{self.buffer}.copy.{k}") for k in range(loops)]

    def _stage(self, func: Func) -> Buffer:
        buffer = next((b for b in func.workspaces if b.name == self.buffer), None)
        if buffer is None:
            raise ScheduleError(f"isolate: {func.name} has no stage {self.buffer}")
        return buffer

    def apply(self, func: Func) -> Func:
        buffer = self._stage(func)
        name, loops = self.names(func)
        nests = stage_nests(func, buffer, "isolate")
        own = Buffer(name, buffer.shape, buffer.dtype)
        axes = [Var(loop) for loop in loops]
        place: tuple[Expr, ...] = tuple(axes[: len(buffer.shape)])
        copy: Stmt = Store(buffer, place, Load(own, place))
        for axis, extent in zip(reversed(axes), reversed(buffer.shape or (1,)), strict=True):
            copy = For(axis, extent, Kind.SERIAL, copy)
        top = func.body.stmts if isinstance(func.body, Block) else (func.body,)
        result: list[Stmt] = []
        for stmt in top:
            ours = any(stmt is n for n in nests)
            result.append(map_buffers(stmt, {buffer: own}) if ours else stmt)
            if stmt is nests[-1]:
                result.append(copy)
        return Func(func.name, func.params, block(*result), (*func.workspaces, own), func.outputs)
