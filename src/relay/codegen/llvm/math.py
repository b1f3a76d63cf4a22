"""Elementary functions as vector code.

For ``float32``, `exp log log2 log10 tanh sigmoid erf sin cos rsqrt pow` are our own: a range
reduction and a polynomial, the same on scalars and on vectors, within 4 ulp of the exact value,
with IEEE results at infinities, NaN, overflow and denormals. The coefficients are Chebyshev fits
that ``tools/fit_polynomials.py`` derives and prints. Everything else (the other functions,
``float64``, and sines of arguments beyond 1e9) calls the C mathematics library once a lane.
"""

import math
from collections.abc import Callable, Sequence

from relay.codegen.llvm.builder import FunctionBuilder
from relay.codegen.llvm.types import Number, Value, constant
from relay.support.errors import InternalError

# (exp(r) - 1 - r) / r^2 for |r| <= log(2) / 2
_EXPM1 = (0.5, 0.166665766661, 0.041666554213, 0.00836323288368, 0.00139262508315)
# (log(1 + f) - f + f^2 / 2) / f^3 for sqrt(1/2) <= 1 + f <= sqrt(2)
_LOG1P = (
    0.3333333118, -0.24999996958, 0.200007157489, -0.166678023195, 0.142490576457,
    -0.124256873315, 0.116854199235, -0.114797338466, 0.0697161147145,
)  # fmt: skip
# (sin(x) - x) / x^3 and (cos(x) - 1 + x^2 / 2) / x^4 as polynomials in x^2, |x| <= pi / 4
_SIN = (-0.166666666638, 0.00833333186596, -0.000198400820128, 2.72493140547e-6)
_COS = (0.0416666666643, -0.00138888876647, 2.48005964356e-5, -2.73004486195e-7)
# -log(erfc(x)) / x for 0 <= x <= 4
_ERF = (
    1.1283791709, 0.636619567365, 0.102773360949, -0.0191213860316, -0.000258150394793,
    0.00182303072295, -0.000771879746349, 0.000188092176373, -2.8743581766e-5,
    2.55876505984e-6, -1.01397727357e-7,
)  # fmt: skip
# log2((1 + s) / (1 - s)) / s as a polynomial in s^2: the terms of the series
_LOG2_SERIES = tuple(2 / math.log(2) / (2 * k + 1) for k in range(9))
# 2^f for |f| <= 1/2: the terms of the series
_EXP2_SERIES = tuple(math.log(2) ** k / math.factorial(k) for k in range(12))

_LOG2E = math.log2(math.e)
# Constants in two parts of which the first has trailing zeros, so that multiples of it are exact.
_LN2 = (0.693359375, math.log(2) - 0.693359375)
_LOG10_2 = (0.30078125, math.log10(2) - 0.30078125)
# pi / 2 in three parts of 53 bits.
_HALF_PI = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591833e-33)
#: Adding this to a small float leaves it rounded to an integer in the low bits.
_ROUND32 = 1.5 * 2.0**23
_ROUND64 = 1.5 * 2.0**52
_SINE_LIMIT = 1e9


def libm(b: FunctionBuilder, name: str, *args: Value) -> Value:
    """A function of the C mathematics library, lane by lane."""
    return b.scalar_call(name + ("f" if args[0].dtype == "float32" else ""), *args)


class _Arithmetic:
    """Short names for the float operations on values of one builder."""

    def __init__(self, builder: FunctionBuilder) -> None:
        self.b = builder

    def of(self, x: Value | float, like: Value) -> Value:
        """A number as a constant of the type of `like`."""
        return x if isinstance(x, Value) else constant(x, like.dtype)

    def add(self, x: Value, y: Value | float) -> Value:
        return self.b.instruction("fadd", x, self.of(y, x))

    def sub(self, x: Value, y: Value | float) -> Value:
        return self.b.instruction("fsub", x, self.of(y, x))

    def mul(self, x: Value, y: Value | float) -> Value:
        return self.b.instruction("fmul", x, self.of(y, x))

    def div(self, x: Value, y: Value | float) -> Value:
        return self.b.instruction("fdiv", x, self.of(y, x))

    def fma(self, x: Value, y: Value | float, z: Value | float) -> Value:
        return self.b.fma(x, self.of(y, x), self.of(z, x))

    def neg(self, x: Value) -> Value:
        return Value(self.b.pure(f"fneg {x.typed}"), x.dtype, x.lanes)

    def abs(self, x: Value) -> Value:
        return self.b.call("llvm.fabs", x)

    def copysign(self, x: Value, sign: Value) -> Value:
        return self.b.call("llvm.copysign", x, sign)

    def compare(self, op: str, x: Value, y: Value | float) -> Value:
        return self.b.instruction(f"fcmp {op}", x, self.of(y, x), "bool")

    def at_most(self, x: Value, bound: float) -> Value:
        """The smaller of the two; NaN stays NaN."""
        return self.b.select(self.compare("ogt", x, bound), self.of(bound, x), x)

    def at_least(self, x: Value, bound: float) -> Value:
        """The larger of the two; NaN stays NaN."""
        return self.b.select(self.compare("olt", x, bound), self.of(bound, x), x)

    def integer(self, op: str, x: Value, y: Value | int) -> Value:
        """An integer instruction."""
        return self.b.instruction(op, x, y if isinstance(y, Value) else constant(y, x.dtype))

    def either(self, x: Value, y: Value) -> Value:
        return self.b.instruction("or", x, y)

    def both(self, x: Value, y: Value) -> Value:
        return self.b.instruction("and", x, y)

    def where(self, cond: Value, x: Value | Number, y: Value) -> Value:
        """`x` where `cond`, else `y`."""
        return self.b.select(cond, x if isinstance(x, Value) else constant(x, y.dtype), y)

    def polynomial(self, x: Value, coefficients: Sequence[float]) -> Value:
        """The polynomial with `coefficients`, lowest power first, by Horner's scheme."""
        total = self.b.like(coefficients[-1], x)
        for coefficient in reversed(coefficients[:-1]):
            total = self.fma(total, x, coefficient)
        return total


