"""Operators on large constants, computed when somebody asks for the elements."""

from typing import Final

import numpy as np

from relay.ir.op import Array, Operator, Pattern
from relay.ir.types import TensorType
from relay.runtime.ndarray import NDArray

LARGE: Final = 1 << 16
"""Results of fewer bytes are computed at once."""


def moved(operator: Operator, data: NDArray, result: TensorType) -> NDArray | None:
    """The `result` of an `operator` that only moves the elements of `data`, later.

    None for small results, for operators that compute, and for those that leave elements out: the
    result would keep all of `data` in memory.
    """
    if operator.pattern is not Pattern.INJECTIVE or len(operator.inputs) != 1:
        return None
    shape = result.concrete_shape
    if data.dtype != result.dtype or data.nbytes < LARGE or data.size != np.prod(shape, dtype=int):
        return None

    def make() -> Array:
        elements: Array = operator.reference(data.numpy()).view()
        return elements

    return NDArray.deferred(shape, result.dtype, make)
