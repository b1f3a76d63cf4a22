"""Immediate post-dominators of a directed acyclic graph whose edges carry a weight.

Node *d* post-dominates node *n* when every path from *n* to the outside passes *d*. The immediate
post-dominator is the nearest such node: the lowest common ancestor, in the tree built so far, of
the nodes that *n*'s edges lead to. Each node keeps one ancestor pointer that jumps (E. W. Myers,
"An applicative random-access stack", 1983), so that the whole tree takes O(edges · log nodes).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

OUTSIDE: Final = -1
"""The end of all paths, as the target of an edge and as a post-dominator."""

Edge = tuple[int, int]
"""Where an edge leads to (a node's number, or `OUTSIDE`), and its weight."""


@dataclass
class _TreeNode:
    """A node of the post-dominator tree. `weight`: the largest on any path to `parent`."""

    depth: int
    parent: "_TreeNode | None"
    weight: int
    index: int
    jump: "_TreeNode | None" = None
    jump_weight: int = 0


@dataclass(frozen=True)
class PostDominator:
    """The immediate post-dominator `node` and the largest `weight` on any path to it."""

    node: int
    weight: int


def immediate_post_dominators(edges: Sequence[Sequence[Edge]]) -> list[PostDominator]:
    """The immediate post-dominator of every node, given the edges that leave it.

    Nodes are numbered so that every edge leads to a higher number, or to `OUTSIDE`. A node without
    edges is not used: its post-dominator is `OUTSIDE`, with weight 0.
    """
    root = _TreeNode(0, None, 0, OUTSIDE)
    tree = [root] * len(edges)
    for index in range(len(edges) - 1, -1, -1):
        common: _TreeNode | None = None
        weight = 0
        for target, edge_weight in edges[index]:
            node = root if target == OUTSIDE else tree[target]
            weight = max(weight, edge_weight)
            if common is None:
                common = node
            else:
                common, passed = _lowest_common_ancestor(common, node)
                weight = max(weight, passed)
        tree[index] = _child(index, root if common is None else common, weight)
    return [
        PostDominator(OUTSIDE if node.parent is None else node.parent.index, node.weight)
        for node in tree
    ]


def _child(index: int, parent: _TreeNode, weight: int) -> _TreeNode:
    node = _TreeNode(parent.depth + 1, parent, weight, index, parent, weight)
    jump = parent.jump
    if jump is not None and jump.jump is not None:
        if parent.depth - jump.depth == jump.depth - jump.jump.depth:
            node.jump = jump.jump
            node.jump_weight = max(weight, parent.jump_weight, jump.jump_weight)
    return node


def _lowest_common_ancestor(a: _TreeNode, b: _TreeNode) -> tuple[_TreeNode, int]:
    """The lowest common ancestor, and the largest weight passed on the way up to it."""
    weight = 0
    if a.depth < b.depth:
        a, b = b, a
    while a.depth > b.depth:
        jumps = a.jump is not None and a.jump.depth >= b.depth
        a, passed = _up(a, jumps)
        weight = max(weight, passed)
    # Nodes of one depth jump over the same number of nodes.
    while a is not b:
        jumps = a.jump is not b.jump
        (a, passed), (b, passed_too) = _up(a, jumps), _up(b, jumps)
        weight = max(weight, passed, passed_too)
    return a, weight


def _up(node: _TreeNode, jumps: bool) -> tuple[_TreeNode, int]:
    """The ancestor one step, or one jump, above `node`, and the largest weight on the way."""
    target, weight = (node.jump, node.jump_weight) if jumps else (node.parent, node.weight)
    assert target is not None, "the root is an ancestor of every node"
    return target, weight
