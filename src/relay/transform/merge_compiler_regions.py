"""`MergeCompilerRegions`: larger regions for external compilers."""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.analysis.regions import Regions, find_regions, mark_of, sorted_units, used_units
from relay.ir.expr import Expr, Function
from relay.ir.module import IRModule
from relay.ir.visit import bound_vars, post_order
from relay.op.annotation import CompilerBegin, CompilerEnd
from relay.transform.base import FunctionPass, PassContext


@dataclass(frozen=True)
class MergeCompilerRegions(FunctionPass):
    """Join neighbouring regions of one compiler, unless a value would have to leave and come back.

    Regions that are joined give up the marks between them; those between them and others stay. The
    regions that result do not depend on one another in a circle. ::

        %1 = annotation.compiler_end(nn.relu(..), compiler="toy");
        %2 = annotation.compiler_begin(%1, compiler="toy");  nn.relu(%2)
        ->
        nn.relu(nn.relu(..))
    """

    opt_level = 0
    required = ("InferType",)

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        order = post_order(func.body, enter_primitive=False)
        regions = find_regions(order)
        if not regions.target:
            return func
        for target in dict.fromkeys(regions.target.values()):
            _join(order, regions, target)
        result = func.rebuild((*func.params, _without_inner_marks(func.body, order, regions)))
        assert isinstance(result, Function)
        return result


def _join(order: Sequence[Expr], regions: Regions, target: str) -> None:
    """Join the neighbouring regions of `target` that are equally often left before.

    A way out of a region and back into another raises how often; so there is none between regions
    that are joined. Other targets come after this one, with its regions as they are then.
    """
    units = regions.units
    left: dict[Expr, int] = {}
    edges: list[tuple[Expr, Expr]] = []
    for nodes in sorted_units(order, units):
        unit = units.find(nodes[0])
        own = regions.target.get(nodes[0]) == target
        left[unit] = 0
        for node in nodes:
            for source in used_units(node, units):
                if source not in left:
                    continue
                from_target = regions.target.get(source) == target
                left[unit] = max(left[unit], left[source] + (from_target and not own))
                if from_target and own:
                    edges.append((source, unit))
    joined = [(a, b) for a, b in edges if left[a] == left[b]]
    for a, b in joined:
        units.join(a, b)


def _without_inner_marks(body: Expr, order: Sequence[Expr], regions: Regions) -> Expr:
    units = regions.units
    done: dict[Expr, Expr] = {}
    for node in order:
        children = node.children()
        binders = len(bound_vars(node))
        if not all(child in done for child in children[binders:]):
            done[node] = node
            continue
        if isinstance(mark_of(node), CompilerBegin):
            (source,) = children
            inner = isinstance(mark_of(source), CompilerEnd)
            if inner and units.find(source) is units.find(node):
                done[node] = done[source.children()[0]]
                continue
        used = [*children[:binders], *(done[child] for child in children[binders:])]
        done[node] = node.rebuild(used)
    return done[body]
