"""From the declaration of an operator to the Python function a user calls.

The function takes the operator's inputs, then its attributes, by position or by name; signature and
documentation come from the declaration.
"""

import dataclasses
import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias, final, overload

import numpy as np

from relay.ir.expr import Call, Expr, ExprLike, Tuple, TupleGetItem, as_expr
from relay.ir.op import Operator
from relay.support.errors import RelayError


@final
class TupleWrapper(Sequence[Expr]):
    """A call that returns a tuple of known size: its fields can be indexed, counted and unpacked.

    ``first, second = relay.split(x, 2)``. It is no expression; `astuple` is the call itself, and
    operators take the wrapper for it.
    """

    def __init__(self, tuple_value: Expr, size: int) -> None:
        self.tuple_value = tuple_value
        self.size = size

    def astuple(self) -> Expr:
        """The call, an expression of tuple type."""
        return self.tuple_value

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> Expr: ...
    @overload
    def __getitem__(self, index: slice) -> list[Expr]: ...
    def __getitem__(self, index: int | slice) -> Expr | list[Expr]:
        if isinstance(index, slice):
            return [TupleGetItem(self.tuple_value, k) for k in range(self.size)[index]]
        if not -self.size <= index < self.size:
            raise IndexError(f"the tuple has {self.size} fields, there is no field {index}")
        return TupleGetItem(self.tuple_value, index % self.size)


Argument: TypeAlias = ExprLike | Sequence[ExprLike] | TupleWrapper | str


def as_argument(value: Argument, like: ExprLike | None = None) -> Expr:
    """`value` as an argument: a sequence holding expressions becomes a tuple."""
    if isinstance(value, TupleWrapper):
        return value.astuple()
    if isinstance(value, list | tuple):
        if any(isinstance(v, Expr) for v in value):
            first = next(v for v in value if isinstance(v, Expr))
            return Tuple([as_expr(v, like=first) for v in value])
        return as_expr(np.asarray(value), like=like)
    if isinstance(value, np.generic | str):
        return as_expr(np.asarray(value), like=like)
    assert not isinstance(value, Sequence)
    return as_expr(value, like=like)


def signature(declaration: type[Operator]) -> inspect.Signature:
    """The Python signature of the operator: its inputs, then its attributes with their defaults."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(n, kind, annotation=Expr) for n in declaration.inputs]
    for field in dataclasses.fields(declaration):
        required = field.default is dataclasses.MISSING
        default = inspect.Parameter.empty if required else field.default
        parameters.append(
            inspect.Parameter(field.name, kind, default=default, annotation=field.type)
        )
    return inspect.Signature(parameters, return_annotation=Expr)


def function(declaration: type[Operator], own_dtype: Collection[str] = ()) -> Callable[..., Expr]:
    """The user-level function of an operator: ``add = function(Add)``; ``add(x, 1.0)``.

    Scalars take the data type of the first argument that is an expression, where it is known; those
    for the inputs `own_dtype` take none and are given none.
    The function raises `TypeError` for missing or unknown arguments, as Python functions do.
    """
    names = declaration.inputs
    shown = signature(declaration)

    def build(*args: Any, **kwargs: Any) -> Expr:
        if len(args) < len(names) or kwargs.keys() & set(names):
            bound = shown.bind(*args, **kwargs)
            bound.apply_defaults()
            args, kwargs = bound.args, {}
        inputs, attributes = args[: len(names)], args[len(names) :]
        typed = (a for n, a in zip(names, inputs, strict=True) if n not in own_dtype)
        like = next((a for a in typed if isinstance(a, Expr)), None)
        arguments = [
            as_argument(a, None if n in own_dtype else like)
            for n, a in zip(names, inputs, strict=True)
        ]
        try:
            return Call(declaration.op, arguments, declaration(*attributes, **kwargs))
        except ValueError as error:
            raise RelayError(f"{declaration.name}: {error}") from error

    build.__name__ = build.__qualname__ = declaration.name.rpartition(".")[2]
    build.__doc__ = declaration.__doc__
    build.__signature__ = shown  # type: ignore[attr-defined]
    return build
