"""What the Python source of `relay.testing.to_python` calls. Values are the interpreter's."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from relay import dtypes
from relay.executor.debugging import pause
from relay.executor.interpreter import apply_operator, construct, truth
from relay.executor.values import ConstructorValue, RefValue, Value, describe
from relay.ir.adt import Constructor
from relay.ir.expr import Op
from relay.ir.op import Operator
from relay.op.debugging import Debug
from relay.runtime.ndarray import NDArray
from relay.support.errors import RelayError

DEPTH: Final = 1_000_000
"""How many calls may wait for each other. Python's own calls take memory, not stack."""

__all__ = ["constant", "constructor", "is_a", "no_clause", "once", "operator", "ref", "truth"]


@dataclass(frozen=True)
class operator:  # noqa: N801 - the source reads `add = operator("add")`
    """An operator as a function of values, by its NumPy reference."""

    declaration: Operator

    def __init__(self, declaration: Operator | str, **attributes: Any) -> None:
        if isinstance(declaration, str):
            kind = Op.get(declaration).declaration
            made = kind(**attributes)
            assert isinstance(made, Operator)
            declaration = made
        object.__setattr__(self, "declaration", declaration)

    def __call__(self, *values: Value) -> Value:
        if isinstance(self.declaration, Debug):
            (value,) = values
            pause(self.declaration, value)
            return value
        return apply_operator(self.declaration, values)


@dataclass(frozen=True)
class constructor:  # noqa: N801 - as `operator`
    """A constructor as a function of the fields."""

    constructor: Constructor

    def __call__(self, *fields: Value) -> ConstructorValue:
        return construct(self.constructor, fields)


def constant(value: object, dtype: str) -> NDArray:
    """A tensor of the numbers in `value`, a number or nested lists."""
    return NDArray(np.asarray(value, dtype=dtypes.to_numpy(dtype)))


def ref(value: Value) -> RefValue:
    """A new reference that holds `value`."""
    return RefValue(value)


def is_a(value: Value, wanted: constructor) -> bool:
    """Whether `wanted` made `value`; raises `RelayError` when that is no data at all."""
    if not isinstance(value, ConstructorValue):
        kind = wanted.constructor.belong_to
        raise RelayError(f"expected a {kind}, found {describe(value)}")
    return wanted.constructor.same_as(value.constructor)


def no_clause(value: Value) -> RelayError:
    """The error of a match that does not cover `value`."""
    return RelayError(f"no clause of the match covers {describe(value)}")


def once(function: Callable[[], Value]) -> Callable[[], Value]:
    """`function`, run when it is first called; then its result is known."""
    found: list[Value] = []

    def value() -> Value:
        if not found:
            found.append(function())
        return found[0]

    return value


@contextmanager
def deep_calls() -> Iterator[None]:
    """Let functions call each other `DEPTH` deep, and numbers leave their range in silence.

    The limit is that of the process while this lasts.
    """
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, DEPTH))
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        sys.setrecursionlimit(before)


def tuple_text(parts: Sequence[str]) -> str:
    """A Python tuple of `parts`."""
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"
