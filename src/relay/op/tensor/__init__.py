"""Element-wise, broadcasting and creating operators as functions: ``relay.op.tensor.add(x, y)``.

`relay.op.functions.function` says how the functions take their arguments; the declarations, with
their documentation, are in the modules of this package.
"""

from relay.op.functions import function
from relay.op.tensor import broadcast as _broadcast
from relay.op.tensor import elementwise as _elementwise
from relay.op.tensor import fixed_point as _fixed_point
from relay.op.tensor import init as _init
from relay.op.tensor import join as _join
from relay.op.tensor import sizes as _sizes

add = function(_broadcast.Add)
subtract = function(_broadcast.Subtract)
multiply = function(_broadcast.Multiply)
divide = function(_broadcast.Divide)
floor_divide = function(_broadcast.FloorDivide)
trunc_divide = function(_broadcast.TruncDivide)
mod = function(_broadcast.Mod)
floor_mod = function(_broadcast.FloorMod)
trunc_mod = function(_broadcast.TruncMod)
power = function(_broadcast.Power)
maximum = function(_broadcast.Maximum)
minimum = function(_broadcast.Minimum)
equal = function(_broadcast.Equal)
not_equal = function(_broadcast.NotEqual)
less = function(_broadcast.Less)
less_equal = function(_broadcast.LessEqual)
greater = function(_broadcast.Greater)
greater_equal = function(_broadcast.GreaterEqual)
logical_and = function(_broadcast.LogicalAnd)
logical_or = function(_broadcast.LogicalOr)
logical_xor = function(_broadcast.LogicalXor)
bitwise_and = function(_broadcast.BitwiseAnd)
bitwise_or = function(_broadcast.BitwiseOr)
bitwise_xor = function(_broadcast.BitwiseXor)
left_shift = function(_broadcast.LeftShift)
right_shift = function(_broadcast.RightShift)
exp = function(_elementwise.Exp)
log = function(_elementwise.Log)
log2 = function(_elementwise.Log2)
log10 = function(_elementwise.Log10)
sqrt = function(_elementwise.Sqrt)
sin = function(_elementwise.Sin)
cos = function(_elementwise.Cos)
tan = function(_elementwise.Tan)
asin = function(_elementwise.Asin)
acos = function(_elementwise.Acos)
atan = function(_elementwise.Atan)
sinh = function(_elementwise.Sinh)
cosh = function(_elementwise.Cosh)
tanh = function(_elementwise.Tanh)
asinh = function(_elementwise.Asinh)
acosh = function(_elementwise.Acosh)
atanh = function(_elementwise.Atanh)
erf = function(_elementwise.Erf)
sigmoid = function(_elementwise.Sigmoid)
fast_exp = function(_elementwise.FastExp)
fast_tanh = function(_elementwise.FastTanh)
fast_erf = function(_elementwise.FastErf)
floor = function(_elementwise.Floor)
ceil = function(_elementwise.Ceil)
trunc = function(_elementwise.Trunc)
round = function(_elementwise.Round)  # noqa: A001 - Relay's name
isnan = function(_elementwise.IsNan)
isinf = function(_elementwise.IsInf)
isfinite = function(_elementwise.IsFinite)
rsqrt = function(_elementwise.Rsqrt)
abs = function(_elementwise.Abs)  # noqa: A001 - Relay's name
sign = function(_elementwise.Sign)
negative = function(_elementwise.Negative)
logical_not = function(_elementwise.LogicalNot)
bitwise_not = function(_elementwise.BitwiseNot)
copy = function(_elementwise.Copy)
zeros_like = function(_elementwise.ZerosLike)
ones_like = function(_elementwise.OnesLike)
clip = function(_elementwise.Clip)
fixed_point_multiply = function(_fixed_point.FixedPointMultiply)
shape_of = function(_sizes.ShapeOf)
ndarray_size = function(_sizes.NdarraySize)
zeros = function(_init.Zeros)
ones = function(_init.Ones)
concatenate = function(_join.Concatenate)
stack = function(_join.Stack)

__all__ = [
    "abs",
    "acos",
    "acosh",
    "add",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "ceil",
    "clip",
    "concatenate",
    "copy",
    "cos",
    "cosh",
    "divide",
    "equal",
    "erf",
    "exp",
    "fast_erf",
    "fast_exp",
    "fast_tanh",
    "fixed_point_multiply",
    "floor",
    "floor_divide",
    "floor_mod",
    "greater",
    "greater_equal",
    "isfinite",
    "isinf",
    "isnan",
    "left_shift",
    "less",
    "less_equal",
    "log",
    "log2",
    "log10",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "ndarray_size",
    "negative",
    "not_equal",
    "ones",
    "ones_like",
    "power",
    "right_shift",
    "round",
    "rsqrt",
    "shape_of",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "stack",
    "subtract",
    "tan",
    "tanh",
    "trunc",
    "trunc_divide",
    "trunc_mod",
    "zeros",
    "zeros_like",
]
