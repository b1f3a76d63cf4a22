"""Which block of Python each expression of a program is evaluated in.

The interpreter evaluates an expression once in each activation of a function, when its value is
first needed. In Python, an expression is a statement of the block that all its uses are in. Where
several blocks of a function use it, it is a function without parameters that remembers its result.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from relay.ir.adt import Constructor
from relay.ir.expr import Constant, Expr, Function, GlobalVar, If, Let, Op, Var
from relay.ir.match import Match
from relay.ir.visit import free_vars, post_order_all, used_children
from relay.support.errors import RelayError


@dataclass(eq=False)
class Block:
    """A body, a branch, a clause or a shared expression; `parent` is the block around it.

    `owner` is the body of the innermost Relay function that it is in. `variables` are the names
    that an owner's variables have in Python, `shared` the expressions that become functions here,
    and `functions` those that are functions.
    """

    parent: "Block | None" = None
    is_body: bool = True
    owner: "Block" = field(init=False)
    depth: int = field(init=False)
    variables: dict[Var, str] = field(default_factory=dict)
    shared: list[tuple[Expr, "Block"]] = field(default_factory=list)
    functions: list[tuple[Function, "Block"]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.depth = 0 if self.parent is None else self.parent.depth + 1
        self.owner = self if self.is_body or self.parent is None else self.parent.owner

    def inside(self, is_body: bool = False) -> "Block":
        """A new block in this one."""
        return Block(self, is_body)

    def common(self, other: "Block") -> "Block":
        """The innermost block that both are in."""
        a, b = self, other
        while a is not b:
            if a.depth < b.depth:
                a, b = b, a
            assert a.parent is not None, "all blocks are in the outermost one"
            a = a.parent
        return a

    def name_of(self, variable: Var) -> str:
        """What `variable` is called in Python; raises `RelayError` when it is not bound here."""
        owner: Block | None = self.owner
        while owner is not None:
            if variable in owner.variables:
                return owner.variables[variable]
            owner = None if owner.parent is None else owner.parent.owner
        raise RelayError(f"the variable %{variable.name_hint} has no value here", variable.span)


def is_atomic(node: Expr) -> bool:
    """Whether `node` is a name or a constant in Python, too."""
    return isinstance(node, Var | GlobalVar | Constant | Constructor | Op)


class Blocks:
    """The blocks of a program: global `functions`, and a `root` that is evaluated on its own."""

    def __init__(self, functions: Sequence[Function], root: Expr | None) -> None:
        self.outermost = Block()
        self.branches: dict[tuple[Block, Expr], tuple[Block, ...]] = {}
        self.places: dict[tuple[Block, Expr], Block] = {}
        """The own block of an expression that several blocks of an owner share."""
        self.root = self.outermost.inside(is_body=True)
        self._uses: dict[Expr, list[Block]] = {f: [self.outermost] for f in functions}
        roots: list[Expr] = list(functions)
        if root is not None:
            roots.append(root)
            self._use(root, self.root)
        for node in reversed(post_order_all(roots)):  # users first
            if node in self._uses:
                self._place(node, self._uses.pop(node))

    def _use(self, node: Expr, block: Block) -> None:
        if not is_atomic(node):
            self._uses.setdefault(node, []).append(block)

    def _place(self, node: Expr, uses: list[Block]) -> None:
        if isinstance(node, Function) and not free_vars(node):
            self._function(node, self.outermost)
            return
        by_owner: dict[Block, dict[Block, None]] = {}
        for block in uses:
            by_owner.setdefault(block.owner, {})[block] = None
        for owner, blocks in by_owner.items():
            home, *others = blocks
            for other in others:
                home = home.common(other)
            if isinstance(node, Function):
                self._function(node, home)
                continue
            if others:
                inner = home.inside()
                home.shared.append((node, inner))
                self.places[owner, node] = inner
                home = inner
            self._children(node, home)

    def _function(self, node: Function, home: Block) -> None:
        body = home.inside(is_body=True)
        home.functions.append((node, body))
        self._use(node.body, body)

    def _children(self, node: Expr, block: Block) -> None:
        match node:
            case If():
                now, later = node.cond, [node.true_branch, node.false_branch]
            case Match():
                now, later = node.data, [clause.rhs for clause in node.clauses]
            case _:
                for child in used_children(node):
                    self._use(child, block)
                return
        self._use(now, block)
        self.branches[block, node] = tuple(block.inside() for _ in later)
        for child, inner in zip(later, self.branches[block, node], strict=True):
            self._use(child, inner)


def name_hints(roots: Sequence[Expr]) -> dict[Expr, str]:
    """What the lets of a program call the values that they bind."""
    found: dict[Expr, str] = {}
    for node in post_order_all(roots):
        if isinstance(node, Let):
            found.setdefault(node.value, node.variable.name_hint)
    return found
