"""Elementary functions as vector code.

For ``float32`` the functions are our own: a range reduction and a polynomial, the same on scalars
and on vectors, within 4 ulp of the exact value, with IEEE results at infinities, NaN, overflow and
denormals. The coefficients are Chebyshev fits that ``tools/fit_polynomials.py`` derives and prints.
Everything else (``float64``, and sines, cosines and tangents of arguments beyond 1e9) calls the C
mathematics library once a lane.
"""

import math
from collections.abc import Callable

from relay.codegen.llvm.arithmetic import Arithmetic
from relay.codegen.llvm.builder import FunctionBuilder
from relay.codegen.llvm.types import Value
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
# (atan(t) - t) / t^3 as a polynomial in t^2, 0 <= t <= 1
_ATAN = (
    -0.333333330811, 0.199999493211, -0.142840037947, 0.110882616287, -0.0893182677738,
    0.0703191425003, -0.0489605140271, 0.0263050011101, -0.00914462976059, 0.0014886919393,
)  # fmt: skip
# (asin(s) - s) / s^3 as a polynomial in s^2, 0 <= s <= 1/2
_ASIN = (
    0.166666663374, 0.075000945435, 0.0445994015285, 0.0311006627355, 0.0171492383577,
    0.0336908472028,
)  # fmt: skip
# -log(erfc(x)) / x for 0 <= x <= 4
_ERF = (
    1.1283791709, 0.636619567365, 0.102773360949, -0.0191213860316, -0.000258150394793,
    0.00182303072295, -0.000771879746349, 0.000188092176373, -2.8743581766e-5,
    2.55876505984e-6, -1.01397727357e-7,
)  # fmt: skip
# erf(x) / x as a polynomial in x^2, |x| <= 3, for results that are rounded to 11 bits at most
_ERF_NARROW = (
    1.12835992283, -0.375777721723, 0.111770452023, -0.0255700116804, 0.00440387036067,
    -0.000545643366014, 4.51235481063e-5, -2.1986137083e-6, 4.72836428279e-8,
)  # fmt: skip

_LOG2E = math.log2(math.e)
# Constants in two parts of which the first has trailing zeros, so that multiples of it are exact.
_LN2 = (0.693359375, math.log(2) - 0.693359375)
_LOG10_2 = (0.30078125, math.log10(2) - 0.30078125)
# pi / 2 in three parts of 53 bits.
_HALF_PI = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591833e-33)
# pi / 2 as the nearest float32 and what that lacks.
_HALF_PI32 = (1.57079637050628662109375, math.pi / 2 - 1.57079637050628662109375)
#: Adding this to a small float leaves it rounded to an integer in the low bits.
_ROUND32 = 1.5 * 2.0**23
_SINE_LIMIT = 1e9


# ---------------------------------------------------------------------- exponentials


def _reduce_exp(m: Arithmetic, x: Value) -> tuple[Value, Value]:
    """``(n, q)`` with ``exp(x) == 2^n * (1 + q)``; `n` as ``int32``, `q` accurate near zero."""
    shifted = m.fma(x, _LOG2E, _ROUND32)
    n = m.sub(shifted, _ROUND32)
    r = m.fma(n, -_LN2[1], m.fma(n, -_LN2[0], x))
    q = m.fma(m.mul(r, r), m.polynomial(r, _EXPM1), r)
    bits = m.integer("sub", m.b.bitcast(shifted, "int32"), 0x4B400000)
    return bits, q


def _power_of_two(m: Arithmetic, n: Value) -> Value:
    """``2^n`` for an ``int32`` in -126 .. 127."""
    return m.b.bitcast(m.integer("shl", m.integer("add", n, 127), 23), "float32")


