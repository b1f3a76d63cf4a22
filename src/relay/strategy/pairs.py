"""Products of ``bfloat16`` two by two, where the target adds both products in one instruction.

The reduction loop along which the rows operand is contiguous goes in steps of two, which become one
update; the columns operand is packed with the same pairs side by side. What an odd number of
iterations leaves over is a nest of its own.
"""

from relay.loop.ir import Load
from relay.loop.walk import stride
from relay.schedule import Schedule
from relay.strategy.nests import Nest, nests_of
from relay.target import Target


def paired(update: Nest, rows: Load, columns: Load, target: Target) -> int | None:
    """Which of the loops after those of the result goes in pairs, if one does.

    `rows` is the operand of `update` that is the same for all lanes, `columns` the other one.
    """
    if not target.multiplies_pairs or update.store.buffer.dtype != "float32":
        return None
    if (rows.dtype, columns.dtype) != ("bfloat16", "bfloat16"):
        return None
    axes = update.axes[len(update.store.indices) :]
    found = [k for k, a in enumerate(axes) if a.extent > 1 and stride(rows, a.var) == 1]
    return min(found, key=lambda k: axes[k].extent % 2, default=None)


def merge_pairs(schedule: Schedule, private: str, position: int) -> None:
    """Let the reduction loop at `position` of the nests that update `private` go in pairs."""
    (nest,) = (n for n in nests_of(schedule.func, private) if n.store.reduce)
    name = nest.names[len(nest.store.indices) + position]
    order = nest.names
    extent = schedule.extent(name)
    if extent % 2:
        schedule.reorder(name, *(n for n in order if n != name))
        _, rest = schedule.cut(name, extent - 1)
        mark = rest[len(name) :]
        schedule.reorder(*(f"{n}{mark}" for n in order))
        schedule.reorder(*order)
    outer, pair = schedule.split(name, 2)
    at = order.index(name)
    schedule.reorder(*order[:at], outer, *order[at + 1 :], pair)
    schedule.merge(pair)
