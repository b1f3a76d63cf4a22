"""What each operation is in LLVM: unary, binary and compare operations on scalars and vectors.

``float16`` and ``bfloat16`` are computed in ``float32`` and rounded where they are stored, compared
or converted, not between the operations of one expression.
Integer division never traps: by zero it gives an unspecified value, and the smallest integer
divided by -1 wraps around.
"""

from collections.abc import Callable

from relay import codes, dtypes
from relay.codegen.llvm import math, power, small
from relay.codegen.llvm.builder import FunctionBuilder
from relay.codegen.llvm.narrow import NARROW, narrow, operand, result, widen
from relay.codegen.llvm.types import Value, constant
from relay.support.errors import InternalError
from relay.te.expr import REINTERPRETS

_FLOAT = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv", "truncmod": "frem"}
_INTEGER = {"add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor"}
_LOGIC = {
    "add": "or",
    "or": "or",
    "max": "or",
    "mul": "and",
    "and": "and",
    "min": "and",
    "xor": "xor",
    "sub": "xor",
}
_FLOAT_COMPARE = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}
_ROUND = {
    "floor": "llvm.floor",
    "ceil": "llvm.ceil",
    "round": "llvm.roundeven",
    "trunc": "llvm.trunc",
}


# ---------------------------------------------------------------------- conversions


def cast(b: FunctionBuilder, x: Value, dtype: str) -> Value:
    """`x` converted to `dtype`; float to integer rounds towards zero.

    A float out of the integer type's range, or NaN, gives an unspecified value.
    """
    if x.dtype == dtype:
        return x
    if x.const is not None and not (dtypes.is_float(x.dtype) and dtypes.is_integer(dtype)):
        return constant(bool(x.const) if dtype == "bool" else x.const, dtype)
    if x.dtype in dtypes.SMALL:
        return cast(b, small.widen(b, x), dtype)
    if dtype in dtypes.SMALL:
        return _cast_to_small(b, x, dtype)
    if x.dtype in NARROW:
        return cast(b, widen(b, x), dtype)
    if dtype in NARROW:
        return narrow(b, cast(b, x, "float32"), dtype)
    if dtype == "bool":
        return compare(b, "ne", x, constant(0, x.dtype))
    if dtypes.is_float(x.dtype):
        return _cast_from_float(b, x, dtype)
    signed = dtypes.is_signed(x.dtype)
    if dtypes.is_float(dtype):
        return b.convert("sitofp" if signed else "uitofp", x, dtype)
    source = 1 if x.dtype == "bool" else dtypes.bits(x.dtype)
    if source == dtypes.bits(dtype):
        return Value(x.text, dtype, x.lanes, None if x.const is None else x.const)
    if source > dtypes.bits(dtype):
        return b.convert("trunc", x, dtype)
    return b.convert("sext" if signed else "zext", x, dtype)


def _cast_to_small(b: FunctionBuilder, x: Value, dtype: str) -> Value:
    if dtype in dtypes.SMALL_INTEGERS:
        return small.low_bits(b, cast(b, x, dtypes.to_numpy(dtype).name), dtype)
    if dtype == codes.E8M0:
        return small.narrow_scale(b, cast(b, x, "float64"))
    if x.dtype == "float64":
        return small.narrow(b, small.sticky_single(b, x), dtype)
    return small.narrow(b, cast(b, x, "float32"), dtype)


def _cast_from_float(b: FunctionBuilder, x: Value, dtype: str) -> Value:
    if dtypes.is_float(dtype):
        return b.convert("fpext" if dtype == "float64" else "fptrunc", x, dtype)
    if dtype == "uint64":
        return b.freeze(b.convert("fptoui", x, dtype))
    # Through the next wider signed type, so that small negative values wrap as in C arrays.
    wide = {"uint8": "int32", "uint16": "int32", "uint32": "int64"}
    wide |= {"int8": "int32", "int16": "int32"}
    through = wide.get(dtype, dtype)
    return cast(b, b.freeze(b.convert("fptosi", x, through)), dtype)


# ---------------------------------------------------------------------- compare


def compare(b: FunctionBuilder, op: str, x: Value, y: Value) -> Value:
    """``x op y`` as ``bool``; comparisons with NaN are false, except ``ne``."""
    if x.dtype in dtypes.SMALL:
        x, y = small.widen(b, x), small.widen(b, y)
    if x.dtype in NARROW:
        x, y = widen(b, x), widen(b, y)
    if x.const is not None and y.const is not None:
        p, q = x.const, y.const
        table = {"lt": p < q, "le": p <= q, "gt": p > q, "ge": p >= q, "eq": p == q, "ne": p != q}
        return constant(table[op], "bool")
    if dtypes.is_float(x.dtype):
        return b.instruction(f"fcmp {_FLOAT_COMPARE[op]}", x, y, "bool")
    sign = "" if op in ("eq", "ne") else "s" if dtypes.is_signed(x.dtype) else "u"
    return b.instruction(f"icmp {sign}{op}", x, y, "bool")


