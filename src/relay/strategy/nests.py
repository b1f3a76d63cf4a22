"""What strategies see of a program: its nests at the top, and how they access memory."""

from dataclasses import dataclass

from relay import dtypes
from relay.loop.ir import Allocate, Block, Buffer, For, Func, Kind, Load, Stmt, Store
from relay.loop.simplify import linear
from relay.loop.walk import children, loads, statements
from relay.target import Target
from relay.te.expr import Binary, Cast, Expr, Unary, Var
from relay.te.walk import post_order, variables

#: Private memory of one iteration, at most: what a thread's stack and nearer caches hold.
MAX_PRIVATE_BYTES = 256 * 1024


@dataclass(frozen=True)
class Nest:
    """A perfect nest at the top of a program: `axes` from outside in, and the one `store`."""

    axes: tuple[For, ...]
    store: Store

    @property
    def iterations(self) -> int:
        """How often the store is done."""
        total = 1
        for axis in self.axes:
            total *= axis.extent
        return total

    @property
    def names(self) -> list[str]:
        """The names of the loops, from outside in."""
        return [a.var.name for a in self.axes]

    @property
    def spatial(self) -> tuple[For, ...]:
        """The loops that move the place written."""
        moved = {v for i in self.store.indices for v in variables(i)}
        return tuple(a for a in self.axes if a.var in moved)

    @property
    def reduced(self) -> tuple[For, ...]:
        """The loops that do not move the place written."""
        moved = {v for i in self.store.indices for v in variables(i)}
        return tuple(a for a in self.axes if a.var not in moved)

    @property
    def work(self) -> int:
        """A rough count of operations."""
        return self.iterations * max(1, expression_work(self.store.value))


def lanes_of(nest: Nest, target: Target) -> int:
    """Vector lanes that suit the widest elements that `nest` reads or writes."""
    moved = [nest.store.buffer.dtype, *(e.dtype for e in loads(nest.store))]
    return target.lanes(max(dtypes.bits(d) for d in moved))


def expression_work(value: Expr) -> int:
    """A rough count of the operations in `value`: transcendental ones count for ten."""
    work = 1
    for node in post_order(value):
        if node.dtype == "int64":
            continue
        if isinstance(node, Unary):
            work += 10
        elif isinstance(node, Binary):
            work += 1
    return work


def top_nests(func: Func) -> list[Nest]:
    """The perfect nests of serial loops at the top of `func`: what is not scheduled yet."""
    top = func.body.stmts if isinstance(func.body, Block) else (func.body,)
    found: list[Nest] = []
    for stmt in top:
        axes: list[For] = []
        body: Stmt = stmt
        while isinstance(body, For) and body.kind is Kind.SERIAL:
            axes.append(body)
            body = body.body
        if isinstance(body, Store):
            found.append(Nest(tuple(axes), body))
    return found


def readers(func: Func, buffer: Buffer) -> list[Stmt]:
    """The statements at the top of `func` that read `buffer` and do not write it."""
    top = func.body.stmts if isinstance(func.body, Block) else (func.body,)
    return [s for s in top if any(e.buffer is buffer for e in loads(s))]


def update_of(func: Func, buffer: Buffer) -> Nest | None:
    """The nest that reduces into `buffer`, if it is a reduction."""
    for nest in top_nests(func):
        if nest.store.buffer is buffer and nest.store.reduce:
            return nest
    return None


def product_operands(value: Expr) -> tuple[Load, Load] | None:
    """The two loads of a product (conversions aside); None where `value` is something else."""
    if not (isinstance(value, Binary) and value.op == "mul"):
        return None
    a, b = _through_casts(value.a), _through_casts(value.b)
    return (a, b) if isinstance(a, Load) and isinstance(b, Load) else None


def _through_casts(value: Expr) -> Expr:
    while isinstance(value, Cast):
        value = value.value
    return value


def consumer_loops(nest: Nest, buffer: Buffer) -> list[For | None]:
    """For every dimension of `buffer`, the loop of the reading `nest` that steps it by one."""
    reads = [e for e in loads(nest.store) if e.buffer is buffer]
    found: list[For | None] = []
    by_variable = {axis.var: axis for axis in nest.axes}
    for dimension in range(len(buffer.shape)):
        steps: set[Var] = set()
        for read in reads:
            terms = linear(read.indices[dimension]).terms.values()
            steps |= {a for a, f in terms if f == 1 and isinstance(a, Var) and a in by_variable}
        found.append(by_variable[steps.pop()] if len(steps) == 1 else None)
    return found


def depends(load: Load, variable: Var) -> bool:
    """Whether where `load` reads depends on `variable`."""
    return any(variable in variables(i) for i in load.indices)


def nests_of(func: Func, private: str) -> list[Nest]:
    """The perfect nests that write the private buffer called `private`."""
    return [n for n in nests_in(func.body) if n.store.buffer.name == private]


def nests_in(root: Stmt) -> list[Nest]:
    """The perfect nests in `root`, in order; loops around several of them are left out."""
    found: list[Nest] = []
    pending: list[Stmt] = [root]
    while pending:
        stmt = pending.pop(0)
        axes: list[For] = []
        while isinstance(stmt, For):
            axes.append(stmt)
            stmt = stmt.body
        if isinstance(stmt, Store):
            found.append(Nest(tuple(axes), stmt))
        else:
            pending[:0] = children(stmt)
    return found


def allocations(root: Stmt) -> list[Allocate]:
    """The allocations of private buffers in `root`."""
    return [s for s in statements(root) if isinstance(s, Allocate)]
