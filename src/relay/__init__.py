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

from relay import (
    adt,
    dtypes,
    expr,
    expr_functor,
    function,
    infer,
    ir,
    loops,
    op,
    prelude,
    runtime,
    scope_builder,
    target,
    ty,
    type_functor,
)
from relay.infer import fromtext, infer_expr, infer_types, parse, parse_expr
from relay.ir.adt import Constructor, TypeData
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
from relay.ir.match import Clause, Match
from relay.ir.module import IRModule
from relay.ir.pattern_functor import PatternFunctor, PatternMutator, PatternVisitor
from relay.ir.patterns import (
    Pattern,
    PatternConstructor,
    PatternTuple,
    PatternVar,
    PatternWildcard,
)
from relay.ir.printer import astext
from relay.ir.reference import RefCreate, RefRead, RefWrite
from relay.ir.type_functor import TypeFunctor, TypeMutator, TypeVisitor
from relay.ir.types import (
    Any,
    FuncType,
    GlobalTypeVar,
    IncompleteType,
    RefType,
    ShapeVar,
    SizeVar,
    TensorType,
    TupleType,
    Type,
    TypeCall,
    TypeConstraint,
    TypeKind,
    TypeRelation,
    TypeVar,
    scalar_type,
)
from relay.ir.visit import bind
from relay.op import annotation, nn, random, vision
from relay.prelude import Prelude
from relay.runtime.device import Device, cpu
from relay.runtime.ndarray import NDArray
from relay.runtime.params import load_param_dict, save_param_dict
from relay.scope_builder import ScopeBuilder
from relay.support.collector import paused_collector as _paused_collector
from relay.support.errors import RelayError
from relay.support.source import Span

if TYPE_CHECKING:
    from relay import (
        analysis,
        compat,
        dataflow_pattern,
        executor,
        frontend,
        qnn,
        testing,
        transform,
        vm,
    )
    from relay.drawing import draw
    from relay.executor import create_executor
    from relay.executor.build import build
    from relay.executor.graph import load

Module = IRModule
"""The name of `IRModule` in Relay 0.5 and 0.6."""

_LAZY: Final = {
    "analysis": None,
    "build": "relay.executor.build",
    "compat": None,
    "create_executor": "relay.executor",
    "draw": "relay.drawing",
    "executor": None,
    "frontend": None,
    "load": "relay.executor.graph",
    "qnn": None,
    "testing": None,
    "transform": None,
    "vm": None,
}
"""Public name -> the module that has it; None where it is a module of its own."""

__all__ = [
    "Any",
    "Call",
    "Clause",
    "Constant",
    "Constructor",
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
    "Match",
    "Module",
    "NDArray",
    "Op",
    "Pattern",
    "PatternConstructor",
    "PatternFunctor",
    "PatternMutator",
    "PatternTuple",
    "PatternVar",
    "PatternVisitor",
    "PatternWildcard",
    "Prelude",
    "RefCreate",
    "RefRead",
    "RefType",
    "RefWrite",
    "RelayError",
    "ScopeBuilder",
    "ShapeVar",
    "SizeVar",
    "Span",
    "TempExpr",
    "TensorType",
    "Tuple",
    "TupleGetItem",
    "TupleType",
    "Type",
    "TypeCall",
    "TypeConstraint",
    "TypeData",
    "TypeFunctor",
    "TypeKind",
    "TypeMutator",
    "TypeRelation",
    "TypeVar",
    "TypeVisitor",
    "Var",
    "adt",
    "analysis",
    "annotation",
    "assert_structural_equal",
    "astext",
    "bind",
    "build",
    "compat",
    "const",
    "cpu",
    "create_executor",
    "dataflow_pattern",
    "draw",
    "dtypes",
    "executor",
    "expr",
    "expr_functor",
    "fromtext",
    "frontend",
    "function",
    "infer",
    "infer_expr",
    "infer_types",
    "ir",
    "load",
    "load_param_dict",
    "loops",
    "nn",
    "op",
    "parse",
    "parse_expr",
    "prelude",
    "qnn",
    "random",
    "runtime",
    "save_param_dict",
    "scalar_type",
    "scope_builder",
    "structural_equal",
    "structural_hash",
    "target",
    "testing",
    "transform",
    "ty",
    "type_functor",
    "var",
    "vision",
    "vm",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        owner = _LAZY[name]
        with _paused_collector():
            found = importlib.import_module(owner or f"relay.{name}")
        return found if owner is None else getattr(found, name)
    if name in op.__all__:
        return getattr(op, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *op.__all__})
