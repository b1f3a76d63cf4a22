"""Writing LLVM IR as text: a module of functions, a function of blocks, a block of lines.

Text, not objects: LLVM parses it faster than Python could build a tree of instructions, and it is
what `relay show` prints. Instructions without side effects are hash-consed: the same text emitted
twice where the first one dominates gives the same value. Dominance is kept by scopes: whoever
starts code that does not dominate what follows (a loop's body, a side of a branch) opens one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from relay.codegen.llvm.types import (
    REGISTER,
    Number,
    Value,
    constant,
    constant_vector,
    register_type,
    suffix,
)
from relay.target import Target, is_aarch64


class Module:
    """Functions and declarations that are compiled together."""

    def __init__(self, target: Target) -> None:
        self.target = target
        arm = is_aarch64(target.triple)
        self.has_fma = target.has("fma") or arm
        self.has_half = target.has("f16c") or arm
        self.has_brain = target.multiplies_pairs  # and rounds to bfloat16
        self._declarations: dict[str, str] = {}
        self._functions: dict[str, str] = {}

    def declare(self, name: str, result: str, params: Sequence[str], attributes: str = "") -> None:
        """Declare an external function or intrinsic once."""
        if name not in self._declarations:
            line = f"declare {result} @{name}({', '.join(params)}) {attributes}".rstrip()
            self._declarations[name] = line

    def define(self, name: str, text: str) -> None:
        """Add a function under its name, given as its whole text."""
        self._functions[name] = text

    def defines(self, name: str) -> bool:
        """Whether a function of that name has been added."""
        return name in self._functions

    def __str__(self) -> str:
        head = f'target triple = "{self.target.triple}"'
        declarations = [d for n, d in self._declarations.items() if n not in self._functions]
        return "\n\n".join([head, *self._functions.values(), "\n".join(declarations)]) + "\n"


class FunctionBuilder:
    """One function under construction."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self._allocas: list[str] = []
        self._blocks: list[tuple[str, list[str]]] = [("entry", [])]
        self._current = 0
        self._lines = self._blocks[0][1]
        self._count = 0
        self._pure: dict[str, str] = {}
        self._added: list[list[str]] = [[]]

    # ------------------------------------------------------------------ text

    def name(self) -> str:
        """A fresh name for a value."""
        self._count += 1
        return f"%v{self._count}"

    def line(self, text: str) -> None:
        """Append an instruction that has no result."""
        self._lines.append(text)

    def emit(self, text: str) -> str:
        """Append an instruction; the name of its result."""
        self._count += 1
        name = f"%v{self._count}"
        self._lines.append(f"{name} = {text}")
        return name

    def pure(self, text: str) -> str:
        """Like `emit`, for an instruction without side effects: reused where it dominates."""
        name = self._pure.get(text)
        if name is None:
            name = self._pure[text] = self.emit(text)
            self._added[-1].append(text)
        return name

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Code that does not dominate what comes after the scope."""
        self._added.append([])
        try:
            yield
        finally:
            for text in self._added.pop():
                del self._pure[text]

    def alloca(self, type_: str, count: int, align: int) -> str:
        """Stack memory for `count` values, reserved in the entry block."""
        name = self.name()
        self._allocas.append(f"{name} = alloca [{count} x {type_}], align {align}")
        return name

    def label(self, hint: str) -> str:
        """A fresh label."""
        self._count += 1
        return f"{hint}{self._count}"

    def begin(self, label: str) -> None:
        """Start the block `label`; the one before must have ended with a branch."""
        self._lines = []
        self._current = len(self._blocks)
        self._blocks.append((label, self._lines))

    @property
    def block(self) -> str:
        """The label of the current block."""
        return self._blocks[self._current][0]

    @property
    def position(self) -> int:
        """The current block, to `resume` it later."""
        return self._current

    def resume(self, position: int) -> None:
        """Continue an earlier block that has not been ended."""
        self._current = position
        self._lines = self._blocks[position][1]

    def reserve(self) -> tuple[list[str], int]:
        """A place for an instruction that is known later."""
        self._lines.append("")
        return self._lines, len(self._lines) - 1

    def branch(self, label: str) -> None:
        """Jump to `label`."""
        self._lines.append(f"br label %{label}")

    def branch_if(self, cond: Value, then: str, otherwise: str) -> None:
        """Jump to `then` where `cond` (``bool`` scalar) holds, else to `otherwise`."""
        self._lines.append(f"br i1 {cond.text}, label %{then}, label %{otherwise}")

    def finish(self, signature: str, attributes: str = "nounwind") -> str:
        """The whole function's text; `signature` is everything from the linkage to ``)``."""
        out = [f"define {signature} {attributes} {{"]
        for index, (label, lines) in enumerate(self._blocks):
            out.append(f"{label}:")
            if index == 0:
                out.extend("  " + line for line in self._allocas)
            out.extend("  " + line for line in lines)
        out.append("}")
        return "\n".join(out)

    # ------------------------------------------------------------------ values

    def broadcast(self, value: Value, lanes: int) -> Value:
        """`value` in every lane; vectors and ``lanes == 0`` stay as they are."""
        if value.lanes or not lanes:
            return value
        if value.const is not None:
            return constant_vector([value.const] * lanes, value.dtype)
        full = register_type(value.dtype, lanes)
        one = self.pure(f"insertelement {full} poison, {value.typed}, i64 0")
        text = f"shufflevector {full} {one}, {full} poison, <{lanes} x i32> zeroinitializer"
        return Value(self.pure(text), value.dtype, lanes)

    def align_lanes(self, *values: Value) -> list[Value]:
        """`values` brought to one number of lanes."""
        lanes = max(v.lanes for v in values)
        return [self.broadcast(v, lanes) for v in values]

    def instruction(self, op: str, a: Value, b: Value, dtype: str | None = None) -> Value:
        """A two-operand instruction on values of one type; `dtype` is the result's."""
        if a.lanes != b.lanes:
            a, b = self.align_lanes(a, b)
        name = self.pure(f"{op} {a.typed}, {b.text}")
        return Value(name, dtype or a.dtype, a.lanes)

    def convert(self, op: str, a: Value, dtype: str) -> Value:
        """A conversion instruction such as ``sext``."""
        name = self.pure(f"{op} {a.typed} to {register_type(dtype, a.lanes)}")
        return Value(name, dtype, a.lanes)

    def call(self, name: str, *args: Value, extra: str = "", flags: str = "") -> Value:
        """An overloaded intrinsic of which all arguments and the result have one type."""
        args = tuple(self.align_lanes(*args))
        a = args[0]
        full = f"{name}.{suffix(REGISTER[a.dtype], a.lanes)}"
        self.module.declare(full, a.type, [v.type for v in args] + (["i1"] if extra else []))
        operands = ", ".join(v.typed for v in args) + extra
        flags = f"{flags} " if flags else ""
        return Value(self.pure(f"call {flags}{a.type} @{full}({operands})"), a.dtype, a.lanes)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """``a * b + c``, fused where the target has the instruction."""
        if self.module.has_fma:
            return self.call("llvm.fma", a, b, c)
        return self.instruction("fadd", self.instruction("fmul", a, b), c)

    def select(self, cond: Value, then: Value, otherwise: Value) -> Value:
        """`then` where `cond`, else `otherwise`, without a branch."""
        if cond.const is not None:
            return then if cond.const else otherwise
        lanes = max(cond.lanes, then.lanes, otherwise.lanes)
        then, otherwise = self.broadcast(then, lanes), self.broadcast(otherwise, lanes)
        name = self.pure(f"select {cond.typed}, {then.typed}, {otherwise.typed}")
        return Value(name, then.dtype, lanes)

    def like(self, value: Number, model: Value) -> Value:
        """A constant of the type of `model`."""
        return self.broadcast(constant(value, model.dtype), model.lanes)

    def extract(self, value: Value, lane: int) -> Value:
        """One lane of a vector; a scalar is the same in every lane."""
        if not value.lanes:
            return value
        return Value(self.pure(f"extractelement {value.typed}, i64 {lane}"), value.dtype)

    def pack(self, values: Sequence[Value]) -> Value:
        """A vector of scalars."""
        dtype, lanes = values[0].dtype, len(values)
        full = register_type(dtype, lanes)
        text = "poison"
        for lane, value in enumerate(values):
            text = self.pure(f"insertelement {full} {text}, {value.typed}, i64 {lane}")
        return Value(text, dtype, lanes)

    def shuffle(self, a: Value, b: Value | None, picks: Sequence[int]) -> Value:
        """Lanes `picks` of `a` followed by `b`."""
        other = b.typed if b is not None else f"{a.type} poison"
        mask = ", ".join(f"i32 {p}" for p in picks)
        text = f"shufflevector {a.typed}, {other}, <{len(picks)} x i32> <{mask}>"
        return Value(self.pure(text), a.dtype, len(picks))

    def bitcast(self, a: Value, dtype: str) -> Value:
        """The bits of `a` read as `dtype`, which has as many."""
        return self.convert("bitcast", a, dtype)

    def bitcast_lanes(self, a: Value, dtype: str, lanes: int) -> Value:
        """The bits of the vector `a` read as `lanes` of `dtype`."""
        full = register_type(dtype, lanes)
        return Value(self.pure(f"bitcast {a.typed} to {full}"), dtype, lanes)

    def freeze(self, a: Value) -> Value:
        """`a`, made some fixed value where it is poison."""
        return Value(self.pure(f"freeze {a.typed}"), a.dtype, a.lanes)

    def scalar_call(self, name: str, *args: Value) -> Value:
        """A scalar function of the C library, called for every lane."""
        args = tuple(self.align_lanes(*args))
        a = args[0]
        one = REGISTER[a.dtype]
        self.module.declare(name, one, [one] * len(args), "nounwind willreturn memory(none)")
        results = []
        for lane in range(a.lanes or 1):
            operands = ", ".join(self.extract(v, lane).typed for v in args)
            results.append(Value(self.pure(f"call {one} @{name}({operands})"), a.dtype))
        return self.pack(results) if a.lanes else results[0]

    def any_lane(self, mask: Value) -> Value:
        """Whether any lane of a ``bool`` vector holds."""
        if not mask.lanes:
            return mask
        name = f"llvm.vector.reduce.or.{suffix('i1', mask.lanes)}"
        self.module.declare(name, "i1", [mask.type])
        return Value(self.pure(f"call i1 @{name}({mask.typed})"), "bool")