# ---------------------------------------------------------------------- exponentials


def _reduce_exp(m: _Arithmetic, x: Value) -> tuple[Value, Value]:
    """``(n, q)`` with ``exp(x) == 2^n * (1 + q)``; `n` as ``int32``, `q` accurate near zero."""
    shifted = m.fma(x, _LOG2E, _ROUND32)
    n = m.sub(shifted, _ROUND32)
    r = m.fma(n, -_LN2[1], m.fma(n, -_LN2[0], x))
    q = m.fma(m.mul(r, r), m.polynomial(r, _EXPM1), r)
    bits = m.integer("sub", m.b.bitcast(shifted, "int32"), 0x4B400000)
    return bits, q


def _power_of_two(m: _Arithmetic, n: Value) -> Value:
    """``2^n`` for an ``int32`` in -126 .. 127."""
    return m.b.bitcast(m.integer("shl", m.integer("add", n, 127), 23), "float32")


def _exp(m: _Arithmetic, x: Value) -> Value:
    x = m.at_least(m.at_most(x, 89.0), -104.5)
    n, q = _reduce_exp(m, x)
    # In two factors: 2^128 is too large and 2^-140 too small for one.
    half = m.integer("ashr", n, 1)
    rest = m.integer("sub", n, half)
    return m.mul(m.mul(m.add(q, 1.0), _power_of_two(m, half)), _power_of_two(m, rest))


def _expm1_bounded(m: _Arithmetic, x: Value) -> Value:
    """``exp(x) - 1``, relatively accurate near zero too, for ``|x| <= 80``."""
    n, q = _reduce_exp(m, x)
    scale = _power_of_two(m, n)
    return m.fma(scale, q, m.sub(scale, 1.0))


def _tanh(m: _Arithmetic, x: Value) -> Value:
    size = m.at_most(m.abs(x), 10.0)
    e = _expm1_bounded(m, m.add(size, size))
    return m.copysign(m.div(e, m.add(e, 2.0)), x)


def _sigmoid(m: _Arithmetic, x: Value) -> Value:
    e = _exp(m, m.neg(m.abs(x)))
    one = m.b.like(1, x)
    numerator = m.where(m.compare("olt", x, 0.0), e, one)
    return m.div(numerator, m.add(e, 1.0))


def _erf(m: _Arithmetic, x: Value) -> Value:
    size = m.at_most(m.abs(x), 4.0)
    g = m.mul(size, m.polynomial(size, _ERF))
    return m.copysign(_expm1_bounded(m, m.neg(g)), x)


# ---------------------------------------------------------------------- logarithms


def _logarithm(m: _Arithmetic, x: Value, parts: tuple[float, float], factor: float) -> Value:
    """``factor * log(x)``, where `parts` sum to ``factor * log(2)``."""
    tiny = m.compare("olt", x, 2.0**-126)
    scaled = m.where(tiny, m.mul(x, 2.0**23), x)
    bits = m.b.bitcast(scaled, "int32")
    # The exponent of x / sqrt(1/2), and x brought into sqrt(1/2) .. sqrt(2) by it.
    above = m.integer("sub", bits, 0x3F3504F3)
    exponent = m.integer("ashr", above, 23)
    mantissa = m.integer("sub", bits, m.integer("shl", exponent, 23))
    f = m.sub(m.b.bitcast(mantissa, "float32"), 1.0)
    e = m.b.convert("sitofp", exponent, "float32")
    e = m.sub(e, m.where(tiny, 23.0, m.b.like(0.0, x)))
    square = m.mul(f, f)
    tail = m.fma(m.mul(square, f), m.polynomial(f, _LOG1P), m.mul(square, -0.5))
    if factor == 1.0:
        result = m.fma(e, parts[0], m.add(f, m.fma(e, parts[1], tail)))
    else:
        log = m.add(f, tail)
        lost = m.sub(tail, m.sub(log, f))
        low = m.fma(lost, factor, m.mul(e, parts[1]))
        result = m.fma(e, parts[0], m.fma(log, factor, low))
    result = m.where(m.compare("oeq", x, math.inf), math.inf, result)
    result = m.where(m.compare("oeq", x, 0.0), -math.inf, result)
    return m.where(m.compare("ult", x, 0.0), math.nan, result)


