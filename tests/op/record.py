"""What the operator matrix is driven by: `Record`, one call of an operator on given inputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.ir.expr import Call, Expr, Op, Tuple, Var
from relay.ir.types import TensorType

Array: TypeAlias = npt.NDArray[np.generic]
Value: TypeAlias = "Array | tuple[Array, ...]"


@dataclass(frozen=True)
class In:
    """One input: random values of `dtype` within ``low .. high``, or exactly `values`.

    Integers are drawn with both ends included; ``bool`` is a fair coin. Floats include the ends'
    neighbourhood only by chance: edge cases are given as `values`.
    """

    shape: tuple[int, ...] = ()
    dtype: str = "float32"
    low: float = -2.0
    high: float = 2.0
    values: object = None

    def make(self, random: np.random.Generator) -> Array:
        """The array of this input."""
        numpy = dtypes.to_numpy(self.dtype)
        if self.values is not None:
            return np.asarray(self.values, dtype=numpy)
        if self.dtype == "bool":
            return np.asarray(random.integers(0, 2, self.shape), dtype=numpy)
        if dtypes.is_float(self.dtype):
            return np.asarray(random.uniform(self.low, self.high, self.shape), dtype=numpy)
        low, high = dtypes.integer_range(self.dtype)
        drawn = random.integers(max(int(self.low), low), min(int(self.high), high) + 1, self.shape)
        return np.asarray(drawn, dtype=numpy)


@dataclass(frozen=True)
class Record:
    """The operator called `op` with `attrs` on `inputs`; an argument of tuple type is a tuple.

    `tolerance` is relative and absolute; `note` tells records of one operator apart. Checks named
    in `skip` are not run, with the reason: ``{"compute": "why"}``; the names are those of the
    functions of ``test_matrix.py`` without ``test_``.
    """

    op: str
    inputs: tuple[In | tuple[In, ...], ...] = (In((2, 3)),)
    attrs: Mapping[str, object] = field(default_factory=dict)
    tolerance: float = 1e-5
    note: str = ""
    skip: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.op}-{self.note}" if self.note else self.op

    def arrays(self, seed: int = 0) -> tuple[Value, ...]:
        """The arguments, the same for the same `seed`."""
        random = np.random.default_rng(seed)
        return tuple(
            tuple(f.make(random) for f in i) if isinstance(i, tuple) else i.make(random)
            for i in self.inputs
        )

    def call(self) -> tuple[Call, tuple[Var, ...]]:
        """The call on fresh variables, and the variables; fields of tuples are variables too."""
        arrays = self.arrays()
        variables: list[Var] = []

        def variable(array: Array, spec: In) -> Var:
            found = Var(f"x{len(variables)}", TensorType(array.shape, spec.dtype))
            variables.append(found)
            return found

        arguments: list[Expr] = []
        for spec, value in zip(self.inputs, arrays, strict=True):
            if isinstance(spec, tuple):
                assert isinstance(value, tuple)
                fields = [variable(a, s) for a, s in zip(value, spec, strict=True)]
                arguments.append(Tuple(fields))
            else:
                assert not isinstance(value, tuple)
                arguments.append(variable(value, spec))
        op = Op.get(self.op)
        return Call(op, arguments, op.declaration(**self.attrs)), tuple(variables)
