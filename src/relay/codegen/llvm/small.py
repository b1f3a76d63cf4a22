"""Conversions of the small types, by integer arithmetic on their bits that vectorizes.

A small float goes through ``float32``, which holds all of its values; an exponent and a fraction
are moved into place and the exponent's bias is changed by a product. A small integer is the
``int8`` or ``uint8`` that is stored for it.
"""

from relay import codes, dtypes
from relay.codegen.llvm.builder import FunctionBuilder
from relay.codegen.llvm.types import Value, constant

_NAN = 0x7FC00000
_INFINITY = 0x7F800000
_FRACTION = 23
_BIAS = 127


def widen(b: FunctionBuilder, x: Value) -> Value:
    """A small type as the type that holds its values: ``float32``, ``int8`` or ``uint8``."""
    dtype = dtypes.value_dtype(x.dtype).name
    if x.const is not None:
        return constant(x.const, dtype)
    if x.dtype in dtypes.SMALL_INTEGERS:
        return Value(x.text, dtype, x.lanes)
    code = b.convert("zext", x, "uint32")
    if x.dtype == codes.E8M0:
        return _widen_scale(b, code)
    form = codes.FORMATS[x.dtype]
    size = _bits(b, "and", code, form.sign - 1)
    moved = _bits(b, "shl", size, _FRACTION - form.fraction)
    factor = constant(2.0 ** (_BIAS - form.bias), "float32")
    finite = b.bitcast(b.instruction("fmul", b.bitcast(moved, "float32"), factor), "uint32")
    if x.dtype == "float8_e5m2":
        special = b.instruction("icmp ugt", size, constant(form.largest, "uint32"), "bool")
        finite = b.select(special, _bits(b, "or", moved, _INFINITY), finite)
    elif x.dtype != "float4_e2m1fn":
        found = code if form.one_zero else size
        missing = b.instruction("icmp eq", found, constant(form.nan, "uint32"), "bool")
        finite = b.select(missing, b.like(_NAN, finite), finite)
    place = form.sign.bit_length() - 1
    sign = _bits(b, "shl", _bits(b, "and", code, form.sign), 31 - place)
    return b.bitcast(b.instruction("or", finite, sign), "float32")


def narrow(b: FunctionBuilder, x: Value, dtype: str) -> Value:
    """A ``float32`` rounded to the nearest small float, ties to even, without saturation.

    A sum with a power of two rounds what becomes denormal.
    """
    form = codes.FORMATS[dtype]
    bits = b.bitcast(x, "uint32")
    size = _bits(b, "and", bits, 0x7FFFFFFF)
    shift = _FRACTION - form.fraction
    odd = _bits(b, "and", _bits(b, "lshr", size, shift), 1)
    rebias = (1 << (shift - 1)) - 1 - ((_BIAS - form.bias) << _FRACTION)
    normal = _bits(b, "lshr", b.instruction("add", _bits(b, "add", size, rebias), odd), shift)
    smallest = (_BIAS - form.bias + 1) << _FRACTION
    unit = 2.0 ** (1 - form.bias + shift)  # its last bit is worth the smallest denormal
    sum_ = b.instruction("fadd", b.bitcast(size, "float32"), constant(unit, "float32"))
    base = (_BIAS + 1 - form.bias + shift) << _FRACTION
    denormal = _bits(b, "sub", b.bitcast(sum_, "uint32"), base)
    is_small = b.instruction("icmp ult", size, constant(smallest, "uint32"), "bool")
    code = b.select(is_small, denormal, normal)
    is_large = b.instruction("icmp ugt", code, constant(form.largest, "uint32"), "bool")
    code = b.select(is_large, b.like(form.overflow, code), code)
    is_nan = b.instruction("icmp ugt", size, constant(_INFINITY, "uint32"), "bool")
    place = form.sign.bit_length() - 1
    sign = _bits(b, "and", _bits(b, "lshr", bits, 31 - place), form.sign)
    if form.one_zero:
        zero = b.instruction("icmp eq", code, constant(0, "uint32"), "bool")
        code = b.instruction("or", code, b.select(zero, b.like(0, sign), sign))
        code = b.select(is_nan, b.like(form.nan, code), code)
    else:
        code = b.instruction("xor", b.select(is_nan, b.like(form.nan, code), code), sign)
    return b.convert("trunc", code, dtype)


def narrow_scale(b: FunctionBuilder, x: Value) -> Value:
    """A ``float64`` rounded to the nearest ``float8_e8m0fnu``, ties up, without saturation."""
    bits = b.bitcast(x, "uint64")
    exponent = _bits(b, "lshr", _bits(b, "add", bits, 1 << 51), 52)
    code = _bits(b, "sub", exponent, 1023 - _BIAS)  # what is negative, or no number, is large
    is_large = b.instruction("icmp ugt", code, constant(0xFE, "uint64"), "bool")
    return b.convert("trunc", b.select(is_large, b.like(0xFF, code), code), codes.E8M0)


def sticky_single(b: FunctionBuilder, x: Value) -> Value:
    """A ``float64`` as a ``float32`` that rounds to fewer bits as `x` does.

    It is cut off, and its last bit set where that lost something.
    """
    short = b.convert("fptrunc", x, "float32")
    back = b.convert("fpext", short, "float64")
    bits = b.bitcast(short, "uint32")
    above = b.instruction("fcmp ogt", b.call("llvm.fabs", back), b.call("llvm.fabs", x), "bool")
    bits = b.instruction("sub", bits, b.convert("zext", above, "uint32"))
    lost = b.convert("zext", b.instruction("fcmp une", back, x, "bool"), "uint32")
    return b.bitcast(b.instruction("or", bits, lost), "float32")


def low_bits(b: FunctionBuilder, x: Value, dtype: str) -> Value:
    """The low bits of a byte as `dtype`, which has as many; the others do not count."""
    rest = dtypes.bits(dtype) - dtypes.width(dtype)
    byte = Value(x.text, dtypes.to_numpy(dtype).name, x.lanes, x.const)
    if dtypes.is_signed(dtype):
        kept = _bits(b, "ashr", _bits(b, "shl", byte, rest), rest)
    else:
        kept = _bits(b, "and", byte, (1 << dtypes.width(dtype)) - 1)
    return Value(kept.text, dtype, kept.lanes)


def _widen_scale(b: FunctionBuilder, code: Value) -> Value:
    """The code is the exponent; the smallest value has none, and NaN has a fraction, too."""
    power = _bits(b, "shl", code, _FRACTION)
    least = b.instruction("icmp eq", code, constant(0, "uint32"), "bool")
    bits = b.select(least, b.like(1 << (_FRACTION - 1), power), power)
    missing = b.instruction("icmp eq", code, constant(0xFF, "uint32"), "bool")
    return b.bitcast(b.select(missing, b.like(_NAN, bits), bits), "float32")


def _bits(b: FunctionBuilder, op: str, x: Value, y: int) -> Value:
    return b.instruction(op, x, constant(y, x.dtype))
