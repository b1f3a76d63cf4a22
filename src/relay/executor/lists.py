"""Operators on lists, applied to the values of an executor.

An executor says what a tensor of its own is as an array, and makes one of an array. All other
values are elements that the operators hand on as they are, tensors that no operator made as well.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np

from relay.ir.op import Array
from relay.op.lists import ListOperator

_T = TypeVar("_T")
#: The array in a tensor, and its data type; None for what is no tensor.
ArrayOf: TypeAlias = Callable[[_T], tuple[Array, str] | None]


def apply_to_lists(
    operator: ListOperator,
    arguments: Sequence[_T | list[_T]],
    array_of: ArrayOf[_T],
    made: Callable[[Array, str], _T],
) -> _T | list[_T]:
    """The result of `operator`; lists among `arguments`, and in the result, are those of Python.

    Raises what the operator raises.
    """
    tensors: dict[int, tuple[_T, Array]] = {}
    given: list[str] = []

    def inward(value: _T) -> Any:
        found = array_of(value)
        if found is None:
            return value
        array, dtype = found
        tensors[id(array)] = value, array  # the array lives for as long as its id is needed
        given.append(dtype)
        return array

    def outward(value: Any) -> Any:
        if id(value) in tensors:
            return tensors[id(value)][0]
        if isinstance(value, tuple) and isinstance(value[0], np.ndarray):
            flat, shape = value  # a tensor in a box: its elements and its shape
            return (made(flat, operator.made_dtype(given)), made(shape, "int64"))
        if isinstance(value, np.ndarray):
            return made(value, operator.made_dtype(given))
        return value

    result = operator.reference(
        *([inward(e) for e in a] if isinstance(a, list) else inward(a) for a in arguments)
    )
    return [outward(e) for e in result] if isinstance(result, list) else outward(result)
