"""What operators have in common some of whose attributes are known only at run time.

Each stands for an ordinary operator: `DynamicOperator.static` makes that operator's declaration
from the values of the inputs named in `late`. That is their meaning in the interpreter, and how
`relay.transform.DynamicToStatic` replaces them where the values are constants. The operators
themselves are in `relay.op.dyn`, `relay.op.dyn_sizes` and `relay.op.image.dynamic`.
"""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from relay import dtypes
from relay.ir import types
from relay.ir.expr import Call, Constant, Expr, const
from relay.ir.op import Array, Operator
from relay.ir.types import Dim, TensorType, Type
from relay.op.functions import as_argument, function, signature
from relay.op.shapes import expect_kind
from relay.op.tensor.elementwise import OnesLike
from relay.support.errors import TypeInferenceError

#: Why these operators are not compiled.
UNKNOWN = "its attributes are known only at run time; make them constants and run DynamicToStatic"


class DynamicOperator(Operator):
    """Base of the operators that take the inputs `late` for attributes of another operator."""

    late: ClassVar[tuple[str, ...]]
    missing: ClassVar[dict[str, str]] = {
        "compute": UNKNOWN,
        "gradient": "differentiate the program after DynamicToStatic",
    }

    def static(self, values: Mapping[str, Array]) -> Operator:
        """The ordinary operator for the given `values` of the inputs `late`."""
        raise TypeInferenceError(f"the operator {self.name} stands for no other")

    def late_arguments(self, arguments: Sequence[Expr]) -> list[Expr]:
        """Those of `arguments` whose values decide."""
        named = dict(zip(self.inputs, arguments, strict=True))
        return [named[name] for name in self.late]

    def decided(self, arguments: Sequence[Expr]) -> Expr:
        """What this stands for, on `arguments`; a call of it where they do not decide that yet."""
        named = dict(zip(self.inputs, arguments, strict=True))
        late = {name: named.pop(name) for name in self.late}
        values = {n: v.data.values() for n, v in late.items() if isinstance(v, Constant)}
        if len(values) != len(late):
            return Call(self.op, arguments, self)
        static = self.static(values)
        return Call(static.op, tuple(named.values()), static)

    def split_inputs(self, values: Sequence[Array]) -> tuple[dict[str, Array], list[Array]]:
        """The inputs that become attributes, by name, and the others."""
        named = dict(zip(self.inputs, values, strict=True))
        late = {name: named.pop(name) for name in self.late}
        return late, list(named.values())

    def reference(self, *arrays: Array) -> Array | tuple[Array, ...]:
        late, data = self.split_inputs(arrays)
        static = self.static(late)
        # It refuses, in words, attributes that do not fit the data.
        static.call_type([TensorType(a.shape, dtypes.from_numpy(a.dtype)) for a in data])
        result: Array | tuple[Array, ...] = static.reference(*data)
        return result


def vector_length(name: str, argument: str, type_: Type) -> int:
    """The length of a vector of integers, which has to be known: it is the rank of something."""
    vector = expect_kind(name, argument, type_, "integer")
    if len(vector.shape) != 1 or not isinstance(vector.shape[0], int):
        raise TypeInferenceError(
            f"{name}: {argument} must be a vector of integers of known length, found {vector}"
        )
    return vector.shape[0]


def expect_number(name: str, argument: str, type_: Type, kind: str) -> None:
    """An argument must be one number of a `kind`: a scalar, or a vector of one element."""
    found = expect_kind(name, argument, type_, kind)
    if found.shape not in ((), (1,)):
        raise TypeInferenceError(f"{name}: {argument} must be one number, found {found}")


def integers(values: Array) -> tuple[int, ...]:
    """The elements as an attribute."""
    return tuple(int(v) for v in values.reshape(-1))


def unknown_sizes(rank: int) -> list[Dim]:
    """As many sizes of which nothing is known."""
    return [types.Any() for _ in range(rank)]


def known_sizes(name: str, known: Sequence[str], rank: int) -> list[Dim]:
    """What `known` says of the sizes of a result: a number, a name, or ``?`` for each."""
    if known and len(known) != rank:
        raise TypeInferenceError(
            f"{name}: known must say something of each of {rank} sizes, found {list(known)}"
        )
    found: list[Dim] = [
        int(size)
        if size.isdecimal()
        else types.SizeVar(size)
        if size.isidentifier()
        else types.Any()
        for size in known
    ]
    return found or unknown_sizes(rank)


def function_or_late(
    static: type[Operator], dynamic: type[DynamicOperator], own_dtype: Collection[str] = ()
) -> Callable[..., Expr]:
    """The function of `static`, which calls `dynamic` where it is given expressions as attributes.

    Constants are as good as numbers. Signature and documentation are those of ``function(static)``.
    """
    build = function(static, own_dtype)
    shown = signature(static)
    count = len(static.inputs)

    @functools.wraps(build)
    def choose(*args: Any, **kwargs: Any) -> Expr:
        given = (*args[count:], *(kwargs[n] for n in dynamic.late if n in kwargs))
        if not any(isinstance(value, Expr) for value in given):
            return build(*args, **kwargs)
        bound = shown.bind(*args, **kwargs)
        bound.apply_defaults()
        named = dict(bound.arguments)
        like = next((named[n] for n in static.inputs if isinstance(named[n], Expr)), None)
        for name in static.inputs:
            named[name] = as_argument(named[name], None if name in own_dtype else like)
        if "strides" in dynamic.late and named["strides"] is None:
            named["strides"] = _ones_like(as_argument(named["begin"]))
        for name in dynamic.late:
            named[name] = as_argument(named[name])
        arguments = [named.pop(name) for name in dynamic.inputs]
        return dynamic(**named).decided(arguments)

    return choose


def _ones_like(value: Expr) -> Expr:
    if isinstance(value, Constant):
        return const(np.ones_like(value.data.numpy()))
    return Call(OnesLike.op, (value,))
