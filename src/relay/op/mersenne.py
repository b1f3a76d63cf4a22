"""Random numbers of a generator with a hidden state, as other frameworks draw them.

`relay.random` has a generator whose state is a value of the program. These draw from the Mersenne
Twister (M. Matsumoto and T. Nishimura, 1998) of NumPy's ``RandomState``: with a seed, the same
numbers in every run; without one, others.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from relay.ir.op import Array, Pattern, expect_tensor, operator
from relay.ir.types import TensorType, Type
from relay.op.functions import function
from relay.op.host import ON_HOST, HostOperator

_MISSING = {
    "compute": ON_HOST,
    "gradient": "random numbers depend on nothing",
}


@dataclass(frozen=True)
class _Draw(HostOperator):
    """Base of all: numbers of type `dtype`, drawn anew in each run without a `seed`."""

    stateful = True
    missing: ClassVar[dict[str, str]] = _MISSING

    dtype: str = "float32"
    seed: float | None = None

    def generator(self) -> np.random.RandomState:
        """The generator that the numbers are drawn from."""
        return np.random.RandomState(None if self.seed is None else int(self.seed) % 2**32)


@operator("random.mersenne_uniform", inputs=("shape_of",), pattern=Pattern.OPAQUE, level=10)
class MersenneUniform(_Draw):
    """Numbers between `low` and `high`, all equally likely, in the shape of `shape_of`."""

    low: float = 0.0
    high: float = 1.0

    def infer(self, shape_of: Type) -> Type:
        return TensorType(expect_tensor(self.name, "shape_of", shape_of).shape, self.dtype)

    def reference(self, shape_of: Array) -> Array:
        drawn = self.generator().uniform(self.low, self.high, shape_of.shape)
        return np.asarray(drawn, self.dtype)


@operator("random.mersenne_normal", inputs=("shape_of",), pattern=Pattern.OPAQUE, level=10)
class MersenneNormal(_Draw):
    """Numbers of the normal distribution of `mean` and deviation `scale`, shaped as `shape_of`."""

    mean: float = 0.0
    scale: float = 1.0

    def infer(self, shape_of: Type) -> Type:
        return TensorType(expect_tensor(self.name, "shape_of", shape_of).shape, self.dtype)

    def reference(self, shape_of: Array) -> Array:
        drawn = self.generator().normal(self.mean, self.scale, shape_of.shape)
        return np.asarray(drawn, self.dtype)


mersenne_uniform = function(MersenneUniform)
mersenne_normal = function(MersenneNormal)
