"""Which operators graphs may hold, and which of their arguments decide about sizes."""

from collections.abc import Sequence

from relay.ir.expr import Call, Expr, Op
from relay.ir.module import IRModule
from relay.ir.op import Operator
from relay.ir.visit import post_order_all
from relay.op.dyn import DynamicOperator
from relay.support.errors import UnsupportedError


def check_operators(module: IRModule) -> None:
    """Raise `UnsupportedError` naming all operators of `module` that have no compiled form."""
    missing: dict[str, str] = {}
    for node in post_order_all(module.functions.values()):
        if lacks_code(node):
            assert isinstance(node, Call)
            assert isinstance(node.attrs, Operator)
            reason = node.attrs.missing.get("compute", "unknown reason")
            missing.setdefault(node.attrs.name, reason)
    if missing:
        found = "; ".join(f"{name} ({reason})" for name, reason in missing.items())
        raise UnsupportedError(
            f'these operators have no compiled form: {found}. The executor "debug" runs them'
        )


def lacks_code(node: Expr) -> bool:
    """Whether a node calls what graphs cannot hold.

    A ``dyn`` operator is decided when its graph is compiled.
    """
    if not (isinstance(node, Call) and isinstance(node.op, Op)):
        return False
    attrs = node.attrs
    return not isinstance(attrs, DynamicOperator) and not (
        isinstance(attrs, Operator) and "compute" not in attrs.missing
    )


def late_arguments(call: Call) -> Sequence[Expr]:
    """The arguments of a ``dyn`` operator that decide about sizes."""
    attrs = call.attrs
    if not isinstance(attrs, DynamicOperator):
        return ()
    named = dict(zip(attrs.inputs, call.args, strict=True))
    return [named[name] for name in attrs.late]
