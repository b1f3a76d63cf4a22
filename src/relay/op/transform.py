"""Transforming, indexing and creating operators as functions: ``transform.reshape(x, (2, 3))``."""

from collections.abc import Sequence

import numpy as np

from relay.ir.expr import Constant, Expr, ExprLike, Tuple, const
from relay.ir.types import TensorType
from relay.op import dyn as _dyn
from relay.op import dyn_sizes as _dyn_sizes
from relay.op import tensor as _tensor
from relay.op.dynamic import function_or_late
from relay.op.functions import Argument, TupleWrapper, as_argument, function
from relay.op.shapes import Ints, as_ints
from relay.op.tensor import assign as _assign
from relay.op.tensor import bits as _bits
from relay.op.tensor import convert as _convert
from relay.op.tensor import einsum as _einsum
from relay.op.tensor import fixed_point as _fixed_point
from relay.op.tensor import fourier as _fourier
from relay.op.tensor import index as _index
from relay.op.tensor import index_map as _index_map
from relay.op.tensor import init as _init
from relay.op.tensor import join as _join
from relay.op.tensor import lookup as _lookup
from relay.op.tensor import reduce as _reduce
from relay.op.tensor import reshape as _reshape
from relay.op.tensor import scan as _scan
from relay.op.tensor import scatter as _scatter
from relay.op.tensor import selection as _selection
from relay.op.tensor import slicing as _slicing
from relay.op.tensor import sparse as _sparse
from relay.op.tensor import transform as _transform
from relay.op.tensor import unique as _unique
from relay.support.errors import RelayError

cast = function(_convert.Cast)
cast_like = function(_convert.CastLike)
reinterpret = function(_bits.Reinterpret)
reshape = function_or_late(_reshape.Reshape, _dyn.DynReshape)
reshape_like = function(_reshape.ReshapeLike)
reverse_reshape = function(_reshape.ReverseReshape)
squeeze = function_or_late(_reshape.Squeeze, _dyn.DynSqueeze)
expand_dims = function_or_late(_reshape.ExpandDims, _dyn.DynExpandDims)
transpose = function(_reshape.Transpose)
strided_slice = function_or_late(_slicing.StridedSlice, _dyn.DynStridedSlice)
slice_like = function(_slicing.SliceLike)
take = function(_index.Take, own_dtype=("indices",))
auto_scheduler_layout_transform = function(_index_map.AutoSchedulerLayoutTransform)
meta_schedule_layout_transform = function(_index_map.MetaScheduleLayoutTransform)
gather_nd = function(_index.GatherND, own_dtype=("indices",))
one_hot = function_or_late(_index.OneHot, _dyn.DynOneHot, own_dtype=("indices",))
sequence_mask = function(_index.SequenceMask, own_dtype=("valid_length",))
where = function(_transform.Where, own_dtype=("condition",))
tile = function_or_late(_transform.Tile, _dyn.DynTile)
repeat = function(_transform.Repeat)
reverse = function(_transform.Reverse)
reverse_sequence = function(_transform.ReverseSequence, own_dtype=("seq_lengths",))
trilu = function(_transform.Trilu, own_dtype=("k",))
broadcast_to = function_or_late(_transform.BroadcastTo, _dyn.DynBroadcastTo)
broadcast_to_like = function(_transform.BroadcastToLike)
collapse_sum_like = function(_transform.CollapseSumLike)
collapse_sum_to = function(_transform.CollapseSumTo)
full = function_or_late(_init.Full, _dyn.DynFull)
full_like = function(_init.FullLike)
scatter_elements = function(_scatter.ScatterElements, own_dtype=("indices",))
scatter_nd = function(_scatter.ScatterND, own_dtype=("indices",))
argwhere = function(_selection.ArgWhere)
nonzero = function(_selection.NonZero)
take_first = function(_selection.First, own_dtype=("count",))
cumsum = function(_scan.CumSum)
cumprod = function(_scan.CumProd)
adv_index = function(_lookup.AdvIndex)
invert_permutation = function(_lookup.InvertPermutation)
sliding_window = function(_lookup.SlidingWindow)
unravel_index = function(_lookup.UnravelIndex, own_dtype=("shape",))
fixed_point_multiply_per_axis = function(_fixed_point.FixedPointMultiplyPerAxis)


