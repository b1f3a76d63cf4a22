"""Sorting and searching as functions: ``relay.op.algorithm.topk(x, k=5)``."""

from relay.ir.expr import Expr
from relay.op import dyn as _dyn
from relay.op.dynamic import function_or_late
from relay.op.functions import TupleWrapper, function
from relay.op.tensor import sort as _sort

sort = function(_sort.Sort)
argsort = function(_sort.ArgSort)
searchsorted = function(_sort.SearchSorted)
_topk = function_or_late(_sort.TopK, _dyn.DynTopK)


def topk(
    data: Expr,
    k: int | Expr = 1,
    axis: int = -1,
    ret_type: str = "both",
    is_ascend: bool = False,
    dtype: str = "int32",
) -> Expr | TupleWrapper:
    """The `k` largest (or smallest) elements along `axis`; see `TopK`.

    With `ret_type` ``"both"`` the values and their positions, else the one asked for.
    """
    call = _topk(data, k=k, axis=axis, ret_type=ret_type, is_ascend=is_ascend, dtype=dtype)
    return TupleWrapper(call, 2) if ret_type == "both" else call


__all__ = ["argsort", "searchsorted", "sort", "topk"]
