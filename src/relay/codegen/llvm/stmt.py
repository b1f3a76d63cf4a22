"""Statements to LLVM: loops, branches, stores, scratch buffers."""

from collections.abc import Callable

from relay import dtypes
from relay.codegen.llvm import pairs, scalar
from relay.codegen.llvm.builder import FunctionBuilder
from relay.codegen.llvm.expr import Evaluator, is_float_product
from relay.codegen.llvm.index import Linear
from relay.codegen.llvm.transposed import Squares
from relay.codegen.llvm.types import MEMORY, Value
from relay.loop.ir import ALIGNMENT, Allocate, Block, Buffer, For, If, Kind, Stmt, Store
from relay.support.errors import InternalError
from relay.te.expr import COMBINE, Binary

#: Private buffers up to this size live on the stack of whoever runs the kernel.
STACK_BYTES = 64 * 1024
SCRATCH_TAKE, SCRATCH_GIVE = "relay_scratch_take", "relay_scratch_give"


class StatementWriter:
    """Writes statements into one function; overridden where parallel loops may occur."""

    def __init__(self, builder: FunctionBuilder, pointers: dict[Buffer, str]) -> None:
        self.builder = builder
        self.evaluator = Evaluator(builder, pointers)
        self.pointers = pointers

    def write(self, stmt: Stmt) -> None:
        """Write `stmt` at the builder's position. Recursive: nests are as deep as ranks are."""
        match stmt:
            case Store():
                self._store(stmt)
            case Block():
                for part in stmt.stmts:
                    self.write(part)
            case For():
                self._for(stmt)
            case If():
                self._if(stmt)
            case Allocate():
                self._allocate(stmt)

    # ------------------------------------------------------------------ control

    def _for(self, loop: For) -> None:
        if loop.kind is Kind.VECTORIZED and loop.extent > 1:
            with self.evaluator.vectorized(loop.var, loop.extent):
                self.write(loop.body)
        elif loop.kind is Kind.UNROLLED or loop.extent <= 1:
            self.evaluator.squares = Squares.of(self.evaluator.access, loop)
            for index in range(loop.extent):
                self.evaluator.vars[loop.var] = index
                self.write(loop.body)
            self.evaluator.vars.pop(loop.var, None)
            self.evaluator.squares = None
        else:
            self.loop(loop, "0", str(loop.extent))

    def loop(self, loop: For, begin: str, end: str, step: str = "1") -> None:
        """The iterations ``begin, begin + step ...`` of `loop` before `end`; at least one.

        With a `step` that is no constant, the loop is the parallel one: see `Evaluator.direction`.
        """
        b = self.builder
        if self.evaluator.lane is not None:
            raise InternalError("a vectorized loop contains stores only")
        before, head, done = b.block, b.label("loop"), b.label("done")
        b.branch(head)
        b.begin(head)
        lines, place = b.reserve()
        name = b.name()
        self.evaluator.ranges[name] = (0, loop.extent - 1)
        self.evaluator.vars[loop.var] = name
        serial = step == "1"
        if serial:
            self.evaluator.serial.add(name)
        else:
            self.evaluator.direction = step
        with b.scope():
            self.write(loop.body)
            after = b.emit(f"add{' nuw' if serial else ''} nsw i64 {name}, {step}")
            again = Value(b.emit(f"icmp {'ult' if serial else 'ne'} i64 {after}, {end}"), "bool")
        lines[place] = f"{name} = phi i64 [ {begin}, %{before} ], [ {after}, %{b.block} ]"
        b.branch_if(again, head, done)
        b.begin(done)
        del self.evaluator.vars[loop.var]

    def _if(self, stmt: If) -> None:
        b = self.builder
        self.evaluator.forget()
        cond = self.evaluator.value(stmt.cond)
        if cond.lanes:
            raise InternalError("a condition inside a vectorized loop depends on the lane")
        if cond.const is not None:
            chosen = stmt.then if cond.const else stmt.otherwise
            if chosen is not None:
                self.write(chosen)
            return
        then, join = b.label("then"), b.label("join")
        otherwise = b.label("else") if stmt.otherwise is not None else join
        b.branch_if(cond, then, otherwise)
        for label, side in ((then, stmt.then), (otherwise, stmt.otherwise)):
            if side is not None:
                b.begin(label)
                with b.scope():
                    self.write(side)
                b.branch(join)
        b.begin(join)

    def _allocate(self, stmt: Allocate) -> None:
        buffer = stmt.buffer
        if buffer.nbytes <= STACK_BYTES:
            count = max(1, buffer.size)
            self.pointers[buffer] = self.builder.alloca(MEMORY[buffer.dtype], count, ALIGNMENT)
            self.write(stmt.body)
            return
        b = self.builder
        b.module.declare(SCRATCH_TAKE, f"noalias align {ALIGNMENT} ptr", ["i64"])
        b.module.declare(SCRATCH_GIVE, "void", ["ptr"])
        pointer = b.emit(f"call noalias align {ALIGNMENT} ptr @{SCRATCH_TAKE}(i64 {buffer.nbytes})")
        self.pointers[buffer] = pointer
        self.write(stmt.body)
        b.line(f"call void @{SCRATCH_GIVE}(ptr {pointer})")

    # ------------------------------------------------------------------ stores

    def _store(self, store: Store) -> None:
        self.evaluator.forget()
        if self.evaluator.lanes:
            self._store_lanes(store, self.evaluator.lanes)
            return
        offset = self.evaluator.offset(store.buffer, store.indices)
        assert offset is not None
        access = self.evaluator.access

        def old() -> Value:
            return access.load(store.buffer, offset, None)

        access.store(store.buffer, offset, self._combined(store, old))

    def _store_lanes(self, store: Store, lanes: int) -> None:
        evaluator, access, buffer = self.evaluator, self.evaluator.access, store.buffer
        offset = evaluator.offset(buffer, store.indices)
        if offset is not None and offset.stride == 1:
            first = offset.without_lane()
            value = self._combined(
                store, lambda: access.load_strided(buffer, first, 1, lanes, None)
            )
            access.store(buffer, first, self.builder.broadcast(value, lanes))
            return
        if offset is None:
            offsets = evaluator.lane_offsets(buffer, store.indices)
        else:
            stride, first = offset.stride, offset.without_lane()
            offsets = [first + Linear(stride * lane) for lane in range(lanes)]
        if all(o == offsets[0] for o in offsets):
            raise InternalError(f"all lanes of a vectorized loop store to one place of {buffer!r}")
        value = self._combined(store, lambda: access.load_lanes(buffer, offsets))
        access.store_lanes(buffer, offsets, self.builder.broadcast(value, lanes))

    def _combined(self, store: Store, old: Callable[[], Value]) -> Value:
        """What is to be stored: the value, or what is there combined with it."""
        evaluator = self.evaluator
        if store.reduce is None:
            return evaluator.value(store.value)
        factors = pairs.pairs_of(store)
        if factors is not None:
            return pairs.update(evaluator, *factors, old)
        if store.reduce == "sum" and is_float_product(store.value):
            if dtypes.bits(store.value.dtype) >= 32:
                assert isinstance(store.value, Binary)
                x, y = evaluator.value(store.value.a), evaluator.value(store.value.b)
                return self.builder.fma(x, y, old())
        value = evaluator.value(store.value)
        return scalar.binary(self.builder, COMBINE[store.reduce], old(), value)
