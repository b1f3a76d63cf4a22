"""Arithmetic on a few bits: packing bits into words, products of numbers of few bits.

The products are declared as what they are, sums of integer products: how bits are counted is a
matter of schedules.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from relay import dtypes, te
from relay.ir.expr import Expr
from relay.ir.layout import Layout
from relay.ir.op import Array, Operator, Pattern, operator
from relay.ir.types import Any, Dim, TensorType, Type
from relay.op.nn.common import (
    dims_agree,
    from_primal,
    full_padding,
    known_window_count,
    layout_of,
    pad_spatial,
    per_axis,
    spatial_layout,
    to_primal,
    window_count,
    windows,
)
from relay.op.shapes import expect_kind, normalize_axis, put, put_dtype, put_ints, reference_dtype
from relay.support.errors import TypeInferenceError


@operator("nn.bitpack", inputs=("data",), pattern=Pattern.INJECTIVE, level=2)
class BitPack(Operator):
    """The lowest `bits` bits of integers, packed along `pack_axis` into words of `pack_type`.

    A word has a bit of as many elements as it is wide, the first one in its highest bit. The
    result has `pack_axis` that much shorter, and a dimension of `bits` at `bit_axis`, the lowest
    bit first. `label` is a remark.
    """

    piecewise_constant = True

    bits: int = 1
    pack_axis: int = 1
    bit_axis: int = 2
    pack_type: str = "uint32"
    # `name` would hide the operator's own name.
    label: str = "BitPack"

    def __post_init__(self) -> None:
        put_dtype(self, "pack_type")
        if self.pack_type not in ("uint8", "uint16", "uint32", "uint64") or self.bits < 1:
            raise ValueError(
                "pack_type must be an unsigned integer and bits positive, found "
                f"{self.pack_type!r} and {self.bits}"
            )

    @property
    def _width(self) -> int:
        return int(self.pack_type.removeprefix("uint"))

    def infer(self, data: Type) -> Type:
        x = expect_kind(self.name, "data", data, "integer")
        axis = normalize_axis(self.name, self.pack_axis, len(x.shape))
        new = normalize_axis(self.name, self.bit_axis, len(x.shape) + 1)
        shape = list(x.shape)
        size = shape[axis]
        if isinstance(size, int):
            if size % self._width:
                raise TypeInferenceError(
                    f"{self.name}: the size {size} of axis {axis} is not divisible by the width of "
                    f"{self.pack_type}"
                )
            shape[axis] = size // self._width
        else:
            shape[axis] = Any()
        shape.insert(new, self.bits)
        return TensorType(shape, self.pack_type)

    def compute(self, data: te.Tensor) -> te.Tensor:
        axis, new = self.pack_axis % data.ndim, self.bit_axis % (data.ndim + 1)
        shape: list[te.Dim] = list(data.shape)
        shape[axis] = te.as_expr(data.shape[axis], te.INDEX) // self._width
        shape.insert(new, self.bits)

        def element(*i: te.Var) -> te.Expr:
            k = te.reduce_axis(self._width, "k")
            source: list[te.Expr] = [v for p, v in enumerate(i) if p != new]
            source[axis] = source[axis] * self._width + k.var
            word = te.cast(data(*source), self.pack_type)
            bit = te.binary("shr", word, te.cast(i[new], self.pack_type))
            one = te.binary("and", bit, te.const(1, self.pack_type))
            place = te.cast(te.const(self._width - 1) - k.var, self.pack_type)
            return te.reduce_sum(te.binary("shl", one, place), k)

        return te.compute(shape, element, "bitpack")

    def reference(self, data: Array) -> Array:
        axis = self.pack_axis % data.ndim
        planes = []
        for bit in range(self.bits):
            ones = (data.astype("int64") >> bit) & 1 if bit < 64 else np.zeros(data.shape, "int64")
            last = np.moveaxis(ones, axis, -1).astype("uint8")
            bytes_ = np.packbits(last, axis=-1)
            order = f">u{self._width // 8}"
            words = np.ascontiguousarray(bytes_).view(order).astype(self.pack_type)
            planes.append(np.moveaxis(words, -1, axis))
        return np.stack(planes, axis=self.bit_axis % (data.ndim + 1))


def bitpack(
    data: Expr,
    bits: int = 1,
    pack_axis: int = 1,
    bit_axis: int = 2,
    pack_type: str = "uint32",
    name: str = "BitPack",
) -> Expr:
    """The lowest `bits` bits of integers, packed into words; see `BitPack`."""
    return BitPack.call(
        data, bits=bits, pack_axis=pack_axis, bit_axis=bit_axis, pack_type=pack_type, label=name
    )


class _FewBits(Operator):
    """Base of products of data and weight of which a few bits count.

    With `unipolar` a bit of the weight is +1 or -1 instead of 1 or 0.
    """

    unipolar: bool
    pack_dtype: str
    out_dtype: str

    missing: ClassVar[dict[str, str]] = {"gradient": "the numbers are integers of few bits"}

    def widths(self) -> tuple[int, int]:
        """How many bits of data and weight count."""
        raise TypeInferenceError(f"{self.name} declares no numbers of bits")

    def __post_init__(self) -> None:
        put(self, "unipolar", bool(self.unipolar))
        put_dtype(self, "pack_dtype")
        put_dtype(self, "out_dtype")
        if not all(0 < w <= 16 for w in self.widths()) or not dtypes.is_integer(self.out_dtype):
            raise ValueError(
                f"1 to 16 bits and an integer out_dtype are expected, found {self.widths()} bits "
                f"and {self.out_dtype!r}"
            )

    def data_value(self, value: te.Expr) -> te.Expr:
        """What an element of the data counts."""
        mask = te.const(2 ** self.widths()[0] - 1, "int32")
        return te.binary("and", te.cast(value, "int32"), mask)

    def weight_value(self, value: te.Expr) -> te.Expr:
        """What an element of the weight counts."""
        top = 2 ** self.widths()[1] - 1
        kept = te.binary("and", te.cast(value, "int32"), te.const(top, "int32"))
        return kept * 2 - top if self.unipolar else kept

    def reference_values(self, data: Array, weight: Array) -> tuple[Array, Array]:
        """What the elements of both count."""
        a, b = (2**w for w in self.widths())
        x, w = np.mod(data.astype("int64"), a), np.mod(weight.astype("int64"), b)
        return x, 2 * w - (b - 1) if self.unipolar else w

    def narrowed(self, summed: te.Tensor, name: str) -> te.Tensor:
        """The sums in the type of the result."""
        return te.compute(summed.shape, lambda *i: te.cast(summed(*i), self.out_dtype), name)


@operator(
    "nn.bitserial_dense",
    inputs=("data", "weight"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=1,
)
class BitSerialDense(_FewBits):
    """``data @ weight.T`` of the lowest `data_bits` and `weight_bits` bits of integers.

    `data` is (batch, in), `weight` (units, in). With `unipolar` a bit of the weight stands for +1
    or -1 instead of 1 or 0. `pack_dtype`, the words in which bits are to be counted, does not
    change the result, which is in `out_dtype`.
    """

    units: int | None = None
    data_bits: int = 1
    weight_bits: int = 1
    pack_dtype: str = "uint32"
    out_dtype: str = "int16"
    unipolar: bool = True

    def widths(self) -> tuple[int, int]:
        return self.data_bits, self.weight_bits

    def infer(self, data: Type, weight: Type) -> Type:
        x = expect_kind(self.name, "data", data, "integer")
        w = expect_kind(self.name, "weight", weight, "integer")
        if not len(x.shape) == len(w.shape) == 2 or not dims_agree(x.shape[1], w.shape[1]):
            raise TypeInferenceError(
                f"{self.name}: expected data (batch, in) and weight (units, in), not packed, found "
                f"{x} and {w}"
            )
        if self.units is not None and not dims_agree(w.shape[0], self.units):
            raise TypeInferenceError(f"{self.name}: units is {self.units}, found {w}")
        return TensorType((x.shape[0], w.shape[0]), self.out_dtype)

    def compute(self, data: te.Tensor, weight: te.Tensor) -> te.Tensor:
        def element(n: te.Var, o: te.Var) -> te.Expr:
            k = te.reduce_axis(data.shape[1], "k")
            product = self.data_value(data(n, k.var)) * self.weight_value(weight(o, k.var))
            return te.reduce_sum(product, k)

        summed = te.compute((data.shape[0], weight.shape[0]), element, "bitserial_sum")
        return self.narrowed(summed, "bitserial_dense")

    def reference(self, data: Array, weight: Array) -> Array:
        x, w = self.reference_values(data, weight)
        return (x @ w.T).astype(reference_dtype(self.out_dtype))


@operator(
    "nn.bitserial_conv2d",
    inputs=("data", "weight"),
    pattern=Pattern.OUT_ELEMWISE_FUSABLE,
    level=2,
)
class BitSerialConv2D(_FewBits):
    """Convolution of the lowest `activation_bits` and `weight_bits` bits of integers.

    `data` is (N, C, H, W), `weight` (O, C, height, width), or as the layouts say. With `unipolar` a
    bit of the weight stands for +1 or -1 instead of 1 or 0. `pack_dtype`, the words in which bits
    are to be counted, does not change the result, which is in `out_dtype`.
    """

    strides: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0)
    channels: int | None = None
    kernel_size: tuple[int, ...] = (3, 3)
    activation_bits: int = 1
    weight_bits: int = 1
    data_layout: str = "NCHW"
    kernel_layout: str = "OIHW"
    pack_dtype: str = "uint32"
    out_dtype: str = "int16"
    unipolar: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        put(self, "strides", per_axis("strides", self.strides, 2))
        put(self, "padding", full_padding(self.padding, 2))
        put_ints(self, "kernel_size")

    def widths(self) -> tuple[int, int]:
        return self.activation_bits, self.weight_bits

    def _layouts(self) -> tuple[Layout, Layout]:
        data = spatial_layout(self.name, "data_layout", self.data_layout, "HW")
        kernel = layout_of(self.name, "kernel_layout", self.kernel_layout, "OIHW")
        if data.is_blocked or kernel.is_blocked:
            raise TypeInferenceError(f"{self.name} takes no blocked layout")
        return data, kernel

    def infer(self, data: Type, weight: Type) -> Type:
        x = expect_kind(self.name, "data", data, "integer")
        w = expect_kind(self.name, "weight", weight, "integer")
        layout, kernel = self._layouts()
        if len(w.shape) != 4:
            raise TypeInferenceError(
                f"{self.name}: expected a weight that is not packed, found {w}"
            )
        sizes: dict[str, Dim] = layout.extents(x.shape)
        window = kernel.extents(w.shape)
        wanted = {"I": sizes["C"], **dict(zip("HW", self.kernel_size, strict=True))}
        if self.channels is not None:
            wanted["O"] = self.channels
        wrong = [c for c, size in wanted.items() if not dims_agree(window[c], size)]
        if wrong:
            raise TypeInferenceError(
                f"{self.name}: the size of the weight along {wrong[0]} should be "
                f"{wanted[wrong[0]]}, found {w}"
            )
        sizes["C"] = window["O"]
        for k, c in enumerate("HW"):
            slack = self.padding[k] + self.padding[2 + k] - self.kernel_size[k]
            sizes[c] = known_window_count(self.name, c, sizes[c], slack, self.strides[k])
        return TensorType(layout.shape(sizes), self.out_dtype)

    def compute(self, data: te.Tensor, weight: te.Tensor) -> te.Tensor:
        layout, kernel = self._layouts()
        sizes = {c: s for c, (s,) in layout.components(data.shape).items()}
        window = {c: s for c, (s,) in kernel.components(weight.shape).items()}
        before, after = (dict(zip("HW", self.padding[k : k + 2], strict=True)) for k in (0, 2))
        padded = pad_spatial(data, layout, before, after, 0)
        shape = {"N": sizes["N"], "C": window["O"]}
        for k, c in enumerate("HW"):
            slack = self.padding[k] + self.padding[2 + k] - self.kernel_size[k]
            shape[c] = window_count(sizes[c], slack, self.strides[k])

        def element(*i: te.Var) -> te.Expr:
            at = {c: v for c, (v,) in layout.components(i).items()}
            c, r, s = (te.reduce_axis(window[k], k.lower()) for k in "IHW")
            y, x = at["H"] * self.strides[0] + r.var, at["W"] * self.strides[1] + s.var
            source = {"N": (at["N"],), "C": (c.var,), "H": (y,), "W": (x,)}
            factor = {"O": (at["C"],), "I": (c.var,), "H": (r.var,), "W": (s.var,)}
            value = self.data_value(padded(*layout.place(source)))
            counted = self.weight_value(weight(*kernel.place(factor)))
            return te.reduce_sum(value * counted, (c, r, s))

        found: Sequence[te.Dim] = layout.place({c: (d,) for c, d in shape.items()})
        return self.narrowed(te.compute(found, element, "bitserial_sum"), "bitserial_conv2d")

    def reference(self, data: Array, weight: Array) -> Array:
        layout, kernel = self._layouts()
        x, w = self.reference_values(
            to_primal(data, layout, "NCHW"), to_primal(weight, kernel, "OIHW")
        )
        top, left, bottom, right = self.padding
        padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
        view = windows(padded, (2, 3), w.shape[2:], self.strides, (1, 1))
        result = np.einsum("ncyxrs,ocrs->noyx", view, w)
        return from_primal(result.astype(reference_dtype(self.out_dtype)), "NCHW", layout)
