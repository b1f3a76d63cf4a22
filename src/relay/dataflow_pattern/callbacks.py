"""Rewriting: replace what patterns match, until nothing matches any more."""

from collections.abc import Sequence
from typing import Final

from relay.dataflow_pattern.engine import NodeMap, PatternNode
from relay.dataflow_pattern.groups import find_groups, rebuilt, typed_for
from relay.dataflow_pattern.patterns import DFPattern
from relay.infer import infer_expr, infer_types
from relay.ir.equal import structural_equal
from relay.ir.expr import Expr, Function
from relay.ir.module import IRModule
from relay.ir.visit import post_order
from relay.support.errors import RelayError

ROUNDS: Final = 100
"""A rewrite that still changes things after so many rounds is taken to go on for ever."""


class DFPatternCallback:
    """A rewrite: where `pattern` matches, `callback` says what to put there.

    A derived class sets ``self.pattern`` in ``__init__``, after ``super().__init__()``. With
    `require_type` the expression is annotated before each round. With `rewrite_once` there is one
    round only.
    """

    pattern: DFPattern | None

    def __init__(self, require_type: bool = False, rewrite_once: bool = False) -> None:
        self.pattern = None
        self.require_type = require_type
        self.rewrite_once = rewrite_once

    def rewrite(self, expr: Expr) -> Expr:
        """`expr` after this rewrite; see `relay.dataflow_pattern.rewrite`."""
        return rewrite(self, expr)

    def callback(self, pre: Expr, post: Expr, node_map: NodeMap) -> Expr:
        """What to put in place of a match.

        `pre` is its last node as it was matched, `post` the same over what its arguments have been
        rewritten to. `node_map` gives the expressions that each pattern matched, rewritten too:
        ``node_map[self.x][0]``. Returns `post` where nothing is to change.
        """
        raise TypeError(f"{type(self).__name__} does not define `callback`")


def rewrite(
    callbacks: DFPatternCallback | Sequence[DFPatternCallback],
    expr: Expr,
    mod: IRModule | None = None,
) -> Expr:
    """`expr` after all `callbacks`, in rounds, until a round changes nothing.

    Which matches count is said in `relay.dataflow_pattern.groups.find_groups`. `mod` has the global
    functions that `expr` calls, for callbacks that require types. Raises `RelayError` for a
    callback without a pattern, and when a hundred rounds do not suffice.
    """
    listed = [callbacks] if isinstance(callbacks, DFPatternCallback) else list(callbacks)
    for callback in listed:
        if callback.pattern is None:
            raise RelayError(f"{type(callback).__name__} has no pattern: set self.pattern")
    active = listed
    for _ in range(ROUNDS):
        before = expr
        for callback in active:
            assert callback.pattern is not None
            expr = _annotated(expr, mod) if callback.require_type else expr
            expr = _round(callback, callback.pattern, expr)
        active = [callback for callback in active if not callback.rewrite_once]
        if not active or expr is before or structural_equal(before, expr):
            return expr
    names = ", ".join(type(callback).__name__ for callback in active)
    raise RelayError(
        f"the rewrites {names} still change the expression after {ROUNDS} rounds: let the callback "
        "return `post` where nothing is to change, or set rewrite_once"
    )


def _annotated(expr: Expr, mod: IRModule | None) -> Expr:
    if mod is None or "main" in mod:
        return infer_expr(expr)
    typed = infer_types(IRModule.from_expr(expr, mod.functions))["main"]
    return typed if isinstance(expr, Function) else typed.body


def _round(callback: DFPatternCallback, pattern: DFPattern, expr: Expr) -> Expr:
    """`expr` after one round of one rewrite."""
    expr = typed_for(pattern, expr)
    groups = find_groups(pattern, expr)
    if not groups:
        return expr
    done: dict[Expr, Expr] = {}
    for node in post_order(expr):
        done[node] = rebuilt(node, done)
        group = groups.get(node)
        if group is not None:
            found: dict[PatternNode, Sequence[Expr]] = {
                part: tuple(done.get(e, e) for e in exprs)
                for part, exprs in group.match.nodes.items()
            }
            done[node] = callback.callback(node, done[node], found)
    return done[expr]
