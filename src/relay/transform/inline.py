"""`Inline`: the functions that ask for it, where they are called."""

from dataclasses import dataclass

from relay.analysis.call_graph import CallGraph
from relay.ir.expr import Call, Expr, Function, GlobalVar
from relay.ir.module import IRModule
from relay.ir.visit import rewrite
from relay.transform.base import Pass, PassContext
from relay.transform.copies import applied


@dataclass(frozen=True)
class Inline(Pass):
    """Replace calls of global functions with the attribute ``Inline`` by their bodies.

    Arguments are bound to variables, so that they are evaluated once. Recursive functions, and uses
    that are no calls, stay; a marked function that is not used any more is dropped. Linear in the
    size of the result. ::

        def @main(%x) { @f(exp(%x)) }  def @f(%y, Inline=1) { add(%y, %y) }
        ->
        def @main(%x) { let %y = exp(%x); add(%y, %y) }
    """

    opt_level = 1
    required = ("InferType",)

    def run(self, module: IRModule, context: PassContext) -> IRModule:
        graph = CallGraph(module)
        bodies: dict[str, Function] = {}
        results: dict[str, Function] = {}

        def inlined(node: Expr) -> Expr:
            if isinstance(node, Call) and isinstance(node.op, GlobalVar):
                body = bodies.get(node.op.name_hint)
                if body is not None:
                    return applied(body, node)
            return node

        for name in graph.callees_first():
            function = rewrite(module[name], inlined, enter_primitive=False)
            assert isinstance(function, Function)
            results[name.name_hint] = function
            if function.attrs.get("Inline") and not graph.is_recursive(name):
                bodies[name.name_hint] = function
        changed = module.with_functions({g: results[g.name_hint] for g in module})
        if not bodies:
            return changed
        return _without_unused(changed, bodies.keys() - _unused_before(graph, bodies))


def _unused_before(graph: CallGraph, names: dict[str, Function]) -> set[str]:
    """The marked functions that nothing called anyway: entry points, which stay."""
    return {name for name in names if not graph.ref_count(name)}


def _without_unused(module: IRModule, candidates: set[str]) -> IRModule:
    """`module` without those of `candidates` that nothing names, callers first."""
    graph = CallGraph(module)
    dropped: set[str] = set()
    counts = {name: graph.ref_count(name) for name in candidates}
    for variable in reversed(graph.callees_first()):
        name = variable.name_hint
        if name in candidates and not counts[name]:
            dropped.add(name)
            for callee in graph.callees(name):
                if callee in counts:
                    counts[callee] -= graph.names(name, callee)
    kept = {g: f for g, f in module.functions.items() if g.name_hint not in dropped}
    return module.with_functions(kept)