def _exp(m: Arithmetic, x: Value) -> Value:
    # What is far too small becomes 1 on the way: results that underflow take a hundred cycles.
    gone = m.compare("olt", x, -104.0)
    x = m.where(gone, 0.0, m.at_most(x, 89.0))
    n, q = _reduce_exp(m, x)
    # In two factors, with biased exponents: 2^128 is too large and 2^-140 too small for one.
    both = m.integer("add", n, 2 * 127)
    half = m.integer("ashr", both, 1)
    factors = (m.integer("shl", e, 23) for e in (half, m.integer("sub", both, half)))
    first, second = (m.b.bitcast(bits, "float32") for bits in factors)
    return m.where(gone, 0.0, m.mul(m.mul(m.add(q, 1.0), first), second))


def _expm1_bounded(m: Arithmetic, x: Value) -> Value:
    """``exp(x) - 1``, relatively accurate near zero too, for ``|x| <= 80``."""
    n, q = _reduce_exp(m, x)
    scale = _power_of_two(m, n)
    return m.fma(scale, q, m.sub(scale, 1.0))


def _tanh(m: Arithmetic, x: Value) -> Value:
    size = m.at_most(m.abs(x), 10.0)
    e = _expm1_bounded(m, m.add(size, size))
    return m.copysign(m.div(e, m.add(e, 2.0)), x)


def _sigmoid(m: Arithmetic, x: Value) -> Value:
    e = _exp(m, m.neg(m.abs(x)))
    one = m.b.like(1, x)
    numerator = m.where(m.compare("olt", x, 0.0), e, one)
    return m.div(numerator, m.add(e, 1.0))


def _erf(m: Arithmetic, x: Value) -> Value:
    size = m.at_most(m.abs(x), 4.0)
    g = m.mul(size, m.polynomial(size, _ERF))
    return m.copysign(_expm1_bounded(m, m.neg(g)), x)


def _erf_narrow(m: Arithmetic, x: Value) -> Value:
    square = m.mul(x, x)
    near = m.mul(x, m.polynomial(square, _ERF_NARROW))
    end = m.copysign(m.b.like(1.0, x), x)
    return m.where(m.compare("oge", square, 9.0), end, near)


# ---------------------------------------------------------------------- logarithms


def _logarithm(m: Arithmetic, x: Value, parts: tuple[float, float], factor: float) -> Value:
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


def _log1p(m: Arithmetic, y: Value) -> Value:
    """``log(1 + y)``, relatively accurate near zero too, for ``y >= 0`` that is finite."""
    total = m.add(y, 1.0)
    lost = m.sub(y, m.sub(total, 1.0))
    return m.add(_logarithm(m, total, _LN2, 1.0), m.div(lost, total))


#: From here on, ``asinh(x)`` and ``acosh(x)`` are ``log(2 x)``.
_LARGE = 2.0**28


def _area(m: Arithmetic, size: Value, excess: Value) -> Value:
    """``log(1 + excess)``, or ``log(2 * size)`` where `size` is large."""
    large = m.compare("oge", size, _LARGE)
    total = m.where(large, size, m.add(excess, 1.0))
    lost = m.div(m.sub(excess, m.sub(total, 1.0)), total)
    rest = m.where(large, math.log(2), lost)
    return m.add(_logarithm(m, total, _LN2, 1.0), rest)


def _asinh(m: Arithmetic, x: Value) -> Value:
    size = m.abs(x)
    square = m.mul(size, size)
    root = m.b.call("llvm.sqrt", m.add(square, 1.0))
    return m.copysign(_area(m, size, m.add(size, m.div(square, m.add(root, 1.0)))), x)


def _acosh(m: Arithmetic, x: Value) -> Value:
    t = m.sub(x, 1.0)
    root = m.b.call("llvm.sqrt", m.mul(t, m.add(t, 2.0)))
    return m.where(m.compare("ult", x, 1.0), math.nan, _area(m, x, m.add(t, root)))


def _atanh(m: Arithmetic, x: Value) -> Value:
    size = m.abs(x)
    log = _log1p(m, m.div(m.add(size, size), m.sub(m.b.like(1, x), size)))
    result = m.where(m.compare("oeq", size, 1.0), math.inf, m.mul(log, 0.5))
    return m.copysign(result, x)


# ---------------------------------------------------------------------- hyperbolic functions


