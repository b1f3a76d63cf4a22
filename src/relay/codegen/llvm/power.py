"""Powers: of floats as in IEEE 754, of integers by repeated squaring.

``float32`` is computed in ``float64``, as ``2^(y * log2 x)``, by code of our own that is the same
on scalars and on vectors; ``float64`` calls the C mathematics library once a lane.
"""

import math

from relay.codegen.llvm.arithmetic import Arithmetic
from relay.codegen.llvm.builder import FunctionBuilder
from relay.codegen.llvm.types import Value

# log2((1 + s) / (1 - s)) / s as a polynomial in s^2: the terms of the series
_LOG2_SERIES = tuple(2 / math.log(2) / (2 * k + 1) for k in range(9))
# 2^f for |f| <= 1/2: the terms of the series
_EXP2_SERIES = tuple(math.log(2) ** k / math.factorial(k) for k in range(12))
#: Adding this to a small float leaves it rounded to an integer in the low bits.
_ROUND64 = 1.5 * 2.0**52


def float_power(b: FunctionBuilder, x: Value, y: Value) -> Value:
    """``x`` to the power ``y`` as in IEEE 754 (``pow``). Small constant integers are multiplied."""
    m = Arithmetic(b)
    if y.const is not None and y.const in (0, 1, 2, 3, 4, -1, -2):
        return _small_power(m, x, int(y.const))
    if x.dtype != "float32":
        return m.libm("pow", x, y)
    x, y = b.align_lanes(x, y)
    return _general_power(m, x, y)


def _small_power(m: Arithmetic, x: Value, exponent: int) -> Value:
    if exponent == 0:
        return m.b.like(1, x)
    if exponent < 0:
        return m.div(m.b.like(1, x), _small_power(m, x, -exponent))
    square = m.mul(x, x) if exponent > 1 else x
    return {1: x, 2: square}.get(exponent) or m.mul(square, x if exponent == 3 else square)


def _general_power(m: Arithmetic, x: Value, y: Value) -> Value:
    """``2^(y * log2 |x|)`` in ``float64``, then the cases that IEEE 754 lists."""
    b = m.b
    size = m.abs(x)
    wide = b.convert("fpext", size, "float64")
    exponent_bits = b.bitcast(wide, "int64")
    above = m.integer("sub", exponent_bits, 0x3FE6A09E667F3BCD)
    exponent = m.integer("ashr", above, 52)
    mantissa = m.integer("sub", exponent_bits, m.integer("shl", exponent, 52))
    f = b.bitcast(mantissa, "float64")
    s = m.div(m.sub(f, 1.0), m.add(f, 1.0))
    short = b.convert("sitofp", b.convert("trunc", exponent, "int32"), "float64")
    log = m.fma(s, m.polynomial(m.mul(s, s), _LOG2_SERIES), short)
    log = m.where(m.compare("oeq", wide, 0.0), -math.inf, log)
    log = m.where(m.compare("oeq", wide, math.inf), math.inf, log)
    log = m.where(m.compare("uno", wide, wide), math.nan, log)
    t = m.mul(b.convert("fpext", y, "float64"), log)
    t = m.at_least(m.at_most(t, 160.0), -160.0)
    shifted = m.add(t, _ROUND64)
    rest = m.sub(t, m.sub(shifted, _ROUND64))
    scale = m.integer("shl", m.integer("add", b.bitcast(shifted, "int64"), 1023), 52)
    exact = m.mul(m.polynomial(rest, _EXP2_SERIES), b.bitcast(scale, "float64"))
    result = b.convert("fptrunc", exact, "float32")

    half = m.mul(y, 0.5)
    whole = m.compare("oeq", b.call("llvm.roundeven", y), y)
    odd = m.both(whole, m.compare("one", b.call("llvm.roundeven", half), half))
    signed = m.copysign(result, x)
    result = m.where(odd, signed, result)
    fraction = m.compare("one", b.call("llvm.roundeven", y), y)
    negative = m.both(m.compare("olt", x, 0.0), m.compare("one", size, math.inf))
    result = m.where(m.both(negative, fraction), math.nan, result)
    endless = m.compare("oeq", m.abs(y), math.inf)
    unit = m.either(m.compare("oeq", x, 1.0), m.both(endless, m.compare("oeq", size, 1.0)))
    return m.where(m.either(unit, m.compare("oeq", y, 0.0)), 1.0, result)


def integer_power(b: FunctionBuilder, x: Value, y: Value) -> Value:
    """``x`` to the power ``y`` for integers, wrapping around; 1 for a negative exponent.

    By repeated squaring in a function of the module, once a lane.
    """
    if y.const is not None and y.const in (1, 2, 3, 4):
        square = b.instruction("mul", x, x)
        table = {1: lambda: x, 2: lambda: square, 3: lambda: b.instruction("mul", square, x)}
        return table.get(int(y.const), lambda: b.instruction("mul", square, square))()
    x, y = b.align_lanes(x, y)
    kind = Value("", x.dtype).type
    name = f"relay.power.{kind}"
    if not b.module.defines(name):
        b.module.define(name, _INTEGER_POWER.format(name=name, type=kind))
    results = []
    for lane in range(x.lanes or 1):
        one, other = b.extract(x, lane), b.extract(y, lane)
        text = f"call {kind} @{name}({one.typed}, {other.typed})"
        results.append(Value(b.pure(text), x.dtype))
    return b.pack(results) if x.lanes else results[0]


_INTEGER_POWER = """define internal {type} @{name}({type} %x, {type} %y) nounwind {{
entry:
  br label %loop
loop:
  %base = phi {type} [ %x, %entry ], [ %square, %next ]
  %exponent = phi {type} [ %y, %entry ], [ %half, %next ]
  %result = phi {type} [ 1, %entry ], [ %product, %next ]
  %more = icmp sgt {type} %exponent, 0
  br i1 %more, label %next, label %done
next:
  %low = trunc {type} %exponent to i1
  %factor = select i1 %low, {type} %base, {type} 1
  %product = mul {type} %result, %factor
  %square = mul {type} %base, %base
  %half = lshr {type} %exponent, 1
  br label %loop
done:
  ret {type} %result
}}"""
