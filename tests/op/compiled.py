"""Compiled results of single operators."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from relay.codegen.llvm.host import host_target
from relay.executor.build import build
from relay.ir.expr import Call, Function, Var
from relay.target import Target
from relay.transform.base import PassContext

#: Instruction sets narrower than what machines have today, as features of LLVM.
_NARROW = {"avx2": ("avx", "avx2", "fma"), "sse2": ("sse2",)}


def run_compiled(
    call: Call,
    variables: Sequence[Var],
    arrays: Sequence[npt.NDArray[np.generic]],
    target: Target | None = None,
    level: int = 3,
) -> tuple[npt.NDArray[np.generic], ...]:
    """The results of `call` as a tuple, with `variables` bound to `arrays`.

    It is compiled for `target` (default: this CPU) at optimisation level `level`.
    """
    with PassContext(opt_level=level):
        factory = build(Function(list(variables), call), target)
    return tuple(array.numpy() for array in factory.create()(*arrays))


def narrow_targets() -> dict[str, Target]:
    """This CPU restricted to older instruction sets, by name: those of them that it has."""
    host = host_target()
    return {
        name: host.with_features(*features)
        for name, features in _NARROW.items()
        if all(host.has(f) for f in features) and features != host.features
    }
