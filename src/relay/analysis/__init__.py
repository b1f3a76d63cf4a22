"""Questions about programs that change nothing."""

from relay.analysis.counts import (
    count_layers,
    get_total_mac_number,
    list_op_freqs,
    post_order_visit,
)
from relay.analysis.post_dominators import PostDominator, immediate_post_dominators
from relay.analysis.types import bound_type_vars, check_kind, free_type_vars, unmatched_cases
from relay.analysis.variables import all_dtypes, all_vars, bound_vars, free_vars, well_formed

__all__ = [
    "PostDominator",
    "all_dtypes",
    "all_vars",
    "bound_type_vars",
    "bound_vars",
    "check_kind",
    "count_layers",
    "free_type_vars",
    "free_vars",
    "get_total_mac_number",
    "immediate_post_dominators",
    "list_op_freqs",
    "post_order_visit",
    "unmatched_cases",
    "well_formed",
]
