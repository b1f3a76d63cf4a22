"""From a program with missing annotations to one that has them all."""

from collections.abc import Mapping, Sequence

from relay.infer.engine import Inference
from relay.infer.report import derive_all, type_error
from relay.ir.expr import Call, Expr, Function, GlobalVar, Var
from relay.ir.kind import kind_error
from relay.ir.module import IRModule
from relay.ir.types import Type, is_complete
from relay.ir.visit import post_order_all
from relay.support.errors import TypeInferenceError


def infer_types(module: IRModule) -> IRModule:
    """`module` with every variable, global variable and function result annotated.

    A module that has all annotations and checks is returned as it is. Raises one
    `TypeInferenceError` that shows every error inside the text of the program.
    """
    functions = module.functions
    check_definitions(module)
    if _is_annotated(functions) and _checks(functions):
        return module
    inference = Inference(functions, module.type_definitions)
    inference.infer_functions()
    if inference.findings:
        raise type_error(functions, inference.findings)
    globals_ = {g.name_hint: _typed_global(g, inference, f) for g, f in functions.items()}
    roots = list(functions.values())
    rebuilt = _rebuild(roots, inference, globals_)
    typed = {
        globals_[g.name_hint]: _as_function(f) for g, f in zip(functions, rebuilt, strict=True)
    }
    late = derive_all(list(typed.values()))
    if late:
        raise type_error(typed, late)
    return module.with_functions(typed)


def infer_expr(expr: Expr) -> Expr:
    """`expr` with every variable and function result annotated; free variables are inferred too.

    Raises one `TypeInferenceError` that shows every error inside the text of the program.
    """
    if expr._type is not None and _annotated([expr]):
        return expr
    inference = Inference()
    inference.infer_expr(expr)
    if inference.findings:
        raise type_error(expr, inference.findings)
    (typed,) = _rebuild([expr], inference, {})
    late = derive_all([typed])
    if late:
        raise type_error(typed, late)
    return typed


def infer_type_local(expr: Expr) -> Type:
    """The type of `expr` alone, from the annotations in it (Relay: ``InferTypeLocal``).

    Raises `TypeInferenceError` when it is ill typed, or too little is annotated.
    """
    return infer_expr(expr).checked_type


def check_definitions(module: IRModule) -> None:
    """Raise `TypeInferenceError` when a type definition of `module` makes no sense."""
    definitions = module.type_definitions
    for name, data in definitions.items():
        problem = kind_error(data, definitions)
        if problem:
            raise TypeInferenceError(f"in the definition of the type {name}: {problem}")


def is_typed(module: IRModule) -> bool:
    """Whether `module` has all annotations and every type in it is derived."""
    functions = module.functions
    return _is_annotated(functions) and all(f._type is not None for f in functions.values())


def _annotated(roots: Sequence[Expr]) -> bool:
    for node in post_order_all(roots):
        if isinstance(node, Var | GlobalVar):
            if not is_complete(node.type_annotation):
                return False
        elif isinstance(node, Function) and not is_complete(node.ret_type):
            return False
    return True


def _is_annotated(functions: Mapping[GlobalVar, Function]) -> bool:
    own = {g.name_hint: g for g in functions}
    if not all(is_complete(g.type_annotation) for g in functions):
        return False
    order = post_order_all(functions.values())
    if any(isinstance(node, GlobalVar) and own.get(node.name_hint) is not node for node in order):
        return False
    return _annotated(list(functions.values()))


def _checks(functions: Mapping[GlobalVar, Function]) -> bool:
    findings = derive_all(list(functions.values()))
    if findings:
        raise type_error(functions, findings)
    return all(f.checked_type == g.type_annotation for g, f in functions.items())


def _typed_global(variable: GlobalVar, inference: Inference, function: Function) -> GlobalVar:
    found = inference.known_type(function)
    if variable.type_annotation == found:
        return variable
    return GlobalVar(variable.name_hint, found, variable.span)


def _as_function(expr: Expr) -> Function:
    assert isinstance(expr, Function)
    return expr


def _rebuild(
    roots: Sequence[Expr], inference: Inference, globals_: Mapping[str, GlobalVar]
) -> list[Expr]:
    """`roots` with all annotations; what has them already stays the same node."""
    done: dict[Expr, Expr] = {}
    for node in post_order_all(roots):
        done[node] = _typed(node, done, inference, globals_)
    return [done[root] for root in roots]


def _typed(
    node: Expr,
    done: Mapping[Expr, Expr],
    inference: Inference,
    globals_: Mapping[str, GlobalVar],
) -> Expr:
    if isinstance(node, Var):
        if is_complete(node.type_annotation):
            return node
        return Var(node.name_hint, inference.known_type(node), node.span)
    if isinstance(node, GlobalVar):
        return globals_.get(node.name_hint, node)
    new = node.rebuild([done[child] for child in node.children()])
    if isinstance(new, Function) and isinstance(node, Function) and not is_complete(node.ret_type):
        body = inference.known_type(node.body)
        return Function(new.params, new.body, body, new.type_params, new.attrs, new.span)
    if isinstance(new, Call) and isinstance(node, Call) and node in inference.type_args:
        type_args = [inference.unifier.full(t) for t in inference.type_args[node]]
        if list(new.type_args) != type_args:
            return Call(new.op, new.args, new.attrs, type_args, new.span)
    return new
