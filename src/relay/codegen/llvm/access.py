"""Loads and stores: addresses, alignment, contiguous, strided and scattered vectors."""

import math
from collections.abc import Sequence

from relay import dtypes
from relay.codegen.llvm.builder import FunctionBuilder
from relay.codegen.llvm.index import Linear
from relay.codegen.llvm.types import MEMORY, Value, constant, memory_type, suffix
from relay.loop.ir import ALIGNMENT, Buffer
from relay.te.expr import INDEX

#: What is used within so many bytes is kept in the nearest cache.
_NEAR_BYTES = 8192


class Access:
    """Memory accesses of one function; `pointers` names each buffer's first element."""

    def __init__(self, builder: FunctionBuilder, pointers: dict[Buffer, str]) -> None:
        self.builder = builder
        self.pointers = pointers
        self._asked: set[str] = set()

    # ------------------------------------------------------------------ addresses

    def sum_terms(self, form: Linear) -> Value:
        """A linear form (without lane) as an ``int64`` value."""
        b = self.builder
        total: Value | None = None
        for name, coefficient in form.terms:
            term = Value(name, INDEX)
            if coefficient != 1:
                term = Value(b.pure(f"mul nsw i64 {name}, {coefficient}"), INDEX)
            total = term if total is None else b.instruction("add nsw", total, term)
        if total is None:
            return constant(form.const, INDEX)
        if form.const:
            total = b.instruction("add nsw", total, constant(form.const, INDEX))
        return total

    def address(self, buffer: Buffer, form: Linear) -> str:
        """The address of an element; the constant part of the index comes last."""
        b = self.builder
        pointer = self.pointers[buffer]
        element = MEMORY[buffer.dtype]
        if form.terms:
            index = self.sum_terms(Linear(0, form.terms))
            pointer = b.pure(f"getelementptr inbounds {element}, ptr {pointer}, i64 {index.text}")
        if form.const:
            pointer = b.pure(f"getelementptr inbounds {element}, ptr {pointer}, i64 {form.const}")
        return pointer

    def alignment(self, buffer: Buffer, form: Linear) -> int:
        """Bytes that the address of an element is surely a multiple of."""
        steps = math.gcd(form.const, *(c for _, c in form.terms))
        return math.gcd(ALIGNMENT, steps * dtypes.itemsize(buffer.dtype))

    # ------------------------------------------------------------------ registers and memory

    def from_memory(self, text: str, dtype: str, lanes: int) -> Value:
        """A value as loaded, as it is held in registers."""
        if dtype != "bool":
            return Value(text, dtype, lanes)
        stored = memory_type(dtype, lanes)
        zero = "zeroinitializer" if lanes else "0"
        return Value(self.builder.pure(f"icmp ne {stored} {text}, {zero}"), dtype, lanes)

    def to_memory(self, value: Value) -> str:
        """A value as it is stored, with its type."""
        if value.dtype != "bool":
            return value.typed
        stored = memory_type("bool", value.lanes)
        return f"{stored} {self.builder.pure(f'zext {value.typed} to {stored}')}"

    def _load(self, buffer: Buffer, form: Linear, lanes: int) -> Value:
        pointer = self.address(buffer, form)
        full = memory_type(buffer.dtype, lanes)
        align = self.alignment(buffer, form)
        name = self.builder.emit(f"load {full}, ptr {pointer}, align {align}")
        return self.from_memory(name, buffer.dtype, lanes)

    def prefetch(self, buffer: Buffer, form: Linear, ahead: Linear, places: int) -> None:
        """Ask for the element `ahead` of one, which need not exist, to be brought near.

        Once for each place: unrolled loops load from it several times. What is many `places` ahead
        would be gone from the nearest cache when it is wanted, and is brought into the next one.
        """
        b = self.builder
        pointer = self.address_unchecked(buffer, form + ahead)
        if pointer in self._asked:
            return
        self._asked.add(pointer)
        level = 3 if places * dtypes.itemsize(buffer.dtype) <= _NEAR_BYTES else 2
        b.module.declare("llvm.prefetch.p0", "void", ["ptr", "i32", "i32", "i32"])
        b.line(f"call void @llvm.prefetch.p0(ptr {pointer}, i32 0, i32 {level}, i32 1)")

    # ------------------------------------------------------------------ loads

    def load(self, buffer: Buffer, form: Linear, mask: Value | None) -> Value:
        """One element. Where `mask` holds nowhere, the first element is read instead."""
        if mask is None:
            return self._load(buffer, form, 0)
        b = self.builder
        index = self.sum_terms(form)
        safe = b.select(b.any_lane(mask), index, constant(0, INDEX))
        if safe.const is not None:
            return self._load(buffer, Linear(int(safe.const)), 0)
        return self._load(buffer, Linear(0, ((safe.text, 1),)), 0)

    def load_strided(
        self, buffer: Buffer, first: Linear, stride: int, lanes: int, mask: Value | None
    ) -> Value:
        """Elements ``first, first + stride, ...``; with a mask only for strides 1 and -1."""
        b = self.builder
        if stride == 1:
            if mask is None:
                return self._load(buffer, first, lanes)
            return self._masked_load(buffer, first, lanes, mask)
        if stride == -1:
            back = range(lanes - 1, -1, -1)
            low = first + Linear(1 - lanes)
            if mask is None:
                return b.shuffle(self._load(buffer, low, lanes), None, back)
            mask = b.shuffle(b.broadcast(mask, lanes), None, back)
            return b.shuffle(self._masked_load(buffer, low, lanes, mask), None, back)
        # `stride` overlapping contiguous loads that together end at the last element touched.
        last = (lanes - 1) * stride + 1 - lanes
        result: Value | None = None
        picked: list[int] = [-1] * lanes
        for part in range(stride):
            start = min(part * lanes, last)
            chunk = self._load(buffer, first + Linear(start), lanes)
            here = [lane * stride - start for lane in range(lanes)]
            if result is None:
                result = chunk
                picked = [h if h < lanes else -1 for h in here]
                continue
            picks = []
            for lane in range(lanes):
                if picked[lane] >= 0:
                    picks.append(picked[lane] if part == 1 else lane)
                else:
                    picks.append(lanes + here[lane] if 0 <= here[lane] < lanes else 0)
            result = b.shuffle(result, chunk, picks)
            picked = [
                lane if picked[lane] >= 0 or 0 <= here[lane] < lanes else -1
                for lane in range(lanes)
            ]
        assert result is not None
        return result

    def load_bits(self, buffer: Buffer, first: Linear, dtype: str) -> Value:
        """The memory from element `first` on, read as one element of `dtype`."""
        pointer, align = self.address(buffer, first), self.alignment(buffer, first)
        name = self.builder.emit(f"load {memory_type(dtype)}, ptr {pointer}, align {align}")
        return self.from_memory(name, dtype, 0)

    def _masked_load(self, buffer: Buffer, first: Linear, lanes: int, mask: Value) -> Value:
        b = self.builder
        element = MEMORY[buffer.dtype]
        full = memory_type(buffer.dtype, lanes)
        name = f"llvm.masked.load.{suffix(element, lanes)}.p0"
        align = self.alignment(buffer, first)
        pointer = self.address_unchecked(buffer, first)
        mask = b.broadcast(mask, lanes)
        b.module.declare(name, full, ["ptr", "i32", mask.type, full])
        text = (
            f"call {full} @{name}(ptr {pointer}, i32 {align}, {mask.typed}, {full} zeroinitializer)"
        )
        return self.from_memory(b.emit(text), buffer.dtype, lanes)

    def address_unchecked(self, buffer: Buffer, form: Linear) -> str:
        """An address that may lie outside of the buffer (no ``inbounds``)."""
        index = self.sum_terms(form)
        element = MEMORY[buffer.dtype]
        return self.builder.pure(
            f"getelementptr {element}, ptr {self.pointers[buffer]}, i64 {index.text}"
        )

    def load_lanes(self, buffer: Buffer, offsets: Sequence[Linear]) -> Value:
        """Elements anywhere, one a lane."""
        b = self.builder
        lanes = len(offsets)
        if all(o == offsets[0] for o in offsets):
            return self._load(buffer, offsets[0], 0)
        low = min(o.const for o in offsets)
        span = max(o.const for o in offsets) - low + 1
        if span <= lanes and all(o.terms == offsets[0].terms for o in offsets):
            whole = self._load(buffer, Linear(low, offsets[0].terms), span)
            picks = [o.const - low for o in offsets]
            return whole if picks == list(range(lanes)) else b.shuffle(whole, None, picks)
        loaded: dict[Linear, Value] = {}
        for offset in offsets:
            if offset not in loaded:
                loaded[offset] = self._load(buffer, offset, 0)
        return b.pack([loaded[o] for o in offsets])

    def gather(self, buffer: Buffer, index: Value, mask: Value) -> Value:
        """Elements anywhere where `mask` holds, zero elsewhere."""
        b = self.builder
        lanes = index.lanes
        element = MEMORY[buffer.dtype]
        full = memory_type(buffer.dtype, lanes)
        pointers = b.pure(f"getelementptr {element}, ptr {self.pointers[buffer]}, {index.typed}")
        name = f"llvm.masked.gather.{suffix(element, lanes)}.v{lanes}p0"
        where = f"<{lanes} x ptr>"
        align = dtypes.itemsize(buffer.dtype)
        b.module.declare(name, full, [where, "i32", mask.type, full])
        text = (
            f"call {full} @{name}({where} {pointers}, i32 {align}, {mask.typed},"
            f" {full} zeroinitializer)"
        )
        return self.from_memory(b.emit(text), buffer.dtype, lanes)

    # ------------------------------------------------------------------ stores

    def store(self, buffer: Buffer, form: Linear, value: Value) -> None:
        """Store a scalar, or a vector to consecutive elements."""
        pointer = self.address(buffer, form)
        align = self.alignment(buffer, form)
        self.builder.line(f"store {self.to_memory(value)}, ptr {pointer}, align {align}")

    def store_lanes(self, buffer: Buffer, offsets: Sequence[Linear], value: Value) -> None:
        """Store the lanes of a vector anywhere."""
        for lane, offset in enumerate(offsets):
            self.store(buffer, offset, self.builder.extract(value, lane))
