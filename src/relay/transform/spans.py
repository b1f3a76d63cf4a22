"""`AnnotateSpans` and `CapturePostDfsIndexInSpans`: positions for programs that have none."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from relay.analysis.post_dominators import OUTSIDE, immediate_post_dominators
from relay.ir.adt import Constructor
from relay.ir.expr import Expr, Function, GlobalVar
from relay.ir.module import IRModule
from relay.ir.parser import parse
from relay.ir.visit import post_order, used_children
from relay.support.source import Source, Span
from relay.transform.base import FunctionPass, Pass, PassContext

PRINTED: Final = "printed.relay"
"""The name of the text that the spans of `AnnotateSpans` lie in."""

INDEX: Final = Source("index", "")
"""The source of the spans of `CapturePostDfsIndexInSpans`."""


@dataclass(frozen=True)
class AnnotateSpans(Pass):
    """Give every expression the position that it has in the printed module.

    The module is printed and parsed back, so that errors about a program that was built in Python
    show its text. ::

        add(%x, %x)   ->   add(%x, %x), at printed.relay:3:3
    """

    opt_level = 0

    def run(self, module: IRModule, context: PassContext) -> IRModule:
        return parse(module.astext(show_meta_data=True), PRINTED)


@dataclass(frozen=True)
class CapturePostDfsIndexInSpans(FunctionPass):
    """Number the expressions of a function, for those who debug a partitioning.

    The line of a span is the place of its expression in post-order, the column that of its
    immediate post-dominator: the nearest expression that all uses lead to; both count from 0, and
    the function itself, which none dominates, has its own number twice. ::

        add(%x, exp(%x))   ->   %x at index:0:2, exp(%x) at index:1:2, add(..) at index:2:3
    """

    opt_level = 0

    def run_function(self, func: Function, module: IRModule, context: PassContext) -> Function:
        order = post_order(func)
        number = {node: k for k, node in enumerate(order)}
        edges: list[list[tuple[int, int]]] = [[] for _ in order]
        for node in order:
            for child in used_children(node):
                edges[number[child]].append((number[node], 0))
        edges[-1].append((OUTSIDE, 0))
        dominators = immediate_post_dominators(edges)
        done: dict[Expr, Expr] = {}
        for k, node in enumerate(order):
            if isinstance(node, GlobalVar | Constructor):
                # The module declares these: a copy would be another function or constructor.
                done[node] = node
                continue
            dominator = k if dominators[k].node == OUTSIDE else dominators[k].node
            rebuilt = node.rebuild([done[child] for child in node.children()])
            done[node] = _at(rebuilt, Span(INDEX, k, dominator, k, dominator))
        result = done[func]
        assert isinstance(result, Function)
        return result


def _at(node: Expr, span: Span) -> Expr:
    """A copy of `node` with another span."""
    make: Callable[..., Expr] = type(node)
    return make(*(getattr(node, name) for name in node._fields), span=span)
