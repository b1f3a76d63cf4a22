"""Where the nodes of a program stand in its text: in which block, and whether in place."""

from collections.abc import Sequence
from enum import Enum
from typing import TypeAlias

from relay.ir.expr import Expr, Function, If, Let
from relay.ir.match import Match
from relay.ir.visit import post_order

Piece: TypeAlias = "str | Expr | Block"
"""Text without line ends; an expression marks where its own text begins."""


class Edge(Enum):
    """How a parent holds a child, which decides whether the child may be printed in place."""

    TAIL = "the end of a block"
    VALUE = "the value of a let"
    ARGUMENT = "anything else"


class Block:
    """The lines between braces (or of a whole program)."""

    __slots__ = ("depth", "lines", "parent")

    def __init__(self, parent: "Block | None") -> None:
        self.parent = parent
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.lines: list[Sequence[Piece]] = []


def _common(a: Block, b: Block) -> Block:
    """The innermost block that encloses both."""
    while a is not b:
        if a.depth < b.depth:
            a, b = b, a
        assert a.parent is not None
        a = a.parent
    return a


class Placement:
    """Where every node of one program stands.

    `home` is the block that a node stands in, `inner` are the blocks that stand in a node.
    """

    def __init__(self, root: Expr, top: Block) -> None:
        self.home: dict[Expr, Block] = {root: top}
        self.edges: dict[Expr, Edge] = {root: Edge.TAIL}
        self.inner: dict[Expr, tuple[Block, ...]] = {}
        # Reversed post-order: every user of a node comes before the node.
        for node in reversed(post_order(root)):
            if node in self.home:
                self._place_children(node)

    def in_place(self, node: Expr) -> bool:
        """Whether the text of `node` stands where it is used: once, and not as an argument."""
        return self.edges[node] is not Edge.ARGUMENT

    def _place_children(self, node: Expr) -> None:
        home = self.home[node]
        match node:
            case Function(body=body):
                block = Block(home)
                self.inner[node] = (block,)
                self._place(body, block, Edge.TAIL)
            case If(cond=cond, true_branch=true_branch, false_branch=false_branch):
                self._place(cond, home, Edge.ARGUMENT)
                self.inner[node] = blocks = (Block(home), Block(home))
                self._place(true_branch, blocks[0], Edge.TAIL)
                self._place(false_branch, blocks[1], Edge.TAIL)
            case Match(data=data, clauses=clauses):
                self._place(data, home, Edge.ARGUMENT)
                self.inner[node] = tuple(Block(home) for _ in clauses)
                for clause, block in zip(clauses, self.inner[node], strict=True):
                    self._place(clause.rhs, block, Edge.TAIL)
            case Let(value=value, body=body):
                block = home if self.edges[node] is Edge.TAIL else Block(home)
                self.inner[node] = (block,)
                self._place(value, block, Edge.VALUE)
                self._place(body, block, Edge.TAIL)
            case _:
                for child in node.children():
                    self._place(child, home, Edge.ARGUMENT)

    def _place(self, node: Expr, block: Block, edge: Edge) -> None:
        if node in self.home:
            self.home[node] = _common(self.home[node], block)
            self.edges[node] = Edge.ARGUMENT
        else:
            self.home[node], self.edges[node] = block, edge
