"""Transforming, indexing and creating operators as functions: ``transform.reshape(x, (2, 3))``."""

from collections.abc import Sequence

from relay.ir.expr import Constant, Expr, ExprLike
from relay.op import dyn as _dyn
from relay.op.functions import Argument, TupleWrapper, as_argument, function
from relay.op.shapes import Ints, as_ints
from relay.op.tensor import convert as _convert
from relay.op.tensor import index as _index
from relay.op.tensor import init as _init
from relay.op.tensor import join as _join
from relay.op.tensor import reshape as _reshape
from relay.op.tensor import scan as _scan
from relay.op.tensor import scatter as _scatter
from relay.op.tensor import slicing as _slicing
from relay.op.tensor import transform as _transform
from relay.support.errors import RelayError

cast = function(_convert.Cast)
cast_like = function(_convert.CastLike)
reshape = _dyn.function_or_late(_reshape.Reshape, _dyn.DynReshape)
reshape_like = function(_reshape.ReshapeLike)
reverse_reshape = function(_reshape.ReverseReshape)
squeeze = _dyn.function_or_late(_reshape.Squeeze, _dyn.DynSqueeze)
expand_dims = _dyn.function_or_late(_reshape.ExpandDims, _dyn.DynExpandDims)
transpose = function(_reshape.Transpose)
strided_slice = _dyn.function_or_late(_slicing.StridedSlice, _dyn.DynStridedSlice)
slice_like = function(_slicing.SliceLike)
take = function(_index.Take, own_dtype=("indices",))
gather_nd = function(_index.GatherND, own_dtype=("indices",))
one_hot = _dyn.function_or_late(_index.OneHot, _dyn.DynOneHot, own_dtype=("indices",))
sequence_mask = function(_index.SequenceMask, own_dtype=("valid_length",))
where = function(_transform.Where, own_dtype=("condition",))
tile = _dyn.function_or_late(_transform.Tile, _dyn.DynTile)
repeat = function(_transform.Repeat)
reverse = function(_transform.Reverse)
reverse_sequence = function(_transform.ReverseSequence, own_dtype=("seq_lengths",))
trilu = function(_transform.Trilu, own_dtype=("k",))
broadcast_to = _dyn.function_or_late(_transform.BroadcastTo, _dyn.DynBroadcastTo)
broadcast_to_like = function(_transform.BroadcastToLike)
collapse_sum_like = function(_transform.CollapseSumLike)
collapse_sum_to = function(_transform.CollapseSumTo)
full = _dyn.function_or_late(_init.Full, _dyn.DynFull)
full_like = function(_init.FullLike)
scatter_elements = function(_scatter.ScatterElements, own_dtype=("indices",))
scatter_nd = function(_scatter.ScatterND, own_dtype=("indices",))
argwhere = function(_scatter.ArgWhere)
cumsum = function(_scan.CumSum)
cumprod = function(_scan.CumProd)


def gather(data: Expr, axis: int, indices: Argument) -> Expr:
    """``out[.., i, ..] = data[.., indices[.., i, ..], ..]`` along `axis`; see `Gather`."""
    return _index.Gather.call(data, as_argument(indices), axis=axis)


def split(data: Expr, indices_or_sections: Ints, axis: int = 0) -> TupleWrapper:
    """The parts of `data` along `axis`: so many equal ones, or cut at the given positions.

    Raises `RelayError` for a number of parts below one.
    """
    cuts = indices_or_sections
    if isinstance(cuts, int):
        if cuts < 1:
            raise RelayError(f"split: expected one part or more, found {cuts}")
        return TupleWrapper(_join.Split.call(data, indices_or_sections=cuts, axis=axis), cuts)
    positions = as_ints(cuts)
    call = _join.Split.call(data, indices_or_sections=positions, axis=axis)
    return TupleWrapper(call, len(positions) + 1)


def meshgrid(data: Argument, indexing: str = "ij") -> TupleWrapper:
    """The coordinates of a grid from vectors, one tensor each; see `Meshgrid`.

    Raises `RelayError` when `data` is neither a sequence nor a tuple expression.
    """
    vectors = as_argument(data)
    if isinstance(data, Sequence):
        count = len(data)
    elif vectors.children():
        count = len(vectors.children())
    else:
        raise RelayError("meshgrid: expected a sequence of vectors")
    return TupleWrapper(_join.Meshgrid.call(vectors, indexing=indexing), count)


def _number(value: ExprLike, what: str) -> float:
    if isinstance(value, Constant):
        return value.data.numpy().item()  # type: ignore[no-any-return]
    if isinstance(value, bool | int | float):
        return value
    raise RelayError(
        f"arange: {what} must be a number or a constant, so that the size is known; found "
        f"{type(value).__name__}"
    )


def arange(
    start: ExprLike,
    stop: ExprLike | None = None,
    step: ExprLike | None = None,
    dtype: str = "float32",
) -> Expr:
    """The vector ``start, start + step, ..`` up to `stop`, left out; one number alone is `stop`.

    Raises `RelayError` when a limit is not known before run time.
    """
    first, last = (0.0, start) if stop is None else (_number(start, "start"), stop)
    by = 1 if step is None else _number(step, "step")
    return _init.Arange.call(start=first, stop=_number(last, "stop"), step=by, dtype=dtype)


__all__ = [
    "arange",
    "argwhere",
    "broadcast_to",
    "broadcast_to_like",
    "cast",
    "cast_like",
    "collapse_sum_like",
    "collapse_sum_to",
    "cumprod",
    "cumsum",
    "expand_dims",
    "full",
    "full_like",
    "gather",
    "gather_nd",
    "meshgrid",
    "one_hot",
    "repeat",
    "reshape",
    "reshape_like",
    "reverse",
    "reverse_reshape",
    "reverse_sequence",
    "scatter_elements",
    "scatter_nd",
    "sequence_mask",
    "slice_like",
    "split",
    "squeeze",
    "strided_slice",
    "take",
    "tile",
    "transpose",
    "trilu",
    "where",
]