def einsum(data: Argument, equation: str) -> Expr:
    """The sum of products of the tensors `data` that `equation` says; see `Einsum`."""
    return _einsum.Einsum.call(as_argument(data), equation=equation)


def matrix_set_diag(
    data: Expr, diagonal: Expr, k: int | Sequence[int] = 0, align: str = "RIGHT_LEFT"
) -> Expr:
    """Matrices with the diagonal `k`, or those from ``k[0]`` to ``k[1]``, set; see `MatrixSetDiag`.

    `align` says at which side of their row in `diagonal` shorter ones are: those above the main
    diagonal, then those below. Raises `RelayError` where it or `k` is something else.
    """
    lowest, *more = as_ints(k)
    above, _, below = align.partition("_")
    if len(more) > 1 or {above, below} - {"LEFT", "RIGHT"}:
        raise RelayError(
            "matrix_set_diag: expected one or two diagonals, and LEFT or RIGHT twice to align "
            f"them; found {k} and {align!r}"
        )
    return _assign.MatrixSetDiag.call(
        data,
        diagonal,
        k1=lowest,
        k2=more[0] if more else lowest,
        super_diag_right_align=above == "RIGHT",
        sub_diag_right_align=below == "RIGHT",
    )


def strided_set(
    data: Expr, v: Expr, begin: Argument, end: Argument, strides: Argument | None = None
) -> Expr:
    """`data` with ``data[begin:end:strides]`` set to `v`; without `strides` they are 1.

    See `StridedSet`.
    """
    first, last = (_positions(p) for p in (begin, end))
    steps = _tensor.ones_like(first) if strides is None else _positions(strides)
    return _assign.StridedSet.call(data, as_argument(v, data), first, last, steps)


def _positions(value: Argument) -> Expr:
    """A vector of positions, from numbers or an expression."""
    if isinstance(value, Sequence) and not any(isinstance(v, Expr) for v in value):
        return const(np.asarray(value, "int64"))
    return as_argument(value)


def unique(data: Expr, is_sorted: bool = True, return_counts: bool = False) -> TupleWrapper:
    """The different elements, where they first occur, which each is, and their number.

    With `return_counts` also how often each occurs. See `Unique`.
    """
    call = _unique.Unique.call(data, sorted=is_sorted, return_counts=return_counts)
    return TupleWrapper(call, 5 if return_counts else 4)


def unique_rows(data: Expr, is_sorted: bool = True) -> TupleWrapper:
    """The different rows of a matrix, and what `unique` gives besides; see `UniqueRows`."""
    return TupleWrapper(_selection.UniqueRows.call(data, sorted=is_sorted), 5)


def dft(re_data: Expr, im_data: Expr, inverse: bool = False) -> TupleWrapper:
    """Real and imaginary part of the discrete Fourier transform along the last axis; see `DFT`."""
    return TupleWrapper(_fourier.DFT.call(re_data, im_data, inverse=inverse), 2)


def stft(
    data: Expr,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Expr | None = None,
    normalized: bool = False,
    onesided: bool = True,
) -> Expr:
    """The short-time Fourier transform; see `STFT`.

    By default stretches are a quarter of `n_fft` apart, and all samples of one count alike.
    """
    length = n_fft if win_length is None else win_length
    return _fourier.STFT.call(
        data,
        const(np.ones(length, "int32")) if window is None else window,
        n_fft=n_fft,
        hop_length=n_fft // 4 if hop_length is None else hop_length,
        win_length=length,
        normalized=normalized,
        onesided=onesided,
    )


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


def sparse_to_dense(
    sparse_indices: Argument,
    output_shape: Ints | Expr,
    sparse_values: Argument,
    default_value: Argument = 0,
) -> Expr:
    """A tensor of `output_shape` with `sparse_values` at `sparse_indices`; see `SparseToDense`.

    An `output_shape` that is an expression makes it `DynSparseToDense`.
    """
    values = as_argument(sparse_values)
    arguments = [_positions(sparse_indices), values, _alike(default_value, values)]
    if isinstance(output_shape, Expr):
        late = _dyn_sizes.DynSparseToDense()
        return late.decided([*arguments, output_shape])
    return _sparse.SparseToDense.call(*arguments, output_shape=output_shape)


