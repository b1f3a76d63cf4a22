"""Where compiled results come from in the operator matrix."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from relay.ir.expr import Call, Var

#: Why compiled results are not compared, or None where they are.
UNAVAILABLE: str | None = "operators are not compiled yet"


def run_compiled(
    call: Call, variables: Sequence[Var], arrays: Sequence[npt.NDArray[np.generic]]
) -> tuple[npt.NDArray[np.generic], ...]:
    """The results of `call`, compiled, with `variables` bound to `arrays`, as a tuple."""
    raise AssertionError(UNAVAILABLE)