# ---------------------------------------------------------------------- sine and cosine


def _sine(m: _Arithmetic, x: Value, cosine: bool) -> Value:
    """Sine or cosine: reduced in ``float64`` to ``|r| <= pi/4`` and a quadrant."""
    b = m.b
    wide = b.convert("fpext", x, "float64")
    n = b.call("llvm.roundeven", m.mul(wide, 2 / math.pi))
    r = wide
    for part in _HALF_PI[:2]:
        r = m.fma(n, -part, r)
    quadrant = b.freeze(b.convert("fptosi", n, "int32"))
    if cosine:
        quadrant = m.integer("add", quadrant, 1)
    short = b.convert("fptrunc", r, "float32")
    z = m.mul(short, short)
    sine = m.fma(m.mul(z, short), m.polynomial(z, _SIN), short)
    cos = m.fma(m.mul(z, z), m.polynomial(z, _COS), m.fma(z, -0.5, 1.0))
    odd = m.integer("icmp ne", m.integer("and", quadrant, 1), 0)
    chosen = m.where(Value(odd.text, "bool", odd.lanes), cos, sine)
    sign = m.integer("shl", m.integer("and", quadrant, 2), 30)
    flipped = m.integer("xor", b.bitcast(chosen, "int32"), sign)
    return _beyond_limit(m, x, b.bitcast(flipped, "float32"), "cos" if cosine else "sin")


def _beyond_limit(m: _Arithmetic, x: Value, usual: Value, name: str) -> Value:
    """`usual`, but the C library's function in all lanes when any is beyond the limit."""
    b = m.b
    large = b.any_lane(m.compare("ogt", m.abs(x), _SINE_LIMIT))
    before, slow, join = b.block, b.label("slow"), b.label("join")
    b.branch_if(large, slow, join)
    b.begin(slow)
    with b.scope():
        exact = libm(b, name, x)
    b.branch(join)
    b.begin(join)
    text = f"phi {x.type} [ {usual.text}, %{before} ], [ {exact.text}, %{slow} ]"
    return Value(b.emit(text), x.dtype, x.lanes)


# ---------------------------------------------------------------------- powers


def power(b: FunctionBuilder, x: Value, y: Value) -> Value:
    """``x`` to the power ``y`` as in IEEE 754 (``pow``). Small constant integers are multiplied."""
    m = _Arithmetic(b)
    if y.const is not None and y.const in (0, 1, 2, 3, 4, -1, -2):
        return _small_power(m, x, int(y.const))
    if x.dtype != "float32":
        return libm(b, "pow", x, y)
    x, y = b.align_lanes(x, y)
    return _general_power(m, x, y)


def _small_power(m: _Arithmetic, x: Value, exponent: int) -> Value:
    if exponent == 0:
        return m.b.like(1, x)
    if exponent < 0:
        return m.div(m.b.like(1, x), _small_power(m, x, -exponent))
    square = m.mul(x, x) if exponent > 1 else x
    return {1: x, 2: square}.get(exponent) or m.mul(square, x if exponent == 3 else square)


def _general_power(m: _Arithmetic, x: Value, y: Value) -> Value:
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


# ---------------------------------------------------------------------- the table

_FLOAT32: dict[str, Callable[[_Arithmetic, Value], Value]] = {
    "exp": _exp,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "erf": _erf,
    "log": lambda m, x: _logarithm(m, x, _LN2, 1.0),
    "log2": lambda m, x: _logarithm(m, x, (1.0, 0.0), _LOG2E),
    "log10": lambda m, x: _logarithm(m, x, _LOG10_2, math.log10(math.e)),
    "sin": lambda m, x: _sine(m, x, cosine=False),
    "cos": lambda m, x: _sine(m, x, cosine=True),
}
_LIBM = frozenset(
    "exp log log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf".split()
)


def unary(b: FunctionBuilder, op: str, x: Value) -> Value:
    """An elementary function of a ``float32`` or ``float64``."""
    m = _Arithmetic(b)
    if op == "sqrt":
        return b.call("llvm.sqrt", x)
    if op == "rsqrt":
        return m.div(b.like(1, x), b.call("llvm.sqrt", x))
    if x.dtype == "float32" and op in _FLOAT32:
        # A constant argument is like any other, but instructions want the type of its register.
        return _FLOAT32[op](m, x)
    if op == "sigmoid":
        e = libm(b, "exp", m.neg(m.abs(x)))
        numerator = m.where(m.compare("olt", x, 0.0), e, b.like(1, x))
        return m.div(numerator, m.add(e, 1.0))
    if op in _LIBM:
        return libm(b, op, x)
    raise InternalError(f"{op} is not defined on {x.dtype}")
