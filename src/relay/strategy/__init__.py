"""Strategies: which schedule steps suit which loops on which target.

A strategy sees loops and the numbers of `Target`, never an operator's name. They are tried in the
order of `plan`; the last one, elementwise, always applies.
"""

from relay.loop.ir import Func
from relay.schedule import Schedule
from relay.schedule.steps import Pack
from relay.strategy.attention import schedule_attention
from relay.strategy.contraction import schedule_contraction
from relay.strategy.elementwise import schedule_rest
from relay.strategy.nests import top_nests
from relay.strategy.reduction import schedule_reductions
from relay.strategy.transformed import schedule_transformed
from relay.strategy.transposes import schedule_transposes
from relay.target import Target


def plan(func: Func, target: Target, constants: frozenset[str] = frozenset()) -> Schedule:
    """The schedule of `func` for `target`.

    `constants` are the names of parameters whose value is known at compile time: the loops that
    pack them, which run then, are left as they are.
    """
    schedule = Schedule(func)
    schedule_attention(schedule, target)
    for buffer in schedule.func.workspaces:
        if any(n.store.buffer is buffer and n.store.reduce for n in top_nests(schedule.func)):
            if not schedule_transformed(schedule, buffer, target, constants):
                schedule_contraction(schedule, buffer, target, constants)
    schedule_reductions(schedule, target)
    done = {s.packed_name for s in schedule.trace if isinstance(s, Pack) and s.buffer in constants}
    schedule_transposes(schedule, target, done)
    schedule_rest(schedule, target, done)
    return schedule


__all__ = ["plan"]