def _alike(value: Argument, like: Expr) -> Expr:
    """`value` as an expression; a number takes the data type of `like`, which may be a constant."""
    found = like.checked_type if isinstance(like, Constant) else None
    if isinstance(value, bool | int | float) and isinstance(found, TensorType):
        return const(value, found.dtype)
    return as_argument(value, like)


def sparse_reshape(
    sparse_indices: Argument, prev_shape: Argument, new_shape: Argument
) -> TupleWrapper:
    """The coordinates of sparse elements in another shape, and that; see `SparseReshape`."""
    arguments = (_positions(v) for v in (sparse_indices, prev_shape, new_shape))
    return TupleWrapper(_sparse.SparseReshape.call(*arguments), 2)


def sparse_fill_empty_rows(
    sparse_indices: Argument,
    sparse_values: Argument,
    dense_shape: Argument,
    default_value: Argument,
) -> TupleWrapper:
    """Coordinates and values with none of the rows empty, and which rows were.

    See `SparseFillEmptyRows`.
    """
    values = as_argument(sparse_values)
    arguments = (_positions(sparse_indices), values, _positions(dense_shape))
    default = _alike(default_value, values)
    return TupleWrapper(_sparse.SparseFillEmptyRows.call(*arguments, default), 3)


def segment_sum(data: Expr, segment_ids: Argument, num_segments: int | Expr | None = None) -> Expr:
    """The sums of the rows of `data` that have one number in the vector `segment_ids`.

    There are `num_segments` sums, or one more than the largest number; those without rows are 0.
    The shape of `data` behind the first dimension has to be known. Raises `RelayError` where it is
    not.
    """
    numbers = _positions(segment_ids)
    found = data.checked_type
    if not isinstance(found, TensorType) or not found.shape:
        raise RelayError(f"segment_sum: expected rows, found {found}")
    rest = found.shape[1:]
    sizes = [d for d in rest if isinstance(d, int)]
    if len(sizes) != len(rest):
        raise RelayError(f"segment_sum: the shape of a row has to be known, found {found}")
    dtype = found.dtype
    if isinstance(num_segments, int):
        zeros: Expr = _init.Zeros.call(shape=(num_segments, *sizes), dtype=dtype)
    else:
        wide = _convert.Cast.call(numbers, dtype="int64")
        count = num_segments if num_segments is not None else _after_last(wide)
        first = reshape(_convert.Cast.call(count, dtype="int64"), (1,))
        shape = _join.Concatenate.call(Tuple([first, const(np.asarray(sizes, "int64"))]), axis=0)
        zeros = _dyn.DynZeros(dtype).decided([shape if sizes else first])
    return scatter_nd(zeros, expand_dims(numbers, 0), data, mode="add")


def _after_last(numbers: Expr) -> Expr:
    """One more than the largest of `numbers`."""
    return _tensor.add(_reduce.Max.call(numbers), const(1, "int64"))


__all__ = [
    "adv_index",
    "arange",
    "argwhere",
    "auto_scheduler_layout_transform",
    "broadcast_to",
    "broadcast_to_like",
    "cast",
    "cast_like",
    "collapse_sum_like",
    "collapse_sum_to",
    "cumprod",
    "cumsum",
    "dft",
    "einsum",
    "expand_dims",
    "fixed_point_multiply_per_axis",
    "full",
    "full_like",
    "gather",
    "gather_nd",
    "invert_permutation",
    "matrix_set_diag",
    "meshgrid",
    "meta_schedule_layout_transform",
    "nonzero",
    "one_hot",
    "reinterpret",
    "repeat",
    "reshape",
    "reshape_like",
    "reverse",
    "reverse_reshape",
    "reverse_sequence",
    "scatter_elements",
    "scatter_nd",
    "segment_sum",
    "sequence_mask",
    "slice_like",
    "sliding_window",
    "sparse_fill_empty_rows",
    "sparse_reshape",
    "sparse_to_dense",
    "split",
    "squeeze",
    "stft",
    "strided_set",
    "strided_slice",
    "take",
    "take_first",
    "tile",
    "transpose",
    "trilu",
    "unique",
    "unique_rows",
    "unravel_index",
    "where",
]
