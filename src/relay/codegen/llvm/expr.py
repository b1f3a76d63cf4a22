"""Scalar expressions to LLVM values, on one lane or on a vector of lanes.

Inside a vectorized loop an expression that does not depend on the lane stays a scalar, and is
broadcast where it meets a vector. Evaluation runs on generators and a stack of its own, so the
depth of an expression is bounded by memory only; shared subexpressions are evaluated once.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeAlias

from relay import dtypes
from relay.codegen.llvm import scalar
from relay.codegen.llvm.access import Access
from relay.codegen.llvm.builder import FunctionBuilder
from relay.codegen.llvm.index import LANE, Linear, Range
from relay.codegen.llvm.index_arithmetic import IndexArithmetic
from relay.codegen.llvm.narrow import choose
from relay.codegen.llvm.transposed import Squares
from relay.codegen.llvm.types import Value, constant, constant_vector, register_type
from relay.loop.ir import Buffer, Load
from relay.support.errors import InternalError
from relay.te.expr import BOOL, INDEX, Binary, Cast, Compare, Const, Expr, Select, Unary, Var

#: What an evaluation yields to ask for another one: whether in linear form, and of what.
Request: TypeAlias = tuple[bool, Expr]
Result: TypeAlias = Value | Linear | None
Steps: TypeAlias = Generator[Request, Result, Result]

#: Lanes that are so many elements apart, at most, are picked from vectors that hold them all.
_MAX_PICKED_STRIDE = 8


class Evaluator:
    """Evaluates the expressions of one function being built.

    `vars` gives each variable in scope its value: an integer where the loop is written out, an
    LLVM name otherwise. `ranges` holds what is known of the values behind names. `serial` are the
    names that serial loops step by one, `direction` the name of the parallel loop's step (1 or -1).
    """

    def __init__(self, builder: FunctionBuilder, pointers: dict[Buffer, str]) -> None:
        self.builder = builder
        self.access = Access(builder, pointers)
        self.vars: dict[Var, str | int] = {}
        self.ranges: dict[str, Range] = {}
        self.index = IndexArithmetic(self.access, self.ranges)
        self.serial: set[str] = set()
        self.direction: str | None = None
        self.lane: Var | None = None
        self.lanes = 0
        self.mask: Value | None = None
        self.squares: Squares | None = None
        self._memo: dict[Request, Result] = {}
        self._added: list[list[Request]] = [[]]
        self._reading: dict[Expr, bool] = {}

    # ------------------------------------------------------------------ scopes

    def forget(self) -> None:
        """Drop what was evaluated: memory or variables have changed."""
        assert len(self._added) == 1
        self._memo.clear()
        self._added = [[]]

    @contextmanager
    def _side(self, mask: Value | None, branches: bool) -> Iterator[None]:
        """Evaluation that serves one side of a select only, in a block of its own or not."""
        outer, self.mask = self.mask, mask
        self._added.append([])
        try:
            with self.builder.scope() if branches else nullcontext():
                yield
        finally:
            for key in self._added.pop():
                del self._memo[key]
            self.mask = outer

    @contextmanager
    def vectorized(self, var: Var, lanes: int) -> Iterator[None]:
        """Evaluation on `lanes` lanes numbered by `var`."""
        if self.lane is not None:
            raise InternalError("vectorized loops do not nest")
        self.lane, self.lanes = var, lanes
        self.ranges[LANE] = (0, lanes - 1)
        try:
            yield
        finally:
            self.lane, self.lanes = None, 0

    @contextmanager
    def _one_lane(self, lane: int) -> Iterator[None]:
        """Evaluation on one known lane."""
        assert self.lane is not None
        var, lanes, memo, added = self.lane, self.lanes, self._memo, self._added
        self.vars[var], self.lane, self.lanes = lane, None, 0
        self._memo, self._added = {}, [[]]
        try:
            yield
        finally:
            del self.vars[var]
            self.lane, self.lanes, self._memo, self._added = var, lanes, memo, added

    # ------------------------------------------------------------------ entry points

    def value(self, expr: Expr) -> Value:
        """The value of `expr`: a scalar, or a vector where it depends on the lane."""
        result = self._run(False, expr)
        assert isinstance(result, Value)
        return result

    def linear(self, expr: Expr) -> Linear | None:
        """The linear form of an index; None where it is not linear in the lane."""
        result = self._run(True, expr)
        assert not isinstance(result, Value)
        return result

    def offset(self, buffer: Buffer, indices: tuple[Expr, ...]) -> Linear | None:
        """The flat index of an access in linear form; None where not linear in the lane."""
        total = Linear()
        for index, stride in zip(indices, buffer.strides, strict=True):
            form = self.linear(index)
            if form is None:
                return None
            total = total + form.scaled(stride)
        return total

    def lane_offsets(self, buffer: Buffer, indices: tuple[Expr, ...]) -> list[Linear]:
        """The flat index of an access, lane by lane."""
        offsets = []
        for lane in range(self.lanes):
            with self._one_lane(lane):
                form = self.offset(buffer, indices)
                assert form is not None
                offsets.append(form)
        return offsets

    # ------------------------------------------------------------------ the machine

    def _run(self, as_linear: bool, expr: Expr) -> Result:
        """Evaluate on a stack of suspended evaluations, each waiting for what it asked for."""
        memo = self._memo
        stack: list[tuple[Request, Steps]] = []
        request: Request = (as_linear, expr)
        while True:
            reply: Result = None
            if request in memo:
                reply = memo[request]
            else:
                steps = self._leaf(*request)
                if isinstance(steps, Generator):
                    stack.append((request, steps))
                else:
                    reply = memo[request] = steps
                    self._added[-1].append(request)
            # Hand replies to the innermost evaluation until it asks for something.
            while stack:
                key, steps = stack[-1]
                try:
                    request = steps.send(reply)
                    break
                except StopIteration as stop:
                    stack.pop()
                    reply = memo[key] = stop.value
                    self._added[-1].append(key)
            else:
                return reply

    def _leaf(self, as_linear: bool, expr: Expr) -> "Result | Steps":
        if as_linear:
            return self._linear_leaf(expr)
        match expr:
            case Const():
                return constant(expr.value, expr.dtype)
            case Var():
                if expr is self.lane:
                    return constant_vector(list(range(self.lanes)), expr.dtype)
                return self._variable(expr)
            case Unary():
                return self._unary(expr)
            case Binary():
                return self._binary(expr)
            case Compare():
                return self._compare(expr)
            case Cast():
                return self._cast(expr)
            case Select():
                return self._select(expr)
            case Load():
                return self._load(expr)
        raise InternalError(f"{type(expr).__name__} cannot be compiled")

    def _variable(self, var: Var) -> Value:
        bound = self.vars.get(var)
        if bound is None:
            raise InternalError(f"the variable {var.name} is used outside of its loop")
        return constant(bound, var.dtype) if isinstance(bound, int) else Value(bound, var.dtype)

    # ------------------------------------------------------------------ values

    def _unary(self, expr: Unary) -> Steps:
        value = yield False, expr.value
        assert isinstance(value, Value)
        return scalar.unary(self.builder, expr.op, value)

    def _binary(self, expr: Binary) -> Steps:
        if expr.dtype == INDEX and expr.op in IndexArithmetic.BINARY:
            # Known ranges tell index arithmetic, which cannot overflow, from data, which may.
            form = yield True, expr
            if isinstance(form, Linear) and form.range(self.ranges) is not None:
                return self.index.vector(form, self.lanes)
        a = yield False, expr.a
        assert isinstance(a, Value)
        if a.dtype == BOOL and a.const is not None and expr.op in ("and", "or"):
            if bool(a.const) == (expr.op == "or"):
                return a
        b = yield False, expr.b
        assert isinstance(b, Value)
        return scalar.binary(self.builder, expr.op, a, b)

    def _cast(self, expr: Cast) -> Steps:
        value = yield False, expr.value
        assert isinstance(value, Value)
        return scalar.cast(self.builder, value, expr.dtype)

    def _compare(self, expr: Compare) -> Steps:
        if expr.a.dtype == INDEX:
            a, b = (yield True, expr.a), (yield True, expr.b)
            if isinstance(a, Linear) and isinstance(b, Linear):
                compared = self.index.compare(expr.op, a, b, self.lanes)
                if compared is not None:
                    return compared
        x = yield False, expr.a
        y = yield False, expr.b
        assert isinstance(x, Value)
        assert isinstance(y, Value)
        return scalar.compare(self.builder, expr.op, x, y)

    def _select(self, expr: Select) -> Steps:
        cond = yield False, expr.cond
        assert isinstance(cond, Value)
        if cond.const is not None:
            chosen = yield False, (expr.then if cond.const else expr.otherwise)
            return chosen
        if not (self._reads(expr.then) or self._reads(expr.otherwise)):
            then = yield False, expr.then
            otherwise = yield False, expr.otherwise
            assert isinstance(then, Value)
            assert isinstance(otherwise, Value)
            return choose(self.builder, cond, then, otherwise)
        if cond.lanes or self.mask is not None:
            return (yield from self._select_masked(expr, cond))
        return (yield from self._select_branch(expr, cond))

    def _select_masked(self, expr: Select, cond: Value) -> Steps:
        """Both sides evaluated, each reading memory only in the lanes that choose it."""
        b = self.builder
        outer = self.mask
        sides: list[Value] = []
        for side, holds in ((expr.then, True), (expr.otherwise, False)):
            mask = cond if holds else scalar.unary(b, "not", cond)
            mask = mask if outer is None else scalar.binary(b, "and", outer, mask)
            with self._side(mask, branches=False):
                value = yield False, side
            assert isinstance(value, Value)
            sides.append(value)
        return choose(b, cond, *sides)

    def _select_branch(self, expr: Select, cond: Value) -> Steps:
        """A condition that is the same in all lanes: only one side runs."""
        b = self.builder
        labels = b.label("then"), b.label("else")
        b.branch_if(cond, *labels)
        sides: list[Value] = []
        ends: list[int] = []
        for label, side in zip(labels, (expr.then, expr.otherwise), strict=True):
            b.begin(label)
            with self._side(None, branches=True):
                value = yield False, side
            assert isinstance(value, Value)
            sides.append(value)
            ends.append(b.position)
        lanes = max(s.lanes for s in sides)
        join = b.label("join")
        pairs = []
        for value, end in zip(sides, ends, strict=True):
            b.resume(end)
            with b.scope():
                text = b.broadcast(value, lanes).text
            pairs.append(f"[ {text}, %{b.block} ]")
            b.branch(join)
        b.begin(join)
        name = b.emit(f"phi {register_type(expr.dtype, lanes)} {', '.join(pairs)}")
        return Value(name, expr.dtype, lanes)

    def _load(self, expr: Load) -> Steps:
        buffer = expr.buffer
        forms: list[Linear] = []
        inside = True
        for index, size in zip(expr.indices, buffer.shape, strict=True):
            form = yield True, index
            if not isinstance(form, Linear):
                return (yield from self._gather(expr))
            forms.append(form)
            if self.mask is not None:
                known = form.range(self.ranges)
                inside = inside and known is not None and known[0] >= 0 and known[1] < size
        offset = Linear()
        for form, stride in zip(forms, buffer.strides, strict=True):
            offset = offset + form.scaled(stride)
        mask = None if inside else self.mask
        stride = offset.stride
        if not stride:
            return self.access.load(buffer, offset, mask)
        first = offset.without_lane()
        if mask is None and stride not in (1, -1):
            found = self._column(expr, first, stride)
            if found is not None:
                return found
        if stride in (1, -1) or (2 <= stride <= _MAX_PICKED_STRIDE and mask is None):
            loaded = self.access.load_strided(buffer, first, stride, self.lanes, mask)
            self.look_ahead(expr, first)  # after the load, so that both stay together
            return loaded
        if mask is None:
            lanes = [first + Linear(stride * lane) for lane in range(self.lanes)]
            return self.access.load_lanes(buffer, lanes)
        return self._masked_gather(expr, [self.index.vector(form, self.lanes) for form in forms])

    def _column(self, load: Load, first: Linear, stride: int) -> Value | None:
        """What `load` reads where that is a column of a square that is read as a whole."""
        if self.squares is None:
            return None
        iteration = self.vars[self.squares.variable]
        assert isinstance(iteration, int), "the loop of squares is written out"
        return self.squares.column(load, first, stride, iteration)

    def look_ahead(self, load: Load, first: Linear) -> None:
        """Bring near what `load`, from the place `first` on, looks ahead to."""
        if load.ahead:
            ahead = self._ahead(first, load.ahead)
            self.access.prefetch(load.buffer, first, ahead, load.ahead)

    def _ahead(self, form: Linear, places: int) -> Linear:
        """The distance to what a load looks ahead to.

        What is one step of the parallel loop ahead lies behind when that loop runs backwards.
        """
        steps = (n for n, c in form.terms if c == places and n not in self.serial)
        if self.direction is not None and next(steps, None) is not None:
            return Linear(0, ((self.direction, places),))
        return Linear(places)

    def _gather(self, expr: Load) -> Steps:
        """A load whose index is not linear in the lane."""
        if self.mask is None:
            return self.access.load_lanes(expr.buffer, self.lane_offsets(expr.buffer, expr.indices))
        indices = []
        for index in expr.indices:
            value = yield False, index
            assert isinstance(value, Value)
            indices.append(value)
        return self._masked_gather(expr, indices)

    def _masked_gather(self, expr: Load, indices: list[Value]) -> Value:
        assert self.mask is not None
        b = self.builder
        total = constant(0, INDEX)
        for index, stride in zip(indices, expr.buffer.strides, strict=True):
            scaled = b.instruction("mul", index, constant(stride, INDEX))
            total = b.instruction("add", total, scaled)
        lanes = self.lanes
        return self.access.gather(
            expr.buffer, b.broadcast(total, lanes), b.broadcast(self.mask, lanes)
        )

    def _reads(self, expr: Expr) -> bool:
        """Whether evaluating `expr` touches memory."""
        known = self._reading
        stack = [expr]
        while stack:
            node = stack[-1]
            if node in known:
                stack.pop()
                continue
            missing = [c for c in node.children() if c not in known]
            if missing and not isinstance(node, Load):
                stack.extend(missing)
                continue
            known[node] = isinstance(node, Load) or any(known[c] for c in node.children())
            stack.pop()
        return known[expr]

    # ------------------------------------------------------------------ linear forms

    def _linear_leaf(self, expr: Expr) -> "Result | Steps":
        match expr:
            case Const():
                return Linear(int(expr.value))
            case Var():
                if expr is self.lane:
                    return Linear(0, ((LANE, 1),))
                return self.index.form(self._variable(expr))
            case Binary(op=op) if op in IndexArithmetic.BINARY:
                return self._linear_binary(expr)
            case Unary(op="neg"):
                return self._linear_negation(expr)
        return self._opaque(expr)

    def _opaque(self, expr: Expr) -> Steps:
        value = yield False, expr
        assert isinstance(value, Value)
        return self.index.form(value)

    def _linear_negation(self, expr: Unary) -> Steps:
        form = yield True, expr.value
        return form.scaled(-1) if isinstance(form, Linear) else None

    def _linear_binary(self, expr: Binary) -> Steps:
        a = yield True, expr.a
        b = yield True, expr.b
        if not isinstance(a, Linear) or not isinstance(b, Linear):
            return None
        return self.index.binary(expr.op, a, b)


def is_float_product(expr: Expr) -> bool:
    """Whether `expr` is a product that a sum may contract to a fused multiply-add."""
    return isinstance(expr, Binary) and expr.op == "mul" and dtypes.is_float(expr.dtype)
