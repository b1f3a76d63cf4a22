"""The regions that marks of external compilers make, as sets of nodes."""

from collections.abc import Iterator
from dataclasses import dataclass

from relay.analysis.regions import find_regions, mark_of
from relay.ir.expr import Expr, Op
from relay.ir.visit import post_order
from relay.op.annotation import CompilerBegin, CompilerEnd
from relay.support.errors import RelayError


@dataclass(frozen=True, eq=False)
class AnnotatedRegion:
    """One region: its `nodes` in order of evaluation, the marks at its edges included.

    `args` are the ``compiler_begin`` through which values come in, `rets` the ``compiler_end``
    through which they leave; `target` is the compiler's name, `id` a number from 0.
    """

    id: int
    target: str
    nodes: tuple[Expr, ...]
    args: tuple[Expr, ...]
    rets: tuple[Expr, ...]

    def __repr__(self) -> str:
        return f"AnnotatedRegion({self.id}, {self.target!r}, {len(self.nodes)} nodes)"


class AnnotatedRegionSet:
    """The regions of `expr` between calls of `begin_op` and `end_op`, in order of evaluation.

    The operators are ``annotation.compiler_begin`` and ``annotation.compiler_end``, by object or by
    name. Raises `RelayError` for others, and where marks of two compilers meet.
    """

    def __init__(
        self,
        expr: Expr,
        begin_op: Op | str = CompilerBegin.op,
        end_op: Op | str = CompilerEnd.op,
    ) -> None:
        for given, expected in ((begin_op, CompilerBegin.op), (end_op, CompilerEnd.op)):
            op = Op.get(given) if isinstance(given, str) else given
            if op is not expected:
                raise RelayError(
                    f"regions are marked with {expected.name}, found {op.name}: only marks that "
                    "name a compiler make regions"
                )
        order = post_order(expr, enter_primitive=False)
        found = find_regions(order)
        members: dict[Expr, list[Expr]] = {}
        for node in order:
            if node in found.target:
                members.setdefault(found.units.find(node), []).append(node)
        self.regions = tuple(
            _region(number, found.target[nodes[0]], nodes)
            for number, nodes in enumerate(members.values())
        )
        self._of = {node: region for region in self.regions for node in region.nodes}

    def get_region(self, expr: Expr) -> AnnotatedRegion | None:
        """The region that `expr` is in, marks included; None when it is in none."""
        return self._of.get(expr)

    def __len__(self) -> int:
        return len(self.regions)

    def __iter__(self) -> Iterator[AnnotatedRegion]:
        return iter(self.regions)


def _region(number: int, target: str, nodes: list[Expr]) -> AnnotatedRegion:
    args = tuple(n for n in nodes if isinstance(mark_of(n), CompilerBegin))
    rets = tuple(n for n in nodes if isinstance(mark_of(n), CompilerEnd))
    return AnnotatedRegion(number, target, tuple(nodes), args, rets)
