"""`recast`: other data types for chosen operators."""

from collections.abc import Collection, Sequence
from dataclasses import fields, replace

from relay.ir.expr import Call, Expr, Tuple
from relay.ir.op import Operator
from relay.ir.types import TensorType, TupleType
from relay.ir.visit import post_order
from relay.support.errors import RelayError
from relay.transform.calls import declaration, is_call_of, make


def recast(
    expr: Expr,
    dtype: str,
    out_dtype: str,
    ops: Sequence[str] | None = None,
    skip_layers: Collection[int] | None = None,
) -> Expr:
    """Let the operators `ops` (default: ``nn.conv2d``) work on `dtype` and give `out_dtype`.

    Arguments are cast to `dtype`, results back to what they were. `skip_layers` numbers calls of
    `ops` to leave alone, in order of evaluation; negative ones count from the last. Raises
    `RelayError` for an operator without an ``out_dtype`` where `out_dtype` is not `dtype`. With
    ``int8`` and ``int32``::

        nn.conv2d(%x, %w)
        ->
        cast(nn.conv2d(cast(%x, "int8"), cast(%w, "int8"), out_dtype="int32"), "float32")
    """
    names = tuple(ops or ("nn.conv2d",))
    order = post_order(expr)
    layers = [node for node in order if is_call_of(node, *names)]
    skipped = {layers[k] for k in skip_layers or () if -len(layers) <= k < len(layers)}
    chosen = set(layers) - skipped
    done: dict[Expr, Expr] = {}
    for node in order:
        rebuilt = node.rebuild([done[child] for child in node.children()])
        if node in chosen:
            assert isinstance(rebuilt, Call)
            rebuilt = _recast_call(rebuilt, dtype, out_dtype)
        done[node] = rebuilt
    return done[expr]


def _recast_call(call: Call, dtype: str, out_dtype: str) -> Expr:
    found = call.checked_type
    args = [_cast(argument, dtype) for argument in call.args]
    attrs = declaration(call)
    if has_out_dtype(attrs):
        attrs = replace(attrs, out_dtype=out_dtype)  # type: ignore[call-arg]
    elif out_dtype != dtype:
        raise RelayError(
            f"{attrs.name} has no attribute out_dtype: on {dtype} it cannot give {out_dtype}"
        )
    result = Call(call.op, args, attrs, call.type_args, call.span)
    if not isinstance(found, TensorType):
        raise RelayError(f"only operators with one result can be recast, not {attrs.name}")
    return _cast(result, found.dtype)


def has_out_dtype(attrs: Operator) -> bool:
    """Whether the operator can be told the data type of its result."""
    return any(f.name == "out_dtype" for f in fields(attrs))


def _cast(value: Expr, dtype: str) -> Expr:
    """`value`, a tensor or a tuple written out, in `dtype`."""
    found = value.checked_type
    if isinstance(found, TupleType) and isinstance(value, Tuple):
        return Tuple([_cast(field, dtype) for field in value.fields], value.span)
    if not isinstance(found, TensorType):
        raise RelayError(f"expected a tensor to cast to {dtype}, found a value of type {found}")
    return value if found.dtype == dtype else make("cast", value, dtype=dtype)
