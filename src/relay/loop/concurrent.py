"""Whether iterations that run at once touch different places.

A buffer that a loop's body stores to is safe when some of its dimensions, taken as one row-major
position, tell the iterations apart: in every access the position is ``c*v + outer + inner`` with
the same ``c`` and the same `outer` (what does not change while the loop runs), and the values of
`inner`, over all accesses, spread over less than ``|c|``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from relay.loop.ir import Allocate, Block, Buffer, For, If, Kind, Load, Stmt, Store
from relay.loop.simplify import Linear, Range, Ranges, bounds, linear, simplify
from relay.te.expr import Binary, Expr, Var, binary, constant_value
from relay.te.tensor import flatten_index
from relay.te.walk import post_order, substitute, variables


@dataclass(frozen=True)
class Conflict:
    """A store that other iterations may interfere with; `certain` when they surely do."""

    message: str
    stmt: Store
    certain: bool


@dataclass(frozen=True)
class _Access:
    """One load or store of a buffer."""

    indices: tuple[Expr, ...]
    stmt: Stmt
    conditional: bool


def conflicts(loop: For, ranges: Ranges) -> Iterator[Conflict]:
    """The stores of `loop` that are not proved to be independent of its other iterations.

    `ranges` are those of the variables in scope inside the loop.
    """
    if loop.extent <= 1:
        return
    accesses, inner = _accesses(loop.body)
    everything = {**ranges, **inner}
    for buffer, found in accesses.items():
        stores = [a for a in found if isinstance(a.stmt, Store) and a.indices is a.stmt.indices]
        touching = [a for a in found if a in stores or not _never_stored(a, stores, everything)]
        if not stores or _independent(loop.var, touching, buffer, inner, everything):
            continue
        for access in stores:
            assert isinstance(access.stmt, Store)
            used = set(chain.from_iterable(variables(i) for i in access.indices))
            if loop.var not in used:
                certain = loop.kind is Kind.VECTORIZED or not access.conditional
                yield Conflict("every iteration writes one place", access.stmt, certain)
                break
        else:
            assert isinstance(stores[0].stmt, Store)
            yield Conflict("iterations may touch one place", stores[0].stmt, certain=False)


def _accesses(body: Stmt) -> tuple[dict[Buffer, list[_Access]], dict[Var, Range]]:
    """The accesses to every buffer from outside `body`, and the ranges of the loops in it."""
    found: dict[Buffer, list[_Access]] = {}
    private: set[Buffer] = set()
    ranges: dict[Var, Range] = {}
    work: list[tuple[Stmt, bool]] = [(body, False)]

    def add(buffer: Buffer, indices: tuple[Expr, ...], stmt: Stmt, conditional: bool) -> None:
        found.setdefault(buffer, []).append(_Access(indices, stmt, conditional))

    while work:
        stmt, conditional = work.pop()
        expressions: tuple[Expr, ...] = ()
        match stmt:
            case For(var=var, extent=extent, body=inside):
                ranges[var] = 0, max(extent - 1, ranges.get(var, (0, 0))[1])
                work.append((inside, conditional or extent == 0))
            case Block(stmts=stmts):
                work.extend((s, conditional) for s in reversed(stmts))
            case Allocate(buffer=buffer, body=inside):
                private.add(buffer)
                work.append((inside, conditional))
            case If(cond=cond, then=then, otherwise=otherwise):
                expressions = (cond,)
                work.extend((s, True) for s in (otherwise, then) if s is not None)
            case Store(buffer=buffer, indices=indices, value=value):
                expressions = (*indices, value)
                add(buffer, indices, stmt, conditional)
        for node in chain.from_iterable(post_order(e) for e in expressions):
            if isinstance(node, Load):
                add(node.buffer, node.indices, stmt, conditional)
    return {b: a for b, a in found.items() if b not in private}, ranges


def _never_stored(load: _Access, stores: Sequence[_Access], ranges: Ranges) -> bool:
    """Whether some dimension tells all places of `load` from all places of `stores`."""
    for index, *others in zip(load.indices, *(s.indices for s in stores), strict=True):
        here = bounds(index, ranges)
        there = [bounds(other, ranges) for other in others]
        if here is not None and all(t and (t[1] < here[0] or here[1] < t[0]) for t in there):
            return True
    return False


def _independent(
    var: Var,
    accesses: Sequence[_Access],
    buffer: Buffer,
    inner: Mapping[Var, Range],
    ranges: Ranges,
) -> bool:
    """Whether some dimensions of `buffer` tell the values of `var` apart.

    Where `var` is used as quotient and remainder only (a fused loop), these are told apart one
    after the other, each by dimensions of its own.
    """
    rank = range(len(buffer.shape))
    mention = [k for k in rank if any(var in variables(a.indices[k]) for a in accesses)]
    candidates = [[k] for k in mention] + [mention, list(rank)]
    if any(_apart(var, accesses, buffer, dims, inner, ranges) for dims in candidates):
        return True
    for divisor in _divisors(var, accesses):
        quotient, remainder = Var(f"{var.name}.q"), Var(f"{var.name}.r")
        value = binary("add", binary("mul", quotient, divisor), remainder)
        known = {**ranges, quotient: (0, ranges[var][1] // divisor), remainder: (0, divisor - 1)}
        parts = [
            _Access(
                tuple(simplify(substitute(i, {var: value}), known) for i in a.indices),
                a.stmt,
                a.conditional,
            )
            for a in accesses
        ]
        around = {**inner, remainder: known[remainder]}
        if _independent(quotient, parts, buffer, around, known):
            return _independent(remainder, parts, buffer, inner, known)
    return False


def _divisors(var: Var, accesses: Sequence[_Access]) -> list[int]:
    """The numbers that `var` itself is divided by in the indices of `accesses`."""
    found: dict[int, None] = {}
    for node in chain.from_iterable(post_order(i) for a in accesses for i in a.indices):
        if isinstance(node, Binary) and node.op in ("floordiv", "floormod") and node.a is var:
            divisor = constant_value(node.b)
            if divisor is not None and divisor > 1:
                found[divisor] = None
    return list(found)


def _apart(
    var: Var,
    accesses: Sequence[_Access],
    buffer: Buffer,
    dims: Sequence[int],
    inner: Mapping[Var, Range],
    ranges: Ranges,
) -> bool:
    """Whether the dimensions `dims` tell the values of `var` apart."""
    changing = {var, *inner}
    shapes: set[tuple[int, frozenset[tuple[object, int]]]] = set()
    lows: list[int] = []
    highs: list[int] = []
    for access in accesses:
        place = flatten_index([access.indices[k] for k in dims], [buffer.shape[k] for k in dims])
        form = linear(simplify(place, ranges))
        factor = form.terms[var][1] if var in form.terms else 0
        moving = Linear(form.const)
        outer: set[tuple[object, int]] = set()
        for key, (atom, coefficient) in form.terms.items():
            used = variables(atom)
            if key is var:
                continue
            if var in used or _loads(atom):
                return False
            if used & changing:
                moving = moving.plus(Linear(0, {key: (atom, coefficient)}))
            else:
                outer.add((key, coefficient))
        spread = bounds(moving.expr(), ranges)
        if spread is None:
            return False
        shapes.add((factor, frozenset(outer)))
        lows.append(spread[0])
        highs.append(spread[1])
    ((factor, _), *others) = shapes
    return not others and max(highs) - min(lows) < abs(factor)


def _loads(atom: Expr) -> bool:
    return any(isinstance(node, Load) for node in post_order(atom))
