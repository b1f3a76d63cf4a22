"""The reference meaning of loop programs: every access checked, nothing assumed, nothing fast.

The iterations of ``parallel`` and ``vectorized`` loops are *lanes*. A loop of them multiplies the
lanes there are, and its body runs once, statement by statement, for all of them: one of the orders
that the contract allows for ``parallel`` loops, the one it prescribes for ``vectorized`` loops. A
condition splits the lanes. Two lanes that write one place in one statement are an error. Memory
that nothing has written holds ``nan``, or 85 in every byte.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.loop.ir import Allocate, Block, Buffer, For, Func, If, Kind, Load, Stmt, Store
from relay.loop.printer import heading
from relay.support.errors import InputError, InternalError
from relay.te import arith
from relay.te.arith import Value
from relay.te.expr import COMBINE, Binary, Cast, Compare, Const, Expr, Select, Unary, Var

_LANES = (Kind.PARALLEL, Kind.VECTORIZED)
_Array: TypeAlias = npt.NDArray[np.generic]
_Index: TypeAlias = npt.NDArray[np.int64]


def run(func: Func, *arrays: npt.ArrayLike) -> tuple[npt.NDArray[np.generic], ...]:
    """What `func` computes of its inputs: the outputs, in order.

    `arrays` are the inputs, in the order and with the shapes and dtypes of the parameters;
    ``bfloat16`` and small types go in and out as they are stored. Raises `InputError` for other
    inputs and `InternalError` when the program breaks the contract of `relay.loop.ir`.
    """
    inputs = func.params[: len(func.params) - func.outputs]
    if len(arrays) != len(inputs):
        raise InputError(f"@{func.name} takes {len(inputs)} inputs, found {len(arrays)}")
    memory: dict[Buffer, _Memory] = {}
    for buffer, given in zip(inputs, arrays, strict=True):
        array = np.asarray(given)
        if array.shape != buffer.shape or array.dtype != dtypes.to_numpy(buffer.dtype):
            found = f"{array.dtype.name}[{', '.join(map(str, array.shape))}]"
            raise InputError(f"input {buffer!r} of @{func.name} was given as {found}")
        memory[buffer] = _Memory(np.array(array).reshape(1, -1), None)
    for buffer in (*func.params[len(inputs) :], *func.workspaces):
        memory[buffer] = _scratch(buffer, 1, None)
    with np.errstate(all="ignore"):
        _run(func.body, _Lanes({}, memory, 1))
    outputs = func.params[len(inputs) :]
    return tuple(memory[b].array.reshape(b.shape) for b in outputs)


@dataclass(frozen=True)
class _Memory:
    """The content of a buffer, one row a private copy; `rows` is the row of every lane."""

    array: _Array
    rows: _Index | None  # None: there is one row, for all lanes


def _scratch(buffer: Buffer, copies: int, rows: _Index | None) -> _Memory:
    numpy_dtype = dtypes.to_numpy(buffer.dtype)
    if buffer.dtype == "bfloat16":
        fill = np.full(1, 0x7FC0, np.uint16)
    elif buffer.dtype in dtypes.SMALL:
        fill = np.asarray([arith.stored(np.float32(np.nan), buffer.dtype)], numpy_dtype)
    elif dtypes.is_float(buffer.dtype):
        fill = np.full(1, np.nan, numpy_dtype)
    else:
        fill = np.full(numpy_dtype.itemsize, 0x55, np.uint8).view(numpy_dtype)
    return _Memory(np.tile(fill, (copies, buffer.size)), rows)


@dataclass(frozen=True)
class _Lanes:
    """Iterations that run together: variables with their values, and the buffers they see."""

    values: Mapping[Var, Value]
    memory: Mapping[Buffer, _Memory]
    count: int

    def chosen(self, lanes: _Index) -> "_Lanes":
        """The given lanes only; a lane may be there several times."""
        values = {var: v[lanes] if v.ndim else v for var, v in self.values.items()}  # type: ignore[index]
        memory = {
            b: m if m.rows is None else _Memory(m.array, m.rows[lanes])
            for b, m in self.memory.items()
        }
        return _Lanes(values, memory, len(lanes))

    def bound(self, var: Var, value: Value) -> "_Lanes":
        """These lanes with `var` bound."""
        return _Lanes({**self.values, var: value}, self.memory, self.count)


_Step: TypeAlias = tuple[Stmt, _Lanes]


def _run(root: Stmt, start: _Lanes) -> None:
    work: list[Iterator[_Step]] = [iter([(root, start)])]
    while work:
        step = next(work[-1], None)
        if step is None:
            work.pop()
        elif isinstance(step[0], Store):
            _store(step[0], step[1])
        else:
            work.append(_steps(*step))


def _steps(stmt: Stmt, lanes: _Lanes) -> Iterator[_Step]:
    """The statements that `stmt` runs, in order, and for which lanes."""
    match stmt:
        case Block(stmts=stmts):
            for inner in stmts:
                yield inner, lanes
        case Allocate(buffer=buffer, body=body):
            private = _scratch(buffer, lanes.count, np.arange(lanes.count))
            yield body, _Lanes(lanes.values, {**lanes.memory, buffer: private}, lanes.count)
        case For(var=var, extent=extent, kind=kind, body=body) if kind in _LANES:
            more = lanes.chosen(np.repeat(np.arange(lanes.count), extent))
            if more.count:
                yield body, more.bound(var, np.tile(np.arange(extent), lanes.count))
        case For(var=var, extent=extent, body=body):
            for step in np.arange(extent):
                yield body, lanes.bound(var, step)
        case If(cond=cond, then=then, otherwise=otherwise):
            chosen = np.broadcast_to(_evaluate(cond, lanes, stmt), lanes.count)
            for side, holds in ((then, chosen), (otherwise, np.logical_not(chosen))):
                if side is not None and holds.any():
                    yield side, lanes if holds.all() else lanes.chosen(np.flatnonzero(holds))
        case Store():
            yield stmt, lanes


def _store(stmt: Store, lanes: _Lanes) -> None:
    value = _evaluate(stmt.value, lanes, stmt)
    indices = [_evaluate(index, lanes, stmt) for index in stmt.indices]
    memory = _memory(stmt.buffer, lanes, stmt)
    place = np.broadcast_to(_place(stmt.buffer, indices, stmt), lanes.count)
    rows = np.zeros(lanes.count, np.int64) if memory.rows is None else memory.rows
    flat = memory.array.reshape(-1)  # a view: memory is dense
    where = np.add(rows * stmt.buffer.size, np.asarray(place, np.int64))
    if lanes.count > 1 and len(np.unique(where)) != lanes.count:
        raise InternalError(f"two iterations at once write one place in `{heading(stmt)}`")
    if stmt.reduce is not None:
        dtype = stmt.buffer.dtype
        old = arith.loaded(flat[where], dtype)
        value = arith.convert(arith.BINARY[COMBINE[stmt.reduce]](old, value), dtype)
    flat[where] = arith.stored(value, stmt.buffer.dtype)


def _memory(buffer: Buffer, lanes: _Lanes, stmt: Stmt) -> _Memory:
    if buffer not in lanes.memory:
        raise InternalError(f"there is no buffer {buffer!r} in `{heading(stmt)}`")
    return lanes.memory[buffer]


def _place(buffer: Buffer, indices: list[Value], stmt: Stmt) -> Value:
    """The row-major position of `indices`, which must be within `buffer`."""
    place: Value = np.int64(0)
    for k, (index, size) in enumerate(zip(indices, buffer.shape, strict=True)):
        outside = np.logical_or(np.less(index, 0), np.greater_equal(index, size))
        if outside.any():
            found = int(np.atleast_1d(np.asarray(index))[np.atleast_1d(outside)][0])
            raise InternalError(f"index {k} of {buffer!r} is {found} in `{heading(stmt)}`")
        place = np.add(np.multiply(place, np.int64(size)), index)
    return place


def _load(node: Load, indices: list[Value], lanes: _Lanes, stmt: Stmt) -> Value:
    memory = _memory(node.buffer, lanes, stmt)
    place = _place(node.buffer, indices, stmt)
    if memory.rows is not None:
        found = memory.array[memory.rows, np.asarray(place, np.int64)]
    else:
        found = memory.array[0][place]
    return arith.loaded(found, node.dtype)


def _evaluate(root: Expr, lanes: _Lanes, stmt: Stmt) -> Value:
    """The value of `root` for all lanes, children first, without recursion."""
    # A side of a selection is evaluated for the lanes that choose it: `done` is per set of lanes.
    done: dict[tuple[int, int], Value] = {}
    sides: dict[tuple[int, int], list[tuple[_Index, _Lanes, Expr]]] = {}
    work: list[tuple[Expr, _Lanes, bool]] = [(root, lanes, False)]
    while work:
        node, now, ready = work.pop()
        key = id(node), id(now)
        if key in done:
            continue
        if isinstance(node, Select):
            cond = done.get((id(node.cond), id(now)))
            if ready:
                done[key] = _merge(sides[key], now, done)
            elif cond is None:
                work.extend([(node, now, False), (node.cond, now, False)])
            else:
                work.append((node, now, True))
                sides[key] = _split(node, cond, now)
                work.extend((side, chosen, False) for _, chosen, side in sides[key])
        elif ready or not node.children():
            values = [done[id(c), id(now)] for c in node.children()]
            done[key] = _apply(node, values, now, stmt)
        else:
            work.append((node, now, True))
            work.extend((c, now, False) for c in reversed(node.children()))
    return done[id(root), id(lanes)]


def _split(node: Select, cond: Value, lanes: _Lanes) -> list[tuple[_Index, _Lanes, Expr]]:
    """The sides that are chosen, by which lanes."""
    everywhere = np.arange(lanes.count)
    if np.all(cond) or not np.any(cond):
        return [(everywhere, lanes, node.then if np.all(cond) else node.otherwise)]
    yes, no = np.flatnonzero(cond), np.flatnonzero(np.logical_not(cond))
    return [(yes, lanes.chosen(yes), node.then), (no, lanes.chosen(no), node.otherwise)]


def _merge(
    sides: list[tuple[_Index, _Lanes, Expr]],
    lanes: _Lanes,
    done: Mapping[tuple[int, int], Value],
) -> Value:
    values = [(where, done[id(side), id(chosen)]) for where, chosen, side in sides]
    if len(values) == 1:
        return values[0][1]
    merged = np.empty(lanes.count, values[0][1].dtype)
    for where, value in values:
        merged[where] = value
    return merged


def _apply(node: Expr, values: list[Value], lanes: _Lanes, stmt: Stmt) -> Value:
    match node:
        case Const():
            return arith.constant(node)
        case Var():
            if node not in lanes.values:
                raise InternalError(f"there is no variable {node.name} in `{heading(stmt)}`")
            return lanes.values[node]
        case Load():
            return _load(node, values, lanes, stmt)
        case Unary():
            return arith.unary(node, values[0])
        case Binary(op=op):
            return arith.convert(arith.BINARY[op](*values), node.dtype)
        case Compare(op=op):
            return arith.convert(arith.COMPARE[op](*values), node.dtype)
        case Cast(dtype=dtype):
            return arith.convert(values[0], dtype)
        case _:
            raise InternalError(f"{type(node).__name__} is no part of a loop program")
