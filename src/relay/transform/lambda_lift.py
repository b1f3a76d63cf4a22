"""`LambdaLift`: inner functions become global ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.ir.expr import Call, Expr, Function, GlobalVar
from relay.ir.module import IRModule
from relay.ir.types import FuncType
from relay.transform.base import Pass, PassContext
from relay.transform.closures import ClosureConversion, Lambda
from relay.transform.copies import unused_name


@dataclass(frozen=True)
class LambdaLift(Pass):
    """Make every inner function a global one.

    One that uses variables (or type variables) from outside is made by a global function of these,
    which has the attribute ``Closure``; such a function is left alone when it is met again.
    Functions for the compiler (``Primitive``, ``Composite``, ``Compiler``, ``Extern``) stay. ::

        def @main(%x) { let %f = fn (%y) { add(%x, %y) }; %f(%x) }
        ->
        def @main(%x) { let %f = @main_f(%x); %f(%x) }
        def @main_f(%x, Closure=1) { fn (%y) { add(%x, %y) } }
    """

    opt_level = 1
    required = ("InferType",)

    def run(self, module: IRModule, context: PassContext) -> IRModule:
        functions: dict[GlobalVar, Function] = {}
        taken = {g.name_hint for g in module}
        for name, function in module.functions.items():
            if function.attrs.get("Closure") and isinstance(function.body, Function):
                # The inner function is where it has to be; look into that one.
                lifting = _Lifting(function.body, name.name_hint, taken)
                body = lifting.rooted(function.body)
                functions[name] = function if body is function.body else function.with_body(body)
            else:
                lifting = _Lifting(function, name.name_hint, taken)
                functions[name] = lifting.rooted(function)
            functions.update(lifting.lifted())
        return module.with_functions(functions)


class _Lifting(ClosureConversion):
    """The lifting of the inner functions of one global function."""

    def __init__(self, root: Function, owner: str, taken: set[str]) -> None:
        super().__init__(root)
        self.names: dict[Lambda, GlobalVar] = {}
        for inner in self.lambdas.values():
            if inner.function is not root:
                hint = inner.names[0].name_hint if inner.names else "lambda"
                name = unused_name(f"{owner}_{hint}", taken)
                taken.add(name)
                self.names[inner] = GlobalVar(name, _global_type(inner))

    def inlines(self, inner: Lambda) -> bool:
        return inner.is_closed

    def closure(self, inner: Lambda, captured: Sequence[Expr]) -> Expr:
        name = self.names[inner]
        return name if inner.is_closed else Call(name, captured, None, inner.type_vars)

    def rooted(self, root: Function) -> Function:
        """The function that everything is lifted out of."""
        _, params, body = self.convert(self.lambdas[root])
        result = root.rebuild((*params, body))
        assert isinstance(result, Function)
        return result

    def lifted(self) -> dict[GlobalVar, Function]:
        """The new global functions."""
        found: dict[GlobalVar, Function] = {}
        for inner, name in self.names.items():
            captured, params, body = self.convert(inner)
            function = inner.function.rebuild((*params, body))
            assert isinstance(function, Function)
            if not inner.is_closed:
                type_ = inner.function.checked_type
                attrs = {"Closure": 1}
                function = Function(captured, function, type_, inner.type_vars, attrs)
            found[name] = function
        return found


def _global_type(inner: Lambda) -> FuncType:
    type_ = inner.function.checked_type
    assert isinstance(type_, FuncType)
    if inner.is_closed:
        return type_
    return FuncType([v.checked_type for v in inner.captured], type_, inner.type_vars)
