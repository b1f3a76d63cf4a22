"""How padded channels pass through operators: the rules of `PadChannels`.

A tensor is padded when its axis 1 has more channels than in the program, the new ones last. What
they hold, their `Filling`, must stay finite: a convolution that reads it multiplies it by zero. A
rule maps a call that reads padded tensors to a `Plan` by which its result is padded too, at no cost
but the channels themselves; or to None.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from relay.ir.expr import Call, Constant, Expr
from relay.ir.op import Array, Operator, Pattern, with_attributes
from relay.ir.types import TensorType
from relay.op.nn.adaptive_pooling import WholePooling
from relay.op.nn.convolution import Conv2D
from relay.op.nn.layout import Upsampling
from relay.op.nn.padding import Pad
from relay.op.nn.pooling import AveragePooling, Pooling
from relay.op.tensor.reduce import SimpleReduction
from relay.transform.calls import (
    attribute,
    constant_array,
    declaration,
    normalize_axis,
    tensor_type,
    uniform_value,
)

DTYPES: Final = ("float16", "float32")
"""The data types of tensors that are padded."""

_NEVER_OVERFLOW: Final = frozenset(
    {"abs", "atan", "ceil", "clip", "copy", "cos", "erf", "fast_erf", "fast_tanh", "floor"}
    | {"negative", "nn.leaky_relu", "nn.relu", "ones_like", "round", "sigmoid", "sign", "sin"}
    | {"tanh", "trunc", "zeros_like"}
)
"""Operators on one tensor that give something finite for everything finite."""

_NEUTRAL: Final[dict[str, tuple[float, float]]] = {
    "add": (0.0, 0.0),
    "subtract": (0.0, 0.0),
    "multiply": (0.0, 0.0),
    "maximum": (0.0, 0.0),
    "minimum": (0.0, 0.0),
    "divide": (0.0, 1.0),
    "power": (1.0, 1.0),
}
"""Operators on two tensors, and what a constant along channels is padded with on either side.