def _half_exp(m: Arithmetic, n: Value, q: Value) -> Value:
    """``exp(x) / 2`` for what `_reduce_exp` makes of `x`."""
    half = m.integer("ashr", n, 1)
    rest = m.integer("sub", m.integer("sub", n, half), 1)
    return m.mul(m.mul(m.add(q, 1.0), _power_of_two(m, half)), _power_of_two(m, rest))


def _cosh(m: Arithmetic, x: Value) -> Value:
    grown = _half_exp(m, *_reduce_exp(m, m.at_most(m.abs(x), 90.0)))
    return m.add(grown, m.div(m.b.like(0.25, x), grown))


def _sinh(m: Arithmetic, x: Value) -> Value:
    size = m.at_most(m.abs(x), 90.0)
    n, q = _reduce_exp(m, size)
    grown = _half_exp(m, n, q)
    large = m.sub(grown, m.div(m.b.like(0.25, x), grown))
    scale = _power_of_two(m, n)
    e = m.fma(scale, q, m.sub(scale, 1.0))
    small = m.mul(m.add(e, m.div(e, m.add(e, 1.0))), 0.5)
    return m.copysign(m.where(m.compare("ogt", size, 1.0), large, small), x)


# ---------------------------------------------------------------------- inverse trigonometry


def _atan(m: Arithmetic, x: Value) -> Value:
    size = m.abs(x)
    steep = m.compare("ogt", size, 1.0)
    t = m.where(steep, m.div(m.b.like(-1, x), size), size)
    z = m.mul(t, t)
    angle = m.fma(m.mul(z, t), m.polynomial(z, _ATAN), t)
    turned = m.add(m.add(angle, _HALF_PI32[1]), _HALF_PI32[0])
    return m.copysign(m.where(steep, turned, angle), x)


def _arc(m: Arithmetic, x: Value) -> tuple[Value, Value, Value]:
    """``(outer, s, asin(s))``: `s` is ``|x|``, or ``sqrt((1 - |x|) / 2)`` where `outer`."""
    size = m.abs(x)
    outer = m.compare("ogt", size, 0.5)
    z = m.where(outer, m.fma(size, -0.5, 0.5), m.mul(size, size))
    s = m.where(outer, m.b.call("llvm.sqrt", z), size)
    return outer, s, m.fma(m.mul(z, s), m.polynomial(z, _ASIN), s)


def _asin(m: Arithmetic, x: Value) -> Value:
    outer, _, angle = _arc(m, x)
    far = m.sub(m.b.like(_HALF_PI32[0], x), m.sub(m.add(angle, angle), _HALF_PI32[1]))
    return m.copysign(m.where(outer, far, angle), x)


def _acos(m: Arithmetic, x: Value) -> Value:
    outer, _, angle = _arc(m, x)
    double = m.add(angle, angle)
    half, low = _HALF_PI32
    below = m.sub(m.b.like(2 * half, x), m.sub(double, 2 * low))
    far = m.where(m.compare("olt", x, 0.0), below, double)
    near = m.sub(m.b.like(half, x), m.sub(m.copysign(angle, x), low))
    return m.where(outer, far, near)


# ---------------------------------------------------------------------- sine and cosine


def _quadrant(m: Arithmetic, x: Value) -> tuple[Value, Value, Value]:
    """``(quadrant, sin(r), cos(r))``: `x` reduced in ``float64`` to ``|r| <= pi/4``."""
    b = m.b
    wide = b.convert("fpext", x, "float64")
    n = b.call("llvm.roundeven", m.mul(wide, 2 / math.pi))
    r = wide
    for part in _HALF_PI[:2]:
        r = m.fma(n, -part, r)
    quadrant = b.freeze(b.convert("fptosi", n, "int32"))
    short = b.convert("fptrunc", r, "float32")
    z = m.mul(short, short)
    sine = m.fma(m.mul(z, short), m.polynomial(z, _SIN), short)
    return quadrant, sine, m.fma(m.mul(z, z), m.polynomial(z, _COS), m.fma(z, -0.5, 1.0))


