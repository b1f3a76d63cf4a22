"""Where compiled results come from in the operator matrix."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from relay.executor.build import build
from relay.ir.expr import Call, Function, Var
from relay.target import Target
from relay.transform.base import PassContext

UNAVAILABLE = None


def run_compiled(
    call: Call,
    variables: Sequence[Var],
    arrays: Sequence[npt.NDArray[np.generic]],
    target: Target | None = None,
    level: int = 3,
) -> tuple[npt.NDArray[np.generic], ...]:
    """The results of `call`, compiled, with `variables` bound to `arrays`, as a tuple."""
    with PassContext(opt_level=level):
        factory = build(Function(list(variables), call), target)
    return tuple(a.numpy() for a in factory.create()(*arrays))
