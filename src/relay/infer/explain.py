"""What a type error says besides the error: the types that met, and what to try."""

from collections.abc import Sequence

from relay.ir.adt import Constructor
from relay.ir.expr import Call, Constant, Expr, GlobalVar, Var
from relay.ir.match import Match
from relay.ir.op import Operator
from relay.ir.printer import literal_text
from relay.ir.types import TensorType, Type
from relay.support.diagnostics import Diagnostic


def callee_name(callee: Expr) -> str:
    """What a message calls the function that is called."""
    match callee:
        case GlobalVar(name_hint=name):
            return f"@{name}"
        case Constructor(name_hint=name):
            return name
        case Var(name_hint=name):
            return f"%{name}"
        case _:
            return "the function"


def _argument_text(expr: Expr) -> str:
    """A short name for an argument."""
    if isinstance(expr, Var):
        return f"%{expr.name_hint}"
    if isinstance(expr, Constant):
        return literal_text(expr) or "a constant"
    return ""


def unknown_diagnostic(node: Expr) -> Diagnostic:
    """The type of `node` cannot be inferred."""
    if isinstance(node, Var):
        message = f"the type of %{node.name_hint} cannot be inferred"
        hint = f"annotate it, like `%{node.name_hint}: Tensor[(1, 3), float32]`"
    else:
        message = "the type of this expression cannot be inferred"
        hint = "annotate the variables or the result of the function"
    return Diagnostic(message, node.span, hints=(hint,))


def uncovered_diagnostic(match: Match, missing: Sequence[str], found: Type) -> Diagnostic:
    """The clauses of `match`, of a value of type `found`, leave out the patterns `missing`."""
    shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
    return Diagnostic(
        f"the match does not cover {shown}",
        match.span,
        because=f"match needs a clause for every value of type {found}",
        hints=(
            f"add `{missing[0]} => {{ ... }},`",
            "write `match?` if these values cannot occur",
        ),
    )


def argument_diagnostic(
    call: Call, index: int, wanted: Type, found: Type, because: str
) -> Diagnostic:
    """Argument `index` of `call` has the type `found` instead of `wanted`."""
    return Diagnostic(
        f"argument {index}: expected {wanted}, found {found}",
        call.span,
        because=because,
        hints=_mismatch_hints(call.args[index], wanted, found),
    )


def _mismatch_hints(argument: Expr, wanted: Type, found: Type) -> tuple[str, ...]:
    """What to try where `argument` has the type `found` instead of `wanted`."""
    if not isinstance(wanted, TensorType) or not isinstance(found, TensorType):
        return ()
    name = _argument_text(argument) or "..."
    if wanted.dtype != found.dtype and wanted.shape == found.shape:
        return (f'convert it with `cast({name}, dtype="{wanted.dtype}")`',)
    return ()


def operator_diagnostic(call: Call, types: Sequence[Type], message: str) -> Diagnostic:
    """`message` about `call`, whose arguments have `types`, with what helps to understand it."""
    declaration = call.attrs
    assert isinstance(declaration, Operator)
    if len(types) != len(declaration.inputs) and f"found {len(types)}" in message:
        expected = f"{declaration.name}({', '.join(declaration.inputs)})"
        return Diagnostic(message, call.span, expected=expected)
    named = zip(declaration.inputs, call.args, types, strict=False)
    shown = [f"{_argument_text(argument) or name}: {type_}" for name, argument, type_ in named]
    return Diagnostic(
        message, call.span, found=", ".join(shown), hints=_hints(call, types, message)
    )


def _hints(call: Call, types: Sequence[Type], message: str) -> tuple[str, ...]:
    tensors = [(a, t) for a, t in zip(call.args, types, strict=True) if isinstance(t, TensorType)]
    dtypes = {t.dtype for _, t in tensors}
    if len(tensors) == 2 and len(dtypes) == 2 and "convert" not in message:
        (_, first), (argument, _) = tensors
        name = _argument_text(argument) or "..."
        return (
            "operators do not convert data types: "
            f'write `cast({name}, dtype="{first.dtype}")` if that is meant',
        )
    return ()
