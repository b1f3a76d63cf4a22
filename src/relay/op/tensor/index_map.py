"""Layouts that were found by searching: tensors whose elements are moved by a rule of indices."""

import ast
import math
import operator as arithmetic
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import numpy as np

from relay import te
from relay.ir.expr import Expr, const
from relay.ir.op import Array, Gradients, Operator, Pattern, expect_tensor, operator
from relay.ir.types import Any as AnySize
from relay.ir.types import TensorType, Type
from relay.op.gradients import known_shape, make, reshaped
from relay.op.tensor.scatter import copy, within
from relay.support.errors import TypeInferenceError

_SPLIT = re.compile(r"([0-9]+)([A-Za-z])")
_LONGEST = 4096


@cache
def parse_sizes(name: str) -> tuple[tuple[str, int], ...]:
    """The axes of a layout such as ``4o3h8i2o``, each with its size.

    Raises `ValueError` where it is none. A letter that comes again is an inner part of its axis.
    """
    found = tuple((letter, int(size)) for size, letter in _SPLIT.findall(name.replace(" ", "")))
    if "".join(f"{size}{letter}" for letter, size in found) != name.replace(" ", ""):
        raise ValueError(f"expected sizes and letters, such as 16i32o4i, found {name!r}")
    return found


@operator("auto_scheduler_layout_transform", inputs=("data",), pattern=Pattern.INJECTIVE, level=5)
class AutoSchedulerLayoutTransform(Operator):
    """The data in layout `dst_layout` instead of `src_layout`, such as ``8i4o`` to ``2o8i2o``.

    A layout names the axes in order, each behind its size. A letter that comes again is an inner
    part of its axis; both layouts have the same axes of the same sizes.
    """

    takes_small = True

    src_layout: str
    dst_layout: str

    def __post_init__(self) -> None:
        sizes: list[dict[str, int]] = [{}, {}]
        for found, name in zip(sizes, (self.src_layout, self.dst_layout), strict=True):
            for letter, size in parse_sizes(name):
                found[letter] = found.get(letter, 1) * size
        if sizes[0] != sizes[1]:
            raise ValueError(
                f"{self.src_layout!r} and {self.dst_layout!r} have not the same axes and sizes"
            )

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        sizes = [size for _, size in parse_sizes(self.src_layout)]
        fits = len(sizes) == len(tensor.shape)
        fits &= all(d == s for d, s in zip(tensor.shape, sizes, strict=False) if isinstance(d, int))
        if not fits:
            raise TypeInferenceError(
                f"{self.name}: expected data in the layout {self.src_layout}, found {tensor}"
            )
        return TensorType([size for _, size in parse_sizes(self.dst_layout)], tensor.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        source, target = parse_sizes(self.src_layout), parse_sizes(self.dst_layout)

        def element(*at: te.Var) -> te.Expr:
            places: dict[str, te.Expr] = {}
            for (letter, size), index in zip(target, at, strict=True):
                places[letter] = places.get(letter, te.const(0)) * size + index
            found: list[te.Expr] = []
            for letter, size in reversed(source):
                found.append(places[letter] % size)
                places[letter] = places[letter] // size
            return data(*reversed(found))

        return te.compute([size for _, size in target], element, "layout")

    def reference(self, data: Array) -> Array:
        source, target = parse_sizes(self.src_layout), parse_sizes(self.dst_layout)
        letters = sorted({letter for letter, _ in source})

        def axes(layout: Sequence[tuple[str, int]]) -> list[int]:
            return [k for letter in letters for k, part in enumerate(layout) if part[0] == letter]

        plain = data.transpose(axes(source)).reshape(-1)
        parts = plain.reshape([target[k][1] for k in axes(target)])
        return np.ascontiguousarray(parts.transpose(np.argsort(axes(target))))

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        back = make(self.name, grad, src_layout=self.dst_layout, dst_layout=self.src_layout)
        return (back,)


class _Range:
    """The values an index may have: ``low .. high``, both included."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def _with(self, other: "_Range | int", apply: Callable[[int, int], int]) -> "_Range":
        o = other if isinstance(other, _Range) else _Range(other, other)
        ends = [apply(a, b) for a in (self.low, self.high) for b in (o.low, o.high)]
        return _Range(min(ends), max(ends))

    def __add__(self, other: "_Range | int") -> "_Range":
        return self._with(other, arithmetic.add)

    def __sub__(self, other: "_Range | int") -> "_Range":
        return self._with(other, arithmetic.sub)

    def __mul__(self, other: "_Range | int") -> "_Range":
        return self._with(other, arithmetic.mul)

    def __floordiv__(self, other: int) -> "_Range":
        return _Range(self.low // other, self.high // other)

    def __mod__(self, other: int) -> "_Range":
        whole = self.low // other != self.high // other
        return _Range(0, other - 1) if whole else _Range(self.low % other, self.high % other)

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: int) -> "_Range":
        return _Range(other - self.high, other - self.low)


_OPERATIONS: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: arithmetic.add,
    ast.Sub: arithmetic.sub,
    ast.Mult: arithmetic.mul,
    ast.FloorDiv: arithmetic.floordiv,
    ast.Mod: arithmetic.mod,
}


class IndexMap:
    """A rule such as ``lambda i, j: (i // 4, j, i % 4)``: where the element (i, j) goes.

    It has sums, differences and products of indices and numbers, and quotients and remainders of
    division by positive numbers, rounded down. Raises `ValueError` for anything else.
    """

    def __init__(self, text: str) -> None:
        if len(text) > _LONGEST:
            raise ValueError(f"an index map has at most {_LONGEST} characters")
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, RecursionError, MemoryError) as error:
            raise ValueError(f"expected lambda i, j: (..), found {text!r}") from error
        if not isinstance(tree, ast.Lambda):
            raise ValueError(f"expected lambda i, j: (..), found {text!r}")
        arguments = tree.args
        self.names = [a.arg for a in arguments.args]
        plain = not (arguments.vararg or arguments.kwarg or arguments.kwonlyargs)
        if not plain or arguments.defaults or len(set(self.names)) != len(self.names):
            raise ValueError(f"an index map has plain arguments only, found {text!r}")
        body = tree.body
        self.results = body.elts if isinstance(body, ast.Tuple | ast.List) else [body]
        self.text = text
        for result in self.results:
            self._check(result)

    def _check(self, root: ast.expr) -> None:
        """Raise `ValueError` where there is something that an index map has not."""
        stack = [root]
        while stack:
            match stack.pop():
                case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
                    stack += [left, right]
                    divides = isinstance(op, ast.FloorDiv | ast.Mod)
                    positive = isinstance(right, ast.Constant) and right.value
                    if divides and not (isinstance(positive, int) and positive > 0):
                        raise ValueError(f"an index is divided by positive numbers: {self.text!r}")
                case ast.Name(id=name) if name in self.names:
                    pass
                case ast.Constant(value=int(value)) if not isinstance(value, bool):
                    pass
                case other:
                    raise ValueError(f"{ast.unparse(other)} may not be in an index map")

    def __call__(self, *indices: Any) -> list[Any]:
        """Where `indices` go: numbers, arrays of them, expressions or ranges."""
        values: Mapping[str, Any] = dict(zip(self.names, indices, strict=True))
        return [self._value(result, values) for result in self.results]

    def _value(self, node: ast.expr, values: Mapping[str, Any]) -> Any:
        # As deep as Python's own parser went.
        match node:
            case ast.BinOp(left=left, op=op, right=right):
                return _OPERATIONS[type(op)](self._value(left, values), self._value(right, values))
            case ast.Name(id=name):
                return values[name]
            case ast.Constant(value=value):
                return value
            case _:
                raise AssertionError(ast.dump(node))


@cache
def index_map(text: str) -> IndexMap:
    """The rule that `text` says."""
    return IndexMap(text)


@operator("meta_schedule_layout_transform", inputs=("data",), pattern=Pattern.OPAQUE, level=5)
class MetaScheduleLayoutTransform(Operator):
    """The elements of `data` where `index_map` says, which sends no two to one place.

    `index_map` is the text of a Python function, such as ``lambda i, j: (i // 4, j, i % 4)``, of
    which no more is used than arithmetic of indices. The result is as large as the largest places
    in each dimension; what no element goes to is 0.
    """

    index_map: str

    def __post_init__(self) -> None:
        index_map(self.index_map)

    def _sizes(self, shape: Sequence[int]) -> list[int]:
        """The sizes of the result."""
        ranges = [_Range(0, max(0, size - 1)) for size in shape]
        found = [r if isinstance(r, _Range) else _Range(r, r) for r in self._rule(*ranges)]
        if any(r.low < 0 for r in found):
            raise TypeInferenceError(
                f"{self.name}: {self.index_map} sends elements of a tensor of shape "
                f"{tuple(shape)} to negative places"
            )
        return [r.high + 1 if 0 not in shape else 0 for r in found]

    @property
    def _rule(self) -> IndexMap:
        return index_map(self.index_map)

    def infer(self, data: Type) -> Type:
        tensor = expect_tensor(self.name, "data", data)
        if len(tensor.shape) != len(self._rule.names):
            raise TypeInferenceError(
                f"{self.name}: {self.index_map} takes {len(self._rule.names)} indices, found "
                f"{tensor}"
            )
        if not tensor.is_static:
            return TensorType([AnySize() for _ in self._rule.results], tensor.dtype)
        return TensorType(self._sizes(tensor.concrete_shape), tensor.dtype)

    def compute(self, data: te.Tensor) -> te.Tensor:
        output = te.placeholder(self._sizes(data.static_shape), data.dtype, "moved")
        return te.ordered((data,), (output,), self._write)[0]

    def _write(self, w: te.Writer, given: te.Given, made: te.Given) -> None:
        (data,), (result,) = given, made
        copy(w, result, lambda *_: te.const(0, result.dtype))
        shape = data.static_shape
        if 0 in shape:
            return
        with w.loop(1, "all", kind="parallel"), w.loop(math.prod(shape), "k") as k:
            at = te.unflatten_index(k, shape)
            place = [te.as_expr(p, te.INDEX) for p in self._rule(*at)]
            with w.when(within(place, result.static_shape)):
                w.store(result, place, data(*at))

    def _places(self, shape: Sequence[int]) -> Array:
        """For each element, in row-major order, its row-major place in the result."""
        at = [axis.reshape(-1) for axis in np.indices(shape)]
        size = math.prod(shape)
        place = [np.broadcast_to(np.asarray(p), (size,)) for p in self._rule(*at)]
        found = np.zeros(size, "int64")
        for index, extent in zip(place, self._sizes(shape), strict=True):
            found = found * extent + index
        return found

    def reference(self, data: Array) -> Array:
        sizes = self._sizes(data.shape)
        result = np.zeros(math.prod(sizes), data.dtype)
        result[self._places(data.shape)] = data.reshape(-1)
        return result.reshape(sizes)

    def gradient(self, grad: Expr, result: Expr, data: Expr) -> Gradients:
        shape = known_shape(self.name, data)
        flat = reshaped(grad, (math.prod(self._sizes(shape)),))
        taken = make("take", flat, const(self._places(shape)), axis=0)
        return (reshaped(taken, shape),)
