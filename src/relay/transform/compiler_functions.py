"""Passes over the functions of external compilers: inline, outline, mark as done."""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.ir.expr import Call, Expr, Function, GlobalVar
from relay.ir.module import IRModule
from relay.ir.types import FuncType
from relay.ir.visit import rewrite
from relay.support.errors import RelayError
from relay.transform.base import Pass, PassContext
from relay.transform.inline_calls import beta_reduced


@dataclass(frozen=True)
class InlineCompilerFunctionsBoundTo(Pass):
    """Give the functions that `global_vars` name back to the host: inline them and drop them.

    Raises `RelayError` when one of them is not in the module, or is used other than by a call. ::

        def @main(%x) { exp(@f(%x)) }  def @f(%y, Compiler="toy") { nn.relu(%y) }
        ->
        def @main(%x) { exp((let %y = %x; nn.relu(%y))) }
    """

    global_vars: Sequence[GlobalVar | str]

    opt_level = 0
    required = ("InferType",)

    def run(self, module: IRModule, context: PassContext) -> IRModule:
        names = {g if isinstance(g, str) else g.name_hint for g in self.global_vars}
        bodies = {name: module[name] for name in names}
        if not names:
            return module

        def inline(expr: Expr) -> Expr:
            if isinstance(expr, Call) and isinstance(expr.op, GlobalVar):
                if expr.op.name_hint in bodies:
                    return beta_reduced(bodies[expr.op.name_hint], expr.args, shared=True)
            return expr

        kept: dict[GlobalVar, Function] = {}
        for variable, func in module.functions.items():
            if variable.name_hint not in names:
                result = rewrite(func, inline)
                assert isinstance(result, Function)
                kept[variable] = result
        _expect_unused(kept, names)
        return module.with_functions(kept)


def _expect_unused(functions: dict[GlobalVar, Function], names: set[str]) -> None:
    def check(expr: Expr) -> Expr:
        if isinstance(expr, GlobalVar) and expr.name_hint in names:
            raise RelayError(
                f"@{expr.name_hint} cannot be inlined: it is used other than by a call, or by a "
                "function that is inlined itself",
                expr.span,
            )
        return expr

    for func in functions.values():
        rewrite(func, check)


@dataclass(frozen=True)
class OutlineCompilerFunctionsWithExistingGlobalSymbols(Pass):
    """Make called functions with ``Compiler`` and ``global_symbol`` global, under that name.

    With `compiler_filter` only those of that compiler. Raises `RelayError` when two functions have
    one name. ::

        (fn (%y, Compiler="toy", global_symbol="f") { nn.relu(%y) })(%x)   ->   @f(%x)
    """

    compiler_filter: str = ""

    opt_level = 0
    required = ("InferType",)

    def run(self, module: IRModule, context: PassContext) -> IRModule:
        found: dict[str, tuple[GlobalVar, Function]] = {}

        def outline(expr: Expr) -> Expr:
            if not isinstance(expr, Call) or not isinstance(expr.op, Function):
                return expr
            name = expr.op.attrs.get("global_symbol")
            if not isinstance(name, str) or not _is_of(expr.op, self.compiler_filter):
                return expr
            if name not in found:
                type_ = expr.op.checked_type
                assert isinstance(type_, FuncType)
                found[name] = (GlobalVar(name, type_), expr.op)
            if found[name][1] is not expr.op or name in module:
                raise RelayError(f"two functions have the global_symbol {name!r}", expr.span)
            return Call(found[name][0], expr.args, None, expr.type_args, expr.span)

        functions: dict[GlobalVar, Function] = {}
        for variable, func in module.functions.items():
            result = rewrite(func, outline)
            assert isinstance(result, Function)
            functions[variable] = result
        functions.update(found.values())
        return module.with_functions(functions)


@dataclass(frozen=True)
class MarkCompilerFunctionsAsExtern(Pass):
    """Replace the attributes of functions that have been compiled elsewhere by ``Extern=1``.

    These are the global functions with the attribute ``Compiler``; with `compiler_filter` only
    those of that compiler. The body stays, as what the function means. ::

        def @f(%y, Compiler="toy", global_symbol="f") { .. }   ->   def @f(%y, Extern=1) { .. }
    """

    compiler_filter: str = ""

    opt_level = 0
    required = ("InferType",)

    def run(self, module: IRModule, context: PassContext) -> IRModule:
        functions: dict[GlobalVar, Function] = {}
        for variable, func in module.functions.items():
            if _is_of(func, self.compiler_filter):
                func = _extern(func)
            functions[variable] = func
        return module.with_functions(functions)


def _extern(func: Function) -> Function:
    attrs = {"Extern": 1}
    return Function(func.params, func.body, func.ret_type, func.type_params, attrs, func.span)


def _is_of(func: Function, compiler_filter: str) -> bool:
    compiler = func.attrs.get("Compiler")
    return compiler is not None and compiler_filter in ("", compiler)
