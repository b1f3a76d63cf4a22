"""What the gradient column of the operator matrix needs: finite differences, and smooth points."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from op.record import Array, In, Record
from relay import dtypes
from relay.ir.expr import Call, Constant, Expr, Function, If, Op, Tuple, TupleGetItem, Var
from relay.ir.op import Operator
from relay.ir.types import TensorType
from relay.ir.visit import post_order

#: Where finite differences are taken, for operators that are not smooth everywhere in their range.
RANGES: Mapping[str, tuple[float, float]] = {
    "sqrt": (0.3, 4.0), "log": (0.3, 4.0), "log2": (0.3, 4.0), "log10": (0.3, 4.0),
    "rsqrt": (0.3, 4.0), "acos": (-0.8, 0.8), "asin": (-0.8, 0.8), "acosh": (1.3, 4.0),
    "atanh": (-0.8, 0.8), "tan": (-1.2, 1.2), "power": (0.4, 2.0), "cumprod": (0.5, 2.0),
    "nn.cross_entropy": (0.2, 1.0),
}  # fmt: skip

STEP = 1e-5


def as_float64(record: Record) -> Record | None:
    """`record` with its floating-point inputs in float64 at smooth points; None without any."""
    low_high = RANGES.get(record.op)

    def widened(spec: In) -> In:
        if not dtypes.is_float(spec.dtype):
            return spec
        values = spec.values
        if values is not None and not np.all(np.isfinite(np.asarray(values))):
            values = None
        shape = spec.shape if spec.values is None else np.shape(spec.values)
        low, high = low_high or (spec.low, spec.high)
        return In(shape, "float64", low, high, None if low_high else values)

    inputs = tuple(
        tuple(widened(f) for f in i) if isinstance(i, tuple) else widened(i) for i in record.inputs
    )
    flat = [f for i in inputs for f in (i if isinstance(i, tuple) else (i,))]
    if not any(dtypes.is_float(f.dtype) and np.size(f.make(np.random.default_rng())) for f in flat):
        return None
    attrs = dict(record.attrs)
    for name in ("dtype", "out_dtype"):
        if attrs.get(name) in ("float32", "float16"):
            attrs[name] = "float64"
    return Record(record.op, inputs, attrs, record.tolerance, record.note)


def evaluate(root: Expr, values: Mapping[Expr, object]) -> object:
    """The value of a program of operators by their references."""
    found: dict[Expr, object] = dict(values)
    for node in post_order(root):
        if node in found:
            continue
        match node:
            case Constant():
                found[node] = node.data.numpy()
            case Tuple():
                found[node] = tuple(found[f] for f in node.fields)
            case TupleGetItem():
                found[node] = found[node.tuple_value][node.index]
            case If():
                chosen = node.true_branch if found[node.cond] else node.false_branch
                found[node] = found[chosen]
            case Call(op=Op()):
                assert isinstance(node.attrs, Operator)
                found[node] = node.attrs.reference(*(found[a] for a in node.args))
            case Function():
                pass
            case _:
                raise TypeError(type(node).__name__)
    return found[root]


def differences(
    function: Callable[..., float], arrays: Sequence[Array], chosen: Sequence[bool]
) -> list[Array]:
    """Central finite differences of `function` by every element of the `chosen` arrays."""
    found: list[Array] = []
    for k, array in enumerate(arrays):
        slope = np.zeros(array.shape)
        if chosen[k]:
            for place in np.ndindex(*array.shape):
                sides: list[float] = []
                for sign in (1, -1):
                    moved = np.array(array)
                    moved[place] += sign * STEP
                    sides.append(function(*(moved if j == k else a for j, a in enumerate(arrays))))
                slope[place] = (sides[0] - sides[1]) / (2 * STEP)
        found.append(slope)
    return found


def weights_of(types: Sequence[TensorType]) -> list[Array]:
    """Random factors for the elements of a result: the number whose gradients are checked."""
    random = np.random.default_rng(7)
    return [random.uniform(0.5, 1.5, t.concrete_shape) for t in types]


def variables_with(variables: Sequence[Var], arrays: Sequence[Array]) -> dict[Expr, object]:
    """The arrays by the variables that they are values of."""
    return dict(zip(variables, arrays, strict=True))