def _odd(m: Arithmetic, quadrant: Value) -> Value:
    odd = m.integer("icmp ne", m.integer("and", quadrant, 1), 0)
    return Value(odd.text, "bool", odd.lanes)


def _sine(m: Arithmetic, x: Value, cosine: bool) -> Value:
    """Sine or cosine."""
    b = m.b
    quadrant, sine, cos = _quadrant(m, x)
    if cosine:
        quadrant = m.integer("add", quadrant, 1)
    chosen = m.where(_odd(m, quadrant), cos, sine)
    sign = m.integer("shl", m.integer("and", quadrant, 2), 30)
    flipped = m.integer("xor", b.bitcast(chosen, "int32"), sign)
    return _beyond_limit(m, x, b.bitcast(flipped, "float32"), "cos" if cosine else "sin")


def _tan(m: Arithmetic, x: Value) -> Value:
    quadrant, sine, cos = _quadrant(m, x)
    odd = _odd(m, quadrant)
    top, bottom = m.where(odd, m.neg(cos), sine), m.where(odd, sine, cos)
    return _beyond_limit(m, x, m.div(top, bottom), "tan")


def _beyond_limit(m: Arithmetic, x: Value, usual: Value, name: str) -> Value:
    """`usual`, but the C library's function in all lanes when any is beyond the limit."""
    b = m.b
    large = b.any_lane(m.compare("ogt", m.abs(x), _SINE_LIMIT))
    before, slow, join = b.block, b.label("slow"), b.label("join")
    b.branch_if(large, slow, join)
    b.begin(slow)
    with b.scope():
        exact = m.libm(name, x)
    b.branch(join)
    b.begin(join)
    text = f"phi {x.type} [ {usual.text}, %{before} ], [ {exact.text}, %{slow} ]"
    return Value(b.emit(text), x.dtype, x.lanes)


# ---------------------------------------------------------------------- the table

_FLOAT32: dict[str, Callable[[Arithmetic, Value], Value]] = {
    "exp": _exp,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "erf": _erf,
    "log": lambda m, x: _logarithm(m, x, _LN2, 1.0),
    "log2": lambda m, x: _logarithm(m, x, (1.0, 0.0), _LOG2E),
    "log10": lambda m, x: _logarithm(m, x, _LOG10_2, math.log10(math.e)),
    "tan": _tan,
    "asin": _asin,
    "acos": _acos,
    "atan": _atan,
    "sinh": _sinh,
    "cosh": _cosh,
    "asinh": _asinh,
    "acosh": _acosh,
    "atanh": _atanh,
    "sin": lambda m, x: _sine(m, x, cosine=False),
    "cos": lambda m, x: _sine(m, x, cosine=True),
}
#: Shorter ones, within 4e-5 of the exact value, for results that are rounded to narrower types.
_NARROW = {"erf": _erf_narrow}
_LIBM = frozenset(
    "exp log log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf".split()
)


def narrow_unary(b: FunctionBuilder, op: str, x: Value) -> Value | None:
    """An elementary function of a narrow float, given and returned as ``float32``.

    None where there is none shorter than that of ``float32``.
    """
    return _NARROW[op](Arithmetic(b), x) if op in _NARROW else None


def unary(b: FunctionBuilder, op: str, x: Value) -> Value:
    """An elementary function of a ``float32`` or ``float64``."""
    m = Arithmetic(b)
    if op == "sqrt":
        return b.call("llvm.sqrt", x)
    if op == "rsqrt":
        return m.div(b.like(1, x), b.call("llvm.sqrt", x))
    if x.dtype == "float32" and op in _FLOAT32:
        # A constant argument is like any other, but instructions want the type of its register.
        return _FLOAT32[op](m, x)
    if op == "sigmoid":
        e = m.libm("exp", m.neg(m.abs(x)))
        numerator = m.where(m.compare("olt", x, 0.0), e, b.like(1, x))
        return m.div(numerator, m.add(e, 1.0))
    if op in _LIBM:
        return m.libm(op, x)
    raise InternalError(f"{op} is not defined on {x.dtype}")
