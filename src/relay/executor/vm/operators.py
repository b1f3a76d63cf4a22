"""Which operators graphs may hold, which run on the host, and which arguments decide on sizes."""

from collections.abc import Sequence

from relay import dtypes
from relay.ir.expr import Call, Expr, Op
from relay.ir.module import IRModule
from relay.ir.op import Operator
from relay.ir.types import TensorType, TupleType, Type
from relay.ir.visit import post_order_all
from relay.op.dynamic import DynamicOperator
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

    A ``dyn`` operator is decided when its graph is compiled; the host needs no code.
    """
    if not (isinstance(node, Call) and isinstance(node.op, Op)):
        return False
    attrs = node.attrs
    if runs_on_host(node):
        return not isinstance(attrs, Operator) or "reference" in attrs.missing
    return not isinstance(attrs, DynamicOperator) and not (
        isinstance(attrs, Operator) and "compute" not in attrs.missing
    )


def runs_on_host(call: Call) -> bool:
    """Whether an operator is called that runs on the host, or any that takes or gives text."""
    if isinstance(call.attrs, Operator) and call.attrs.host:
        return True
    return any(holds_text(e.checked_type) for e in (call, *call.args))


def holds_text(type_: Type) -> bool:
    """Whether `type_` is that of a tensor of text, or of a tuple that has one in it."""
    stack = [type_]
    while stack:
        found = stack.pop()
        if isinstance(found, TensorType) and found.dtype == dtypes.STRING:
            return True
        if isinstance(found, TupleType):
            stack.extend(found.fields)
    return False


def late_arguments(call: Call) -> Sequence[Expr]:
    """The arguments of a ``dyn`` operator that decide about sizes."""
    attrs = call.attrs
    return attrs.late_arguments(call.args) if isinstance(attrs, DynamicOperator) else ()
