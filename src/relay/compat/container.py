"""`tvm.runtime.container`: what functions return besides arrays."""

from collections.abc import Iterable

from relay.ir.expr import const
from relay.runtime.ndarray import NDArray


class ADT(tuple[object, ...]):
    """A tuple of values with a `tag`, which is 0 for what is a tuple in the program, too."""

    tag: int

    def __new__(cls, tag: int, fields: Iterable[object]) -> "ADT":
        """The value with `tag` and `fields`."""
        made = super().__new__(cls, fields)
        made.tag = tag
        return made

    @property
    def fields(self) -> tuple[object, ...]:
        """The values inside."""
        return tuple(self)


class Value:
    """What results were called in TVM until 0.6."""

    @staticmethod
    def from_scalar(value: bool | int | float, dtype: str | None = None) -> NDArray:
        """A number as an array without dimensions, of what type `relay.const` gives it."""
        return const(value, dtype).data


def tuple_object(fields: Iterable[object]) -> ADT:
    """A tuple of values."""
    return ADT(0, fields)


def shown(value: object) -> object:
    """`value` with every tuple in it as an `ADT`, as TVM shows tuples."""
    if type(value) is tuple:
        return tuple_object(shown(field) for field in value)
    return value


__all__ = ["ADT", "Value", "shown", "tuple_object"]