# ---------------------------------------------------------------------- binary


def binary(b: FunctionBuilder, op: str, x: Value, y: Value) -> Value:
    """``x op y`` for values of one data type."""
    dtype = x.dtype
    if dtype in NARROW:
        if op == "div" and y.const and 2.0**-100 < abs(y.const) < 2.0**100:
            # Half of what divides in float32 would be lost to rounding anyway.
            op, y = "mul", constant(1 / y.const, "float32")
        return result(b, binary(b, op, operand(b, x), operand(b, y)), dtype)
    if dtype == "bool":
        return _logic(b, op, x, y)
    if dtypes.is_float(dtype):
        return _float_binary(b, op, x, y)
    return _integer_binary(b, op, x, y)


def _logic(b: FunctionBuilder, op: str, x: Value, y: Value) -> Value:
    if op not in _LOGIC:
        raise InternalError(f"{op} is not defined on bool")
    name = _LOGIC[op]
    for one, other in ((x, y), (y, x)):
        if one.const is not None and name != "xor":
            return other if bool(one.const) == (name == "and") else one
    return b.instruction(name, x, y)


def _float_binary(b: FunctionBuilder, op: str, x: Value, y: Value) -> Value:
    if op in _FLOAT:
        return b.instruction(_FLOAT[op], x, y)
    if op in ("min", "max"):
        return float_extremum(b, op, x, y)
    if op in ("floordiv", "truncdiv"):
        rounding = "llvm.floor" if op == "floordiv" else "llvm.trunc"
        return b.call(rounding, b.instruction("fdiv", x, y))
    if op == "floormod":
        rest = b.instruction("frem", x, y)
        zero = b.like(0, rest)
        below = b.instruction("fcmp olt", rest, zero, "bool")
        wrong = b.instruction("xor", below, b.instruction("fcmp olt", y, zero, "bool"))
        wrong = b.instruction("and", wrong, b.instruction("fcmp one", rest, zero, "bool"))
        return b.select(wrong, b.instruction("fadd", rest, y), rest)
    if op == "pow":
        return power.float_power(b, x, y)
    raise InternalError(f"{op} is not defined on {x.dtype}")


def float_extremum(b: FunctionBuilder, op: str, x: Value, y: Value) -> Value:
    """Minimum or maximum; NaN where either is NaN; of two zeros any.

    ``select(x > y, x, y)`` is one machine instruction and gives `y` where either is NaN: that will
    do where `x` is a constant.
    """
    if y.const is not None:
        x, y = y, x
    x, y = b.align_lanes(x, y) if x.lanes != y.lanes else (x, y)
    if x.const is None and not x.text.startswith("<"):
        return b.call("llvm.maximum" if op == "max" else "llvm.minimum", x, y, flags="nsz")
    order = "fcmp ogt" if op == "max" else "fcmp olt"
    return b.select(b.instruction(order, x, y, "bool"), x, y)


def _integer_binary(b: FunctionBuilder, op: str, x: Value, y: Value) -> Value:
    signed = dtypes.is_signed(x.dtype)
    if op in _INTEGER:
        return b.instruction(_INTEGER[op], x, y)
    if op in ("min", "max"):
        return b.call(f"llvm.{'s' if signed else 'u'}{op}", x, y)
    if op in ("shl", "shr"):
        return _shift(b, op, x, y)
    if op in ("div", "truncdiv", "truncmod", "floordiv", "floormod"):
        return _divide(b, op, x, y)
    if op == "pow":
        return power.integer_power(b, x, y)
    raise InternalError(f"{op} is not defined on {x.dtype}")


def _shift(b: FunctionBuilder, op: str, x: Value, y: Value) -> Value:
    signed, bits = dtypes.is_signed(x.dtype), dtypes.bits(x.dtype)
    name = "shl" if op == "shl" else "ashr" if signed else "lshr"
    if y.const is not None and 0 <= y.const < bits:
        return b.instruction(name, x, y)
    if name == "ashr":
        return b.instruction(name, x, b.call("llvm.umin", y, constant(bits - 1, y.dtype)))
    inside = b.instruction("icmp ult", y, constant(bits, y.dtype), "bool")
    return b.select(inside, b.instruction(name, x, y), constant(0, x.dtype))