Not always the neutral element: a factor of zero makes sure that what it meets is finite again.
"""


@dataclass(frozen=True)
class Filling:
    """What padded channels hold: `value` everywhere, or something finite if that is None."""

    value: float | None = None


ZERO: Final = Filling(0.0)
UNKNOWN: Final = Filling()


@dataclass(frozen=True)
class Padding:
    """`channels` in the program, `padded` now, the new ones holding `filling`."""

    channels: int
    padded: int
    filling: Filling


@dataclass(frozen=True)
class Growth:
    """A constant, filled up to the sizes of `shape` with `fill`, behind what it has."""

    shape: tuple[int, ...]
    fill: float = 0.0


@dataclass(frozen=True)
class Plan:
    """The call with its result padded: its `declaration`, and how its arguments grow.

    None stands for arguments that are padded already or do not vary along channels.
    """

    declaration: Operator
    growths: tuple[Growth | None, ...]
    filling: Filling


@dataclass(frozen=True)
class Convolution:
    """The sizes of an ``nn.conv2d`` in NCHW: of one group or depthwise, its weight constant.

    `positions` counts the elements of the result in one channel, `taps` those of the window.
    """

    declaration: Conv2D
    weight_shape: tuple[int, ...]
    inputs: int
    outputs: int
    positions: int
    taps: int

    @property
    def depthwise(self) -> bool:
        """Whether each channel is convolved for itself."""
        return self.declaration.groups != 1

    def grown(self, inputs: int, outputs: int) -> tuple[Conv2D, Growth]:
        """The convolution from `inputs` to `outputs` channels, both at least what it has."""
        channels = None if self.declaration.channels is None else outputs
        groups = outputs if self.depthwise else 1
        moved = with_attributes(self.declaration, channels=channels, groups=groups)
        per_group = 1 if self.depthwise else inputs
        return moved, Growth((outputs, per_group, *self.weight_shape[2:]))


def plain_convolution(call: Call) -> Convolution | None:
    """The sizes of a convolution whose channels can be padded; None for all other calls."""
    found = declaration(call)
    if not isinstance(found, Conv2D) or not isinstance(call.args[1], Constant):
        return None
    if (found.data_layout, found.kernel_layout) != ("NCHW", "OIHW"):
        return None
    if found.out_layout not in ("", "NCHW"):
        return None
    data, weight, result = (tensor_type(e) for e in (*call.args, call))
    if data is None or weight is None or result is None:
        return None
    if any(t.dtype not in DTYPES for t in (data, weight, result)):
        return None
    shape, inputs = weight.concrete_shape, data.concrete_shape[1]
    outputs, per_group, *window = shape
    depthwise = found.groups == inputs == outputs and per_group == 1 and inputs > 1
    if found.groups != 1 and not depthwise:
        return None
    images, _, *pixels = result.concrete_shape
    return Convolution(found, shape, inputs, outputs, images * math.prod(pixels), math.prod(window))


@dataclass(frozen=True)
class _Site:
    """A call that reads padded tensors, and what is known of its arguments."""

    call: Call
    types: tuple[TensorType, ...]
    paddings: tuple[Padding | None, ...]
    result: TensorType

    @property
    def declaration(self) -> Operator:
        """The operator that is called."""
        return declaration(self.call)

    @property
    def first(self) -> Filling | None:
        """What the padding of the first argument holds; None where that is not padded."""
        return None if self.paddings[0] is None else self.paddings[0].filling

    @property
    def channels(self) -> tuple[int, int]:
        """The channels in the program and now, the same for all that is padded."""
        found = next(p for p in self.paddings if p is not None)
        return found.channels, found.padded

    def unchanged(self, filling: Filling | None) -> Plan | None:
        """The same call on padded arguments; None without a `filling`."""
        if filling is None:
            return None
        return Plan(self.declaration, (None,) * len(self.call.args), filling)


_Rule: TypeAlias = Callable[[_Site], Plan | None]


def carry(call: Call, padded: Mapping[Expr, Padding]) -> Plan | None:
    """The plan by which the result of `call` is padded as its arguments are; None if it cannot be.

    `padded` knows the padded tensors.
    """
    paddings = tuple(padded.get(a) for a in call.args)
    rule = _rule_of(declaration(call))
    if rule is None or not any(paddings):
        return None
    types = tuple(t for a in call.args if (t := tensor_type(a)) is not None)
    result = tensor_type(call)
    if result is None or len(types) != len(call.args) or result.dtype not in DTYPES:
        return None
    return rule(_Site(call, types, paddings, result))


def _rule_of(found: Operator) -> _Rule | None:
    if found.pattern == Pattern.ELEMWISE and found.inputs == ("data",):
        return _elementwise
    if found.name in _NEUTRAL:
        return _broadcast
    if found.name in ("nn.bias_add", "nn.prelu"):
        return _along_channels
    return next((rule for kind, rule in _RULES.items() if isinstance(found, kind)), None)


def _depthwise(site: _Site) -> Plan | None:
    """Kernels of zeros give zeros."""
    convolution = plain_convolution(site.call)
    if convolution is None or not convolution.depthwise:
        return None
    padded = site.channels[1]
    moved, weight = convolution.grown(padded, padded)
    return Plan(moved, (None, weight), ZERO)


def _elementwise(site: _Site) -> Plan | None:
    """What the operator makes of the filling, found by trying it."""
    filling, (data,) = site.first, site.types
    if filling is None or data.shape != site.result.shape:
        return None
    if filling.value is None:
        return site.unchanged(UNKNOWN if site.declaration.name in _NEVER_OVERFLOW else None)
    return site.unchanged(_tried(site, [np.full(1, filling.value, data.dtype)]))


def _tried(site: _Site, operands: Sequence[Array]) -> Filling | None:
    """What the call gives for `operands`, unless that is not finite or so large that sums are not.

    The filling itself is one element, operands that do not vary along channels may be more.
    """
    with np.errstate(all="ignore"):
        values = np.asarray(site.declaration.reference(*operands))
    largest = math.sqrt(np.finfo(site.result.dtype).max)
    if values.size == 0 or not bool(np.all(np.abs(values) <= largest)):
        return None
    first = values.flat[0]
    return Filling(float(first)) if bool(np.all(values == first)) else UNKNOWN


def _broadcast(site: _Site) -> Plan | None:
    """Operands that are padded alike, constants, and tensors that do not vary along channels."""
    operands: list[Array | None] = []
    growths: list[Growth | None] = []
    rank, name = len(site.result.shape), site.declaration.name
    for i, argument in enumerate(site.call.args):
        type_, padding = site.types[i], site.paddings[i]
        shape, values = type_.concrete_shape, constant_array(argument)
        axis = 1 - (rank - len(shape))
        growth = None
        if padding is not None:
            if axis != 1 or (padding.channels, padding.padded) != site.channels:
                return None
            value = padding.filling.value
            operands.append(None if value is None else np.full(1, value, type_.dtype))
        elif axis < 0 or shape[axis] == 1:
            operands.append(values)
        elif values is not None:
            fill = _NEUTRAL[name][i]
            growth = Growth((*shape[:axis], site.channels[1], *shape[axis + 1 :]), fill)
            operands.append(np.full(1, fill, type_.dtype))
        else:
            return None
        growths.append(growth)
    filling = _combined(site, operands)
    return None if filling is None else Plan(site.declaration, tuple(growths), filling)


def _combined(site: _Site, operands: Sequence[Array | None]) -> Filling | None:
    """What a call gives for `operands`, of which only None is not known."""
    known = [values for values in operands if values is not None]
    if len(known) == len(operands):
        return _tried(site, known)
    if site.declaration.name == "multiply":
        largest = float(np.max(np.abs(known[0]), initial=0)) if known else math.inf
        return ZERO if largest == 0 else UNKNOWN if largest <= 1 else None
    sums = ("add", "subtract", "maximum", "minimum")
    finite = all(bool(np.all(np.isfinite(values))) for values in known)
    return UNKNOWN if finite and site.declaration.name in sums else None


def _along_channels(site: _Site) -> Plan | None:
    """A constant vector along channels, padded with zeros."""
    filling, (data, vector) = site.first, site.types
    axis: int = attribute(site.call, "axis")
    if filling is None or constant_array(site.call.args[1]) is None:
        return None
    if normalize_axis(axis, len(data.shape), site.declaration.name) != 1:
        return None
    if filling.value is not None and site.declaration.name == "nn.prelu":
        filling = Filling(max(filling.value, 0.0))
    assert vector.concrete_shape == (site.channels[0],), "one element for each channel"
    return Plan(site.declaration, (None, Growth((site.channels[1],))), filling)


def _summed(site: _Site) -> Filling | None:
    """The filling, unless the sum of it over a channel is beyond the data type."""
    filling = site.first
    if filling is None or not filling.value:
        return filling
    total = abs(filling.value) * math.prod(site.types[0].concrete_shape[2:])
    return filling if total <= np.finfo(site.result.dtype).max else None


def _pooling(site: _Site) -> Plan | None:
    """Windows over the filling, none of them wholly in the borders."""
    found = site.declaration
    assert isinstance(found, Pooling)
    rank, filling = len(found.spatial), _summed(site)
    if found.layout != "NC" + found.spatial or filling is None or max(found.dilation) > 1:
        return None
    beyond = [p >= size for p, size in zip(found.padding, found.pool_size * 2, strict=True)]
    if any(beyond) or (found.ceil_mode and max(found.padding[rank:]) > 0):
        return None
    borders = max(found.padding) > 0 or found.ceil_mode
    if isinstance(found, AveragePooling) and borders and filling.value != 0:
        filling = UNKNOWN  # a border of zeros may count
    return site.unchanged(filling)


def _whole(site: _Site) -> Plan | None:
    """Weighted means and maxima of equal elements."""
    found = site.declaration
    assert isinstance(found, WholePooling | Upsampling)
    spatial = "HW" if isinstance(found, Upsampling) else found.spatial
    return site.unchanged(_summed(site)) if found.layout == "NC" + spatial else None


def _reduction(site: _Site) -> Plan | None:
    """Reductions over the axes behind the channels."""
    found, filling = site.declaration, _summed(site)
    assert isinstance(found, SimpleReduction)
    axes = found.axes(len(site.types[0].shape))
    if filling is None or not axes or min(axes) < 2:
        return None
    if found.name == "sum" and filling.value != 0:
        filling = UNKNOWN
    return site.unchanged(filling) if found.name in ("max", "mean", "min", "sum") else None


def _pad(site: _Site) -> Plan | None:
    """Borders around the axes behind the channels."""
    found, filling = site.declaration, site.first
    assert isinstance(found, Pad)
    if filling is None or any(pair != (0, 0) for pair in found.pad_width[:2]):
        return None
    if found.pad_mode == "constant":
        border = uniform_value(site.call.args[1])
        if border is None or not math.isfinite(border):
            return None
        filling = filling if filling.value == border else UNKNOWN
    return site.unchanged(filling)


_RULES: Final[dict[type[Operator], _Rule]] = {
    Conv2D: _depthwise,
    Pooling: _pooling,
    WholePooling: _whole,
    Upsampling: _whole,
    SimpleReduction: _reduction,
    Pad: _pad,
}
"""The rules of operators that are not elementwise, by base class."""
