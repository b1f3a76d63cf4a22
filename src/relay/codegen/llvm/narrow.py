"""Conversions of ``float16`` and ``bfloat16``, which are computed in ``float32``.

By instructions where the target has them, else on the bits, with the same results (but that the
instruction for ``bfloat16`` takes denormals for zero): LLVM would call functions of a compiler's
runtime library, which this process need not have.
"""

from relay.codegen.llvm.builder import FunctionBuilder
from relay.codegen.llvm.types import Value, constant, register_type, vector

NARROW = ("float16", "bfloat16")


def widen(b: FunctionBuilder, x: Value) -> Value:
    """A ``float16`` or ``bfloat16`` as ``float32``, exactly."""
    if x.const is not None:
        return constant(x.const, "float32")
    if x.dtype == "float16":
        return b.convert("fpext", x, "float32") if b.module.has_half else _widen_half(b, x)
    wide = b.convert("zext", x, "uint32")
    return b.bitcast(b.instruction("shl", wide, b.like(16, wide)), "float32")


def narrow(b: FunctionBuilder, x: Value, dtype: str) -> Value:
    """A ``float32`` rounded to the nearest `dtype`, ties to even."""
    if x.const is not None:
        return constant(x.const, dtype)
    if dtype == "float16":
        return b.convert("fptrunc", x, dtype) if b.module.has_half else _narrow_half(b, x)
    if b.module.has_brain:
        brain = vector("bfloat", x.lanes)
        rounded = b.pure(f"fptrunc {x.typed} to {brain}")
        bits = register_type(dtype, x.lanes)
        return Value(b.pure(f"bitcast {brain} {rounded} to {bits}"), dtype, x.lanes)
    return _narrow_brain(b, x)


def operand(b: FunctionBuilder, x: Value) -> Value:
    """`x` in ``float32``, as an operand of arithmetic: not rounded where arithmetic made it."""
    if x.dtype not in NARROW:
        return x
    return x.wide or widen(b, x)


def result(b: FunctionBuilder, x: Value, dtype: str) -> Value:
    """The ``float32`` result `x` of arithmetic on `dtype`, rounded where it is not an operand."""
    rounded = narrow(b, x, dtype)
    return Value(rounded.text, dtype, rounded.lanes, rounded.const, x)


def choose(b: FunctionBuilder, cond: Value, then: Value, otherwise: Value) -> Value:
    """`then` where `cond`, else `otherwise`: not rounded where one of them is not."""
    chosen = b.select(cond, then, otherwise)
    if cond.const is None and (then.wide or otherwise.wide):
        chosen.wide = b.select(cond, operand(b, then), operand(b, otherwise))
    return chosen


def _narrow_brain(b: FunctionBuilder, x: Value) -> Value:
    """Half of the last bit kept is added, and a little less where that bit is even."""
    bits = b.bitcast(x, "uint32")
    odd = _bits(b, "and", _bits(b, "lshr", bits, 16), 1)
    rounded = b.instruction("add", _bits(b, "add", bits, 0x7FFF), odd)
    is_nan = b.instruction("fcmp uno", x, x, "bool")
    chosen = b.select(is_nan, _bits(b, "or", bits, 0x400000), rounded)
    return b.convert("trunc", _bits(b, "lshr", chosen, 16), "bfloat16")


def _bits(b: FunctionBuilder, op: str, x: Value, y: int) -> Value:
    return b.instruction(op, x, constant(y, x.dtype))


def _widen_half(b: FunctionBuilder, x: Value) -> Value:
    """Exponent and fraction moved into place, and the exponent's bias changed by a product."""
    half = b.convert("zext", b.bitcast(x, "uint16"), "uint32")
    shifted = _bits(b, "shl", _bits(b, "and", half, 0x7FFF), 13)
    finite = b.instruction("fmul", b.bitcast(shifted, "float32"), constant(2.0**112, "float32"))
    special = b.instruction("icmp uge", shifted, constant(0x7C00 << 13, "uint32"), "bool")
    endless = _bits(b, "or", shifted, 0x7F800000)
    size = b.select(special, endless, b.bitcast(finite, "uint32"))
    sign = _bits(b, "shl", _bits(b, "and", half, 0x8000), 16)
    return b.bitcast(b.instruction("or", size, sign), "float32")


def _narrow_half(b: FunctionBuilder, x: Value) -> Value:
    """Rounded on the bits; a sum with 1/2 rounds what becomes denormal."""
    bits = b.bitcast(x, "uint32")
    size = _bits(b, "and", bits, 0x7FFFFFFF)
    odd = _bits(b, "and", _bits(b, "lshr", size, 13), 1)
    rebiased = _bits(b, "sub", _bits(b, "add", size, 0xFFF), 112 << 23)
    normal = _bits(b, "lshr", b.instruction("add", rebiased, odd), 13)
    sum_ = b.instruction("fadd", b.bitcast(size, "float32"), constant(0.5, "float32"))
    denormal = _bits(b, "sub", b.bitcast(sum_, "uint32"), 0x3F000000)
    small = b.instruction("icmp ult", size, constant(0x38800000, "uint32"), "bool")
    large = b.instruction("icmp uge", size, constant(0x47800000, "uint32"), "bool")
    is_nan = b.instruction("icmp ugt", size, constant(0x7F800000, "uint32"), "bool")
    endless = b.select(is_nan, b.like(0x7E00, size), b.like(0x7C00, size))
    result = b.select(large, endless, b.select(small, denormal, normal))
    sign = _bits(b, "and", _bits(b, "lshr", bits, 16), 0x8000)
    short = b.convert("trunc", b.instruction("or", result, sign), "uint16")
    return b.bitcast(short, "float16")
