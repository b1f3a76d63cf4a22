"""Short ways to type, transform and count, as Relay's own tests write them."""

from collections import Counter

import numpy as np

from relay import dtypes
from relay.analysis import list_op_freqs
from relay.infer import infer_types
from relay.ir.expr import Expr, Function
from relay.ir.module import IRModule
from relay.prelude import Prelude
from relay.runtime.ndarray import NDArray
from relay.transform.base import Pass

_GENERATOR = np.random.default_rng(0)


def _main_as(expr: Expr, module: IRModule) -> Expr:
    """``@main`` of `module`: its body, unless `expr` was a function itself."""
    main = module["main"]
    return main if isinstance(expr, Function) else main.body


def run_infer_type(expr: Expr) -> Expr:
    """`expr` with every variable and function annotated.

    Raises `TypeInferenceError` when it is ill typed.
    """
    return _main_as(expr, infer_types(IRModule.from_expr(expr)))


def run_opt_pass(expr: Expr, opt_pass: Pass, import_prelude: bool = False) -> Expr:
    """What `opt_pass` makes of `expr` as ``@main`` of a module of its own.

    The module is typed first; with `import_prelude` it has the functions of `relay.prelude`, too.
    """
    module = IRModule.from_expr(expr)
    if import_prelude:
        Prelude(module)
    return _main_as(expr, opt_pass(infer_types(module)))


def rand(dtype: str, *shape: int) -> NDArray:
    """Random numbers between 0 and 1, cast to `dtype` (not ``bfloat16``)."""
    return NDArray(np.asarray(_GENERATOR.random(shape)).astype(dtypes.to_numpy(dtype)), dtype)


def count_ops(expr: Expr) -> Counter[str]:
    """How often each operator is called in `expr`, by its name."""
    return Counter(list_op_freqs(expr))
