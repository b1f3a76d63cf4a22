"""Relay: a functional, typed, differentiable language for deep learning, and its compiler.

>>> import relay
>>> x = relay.var("x", shape=(10, 1))
>>> print(relay.Function([x], relay.op.add(x, x)))
fn (%x: Tensor[(10, 1), float32]) {
  add(%x, %x)
}

The operators of `relay.op` are also here by their own names (``relay.add``); `relay.op.nn` is
`relay.nn`. What takes long to load (the compiler, executors, importers) is loaded on first use.
"""

import importlib
from typing import TYPE_CHECKING, Final

from relay import analysis, dtypes, infer, ir, op, target, transform
from relay.infer import fromtext, infer_expr, infer_types, parse, parse_expr
from relay.ir.equal import assert_structural_equal, structural_equal, structural_hash
from relay.ir.expr import (
    Call,
    Constant,
    Expr,
    Function,
    GlobalVar,
    If,
    Let,
    Op,
    TempExpr,
    Tuple,
    TupleGetItem,
    Var,
    const,
    var,
)
from relay.ir.functor import ExprFunctor, ExprMutator, ExprVisitor
from relay.ir.module import IRModule
from relay.ir.printer import astext
from relay.ir.types import (
    Any,
    FuncType,
    GlobalTypeVar,
    IncompleteType,
    RefType,
    TensorType,
    TupleType,
    Type,
    TypeCall,
    TypeKind,
    TypeVar,
    scalar_type,
)
from relay.ir.visit import bind
from relay.op import nn
from relay.runtime.device import Device, cpu
from relay.runtime.ndarray import NDArray
from relay.support.errors import RelayError
from relay.support.source import Span

if TYPE_CHECKING:
    from relay import executor, frontend, testing
    from relay.executor import create_executor
    from relay.executor.build import build

Module = IRModule
"""The name of `IRModule` in Relay 0.5 and 0.6."""

_LAZY: Final = {
    "build": "relay.executor.build",
    "create_executor": "relay.executor",
    "executor": None,
    "frontend": None,
    "testing": None,
}
"""Public name -> the module that has it; None where it is a module of its own."""

__all__ = [
    "Any",
    "Call",
    "Constant",
    "Device",
    "Expr",
    "ExprFunctor",
    "ExprMutator",
    "ExprVisitor",
    "FuncType",
    "Function",
    "GlobalTypeVar",
    "GlobalVar",
    "IRModule",
    "If",
    "IncompleteType",
    "Let",
    "Module",
    "NDArray",
    "Op",
    "RefType",
    "RelayError",
    "Span",
    "TempExpr",
    "TensorType",
    "Tuple",
    "TupleGetItem",
    "TupleType",
    "Type",
    "TypeCall",
    "TypeKind",
    "TypeVar",
    "Var",
    "analysis",
    "assert_structural_equal",
    "astext",
    "bind",
    "build",
    "const",
    "cpu",
    "create_executor",
    "dtypes",
    "executor",
    "fromtext",
    "frontend",
    "infer",
    "infer_expr",
    "infer_types",
    "ir",
    "nn",
    "op",
    "parse",
    "parse_expr",
    "scalar_type",
    "structural_equal",
    "structural_hash",
    "target",
    "testing",
    "transform",
    "var",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        owner = _LAZY[name]
        if owner is None:
            return importlib.import_module(f"relay.{name}")
        return getattr(importlib.import_module(owner), name)
    if name in op.__all__:
        return getattr(op, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *op.__all__})