def _divide(b: FunctionBuilder, op: str, x: Value, y: Value) -> Value:
    """Integer division and remainder, rounding down (``floor..``) or towards zero."""
    signed = dtypes.is_signed(x.dtype)
    divides = op in ("div", "truncdiv", "floordiv")
    if not signed:
        safe = y if y.const else b.call("llvm.umax", y, constant(1, y.dtype))
        return b.instruction("udiv" if divides else "urem", x, safe)
    if y.const is not None and y.const > 0 and op.startswith("floor"):
        shift = int(y.const).bit_length() - 1
        if y.const == 1 << shift:
            if divides:
                return b.instruction("ashr", x, constant(shift, y.dtype))
            return b.instruction("and", x, constant(int(y.const) - 1, y.dtype))
    safe, minus_one = y, None
    if not y.const or y.const == -1:
        zero, ones = constant(0, y.dtype), constant(-1, y.dtype)
        minus_one = compare(b, "eq", y, ones)
        unsafe = _logic(b, "or", compare(b, "eq", y, zero), minus_one)
        safe = b.select(unsafe, constant(1, y.dtype), y)
    quotient, rest = b.instruction("sdiv", x, safe), b.instruction("srem", x, safe)
    if minus_one is not None:
        negated = b.instruction("sub", constant(0, x.dtype), x)
        quotient = b.select(minus_one, negated, quotient)
    if not op.startswith("floor"):
        return quotient if divides else rest
    zero = constant(0, x.dtype)
    differ = b.instruction("icmp slt", b.instruction("xor", rest, safe), zero, "bool")
    adjust = b.instruction("and", differ, b.instruction("icmp ne", rest, zero, "bool"))
    if divides:
        return b.instruction("add", quotient, b.convert("sext", adjust, x.dtype))
    return b.select(adjust, b.instruction("add", rest, safe), rest)


# ---------------------------------------------------------------------- unary


def unary(b: FunctionBuilder, op: str, x: Value) -> Value:
    """``op x``; `isnan` and the like give ``bool``."""
    if op in ("isnan", "isinf", "isfinite"):
        return _classify(b, op, x)
    if op in REINTERPRETS:
        return _reinterpreted(b, op, x)
    if op == "not" or (op == "bitnot" and x.dtype == "bool"):
        if x.const is not None:
            return constant(not x.const, "bool")
        return b.instruction("xor", x, constant(True, "bool"))
    if op == "bitnot":
        return b.instruction("xor", x, constant(-1, x.dtype))
    if x.dtype in NARROW:
        wide = operand(b, x)
        return result(b, math.narrow_unary(b, op, wide) or unary(b, op, wide), x.dtype)
    if dtypes.is_float(x.dtype):
        return _float_unary(b, op, x)
    return _integer_unary(b, op, x)


def _reinterpreted(b: FunctionBuilder, op: str, x: Value) -> Value:
    dtype = f"{op[2:]}{dtypes.width(x.dtype)}" if op in ("asint", "asfloat") else op[2:]
    if x.const is not None:
        x = Value(x.text, x.dtype, x.lanes)
    if dtypes.width(dtype) < dtypes.bits(dtype):
        return small.low_bits(b, x, dtype)
    return b.bitcast(x, dtype)


def _classify(b: FunctionBuilder, op: str, x: Value) -> Value:
    if not dtypes.is_float(x.dtype):
        return constant(op == "isfinite", "bool")
    if x.dtype in dtypes.SMALL_FLOATS:
        x = small.widen(b, x)
    if x.dtype in NARROW:
        x = widen(b, x)
    if op == "isnan":
        return b.instruction("fcmp uno", x, x, "bool")
    size = b.call("llvm.fabs", x)
    infinity = constant(float("inf"), x.dtype)
    return b.instruction("fcmp oeq" if op == "isinf" else "fcmp olt", size, infinity, "bool")


def _float_unary(b: FunctionBuilder, op: str, x: Value) -> Value:
    if op == "neg":
        return Value(b.pure(f"fneg {x.typed}"), x.dtype, x.lanes)
    if op == "abs":
        return b.call("llvm.fabs", x)
    if op in _ROUND:
        return b.call(_ROUND[op], x)
    if op == "sign":
        zero = b.like(0, x)
        negative = b.select(b.instruction("fcmp olt", x, zero, "bool"), b.like(-1, x), x)
        return b.select(b.instruction("fcmp ogt", x, zero, "bool"), b.like(1, x), negative)
    return math.unary(b, op, x)


def _integer_unary(b: FunctionBuilder, op: str, x: Value) -> Value:
    zero = constant(0, x.dtype)
    table: dict[str, Callable[[], Value]] = {
        "neg": lambda: b.instruction("sub", zero, x),
        "abs": lambda: (
            b.call("llvm.abs", x, extra=", i1 false") if dtypes.is_signed(x.dtype) else x
        ),
        "sign": lambda: b.instruction(
            "sub",
            cast(b, compare(b, "gt", x, zero), x.dtype),
            cast(b, compare(b, "lt", x, zero), x.dtype),
        ),
    }
    if op in ("floor", "ceil", "round", "trunc"):
        return x
    if op not in table:
        raise InternalError(f"{op} is not defined on {x.dtype}; cast to a float type first")
    return table[op]()
