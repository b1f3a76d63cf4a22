"""Questions about programs that change nothing."""

from relay.analysis.annotated_regions import AnnotatedRegion, AnnotatedRegionSet
from relay.analysis.call_graph import CallGraph
from relay.analysis.counts import (
    count_layers,
    get_total_mac_number,
    list_op_freqs,
    post_order_visit,
)
from relay.analysis.extraction import (
    check_constant,
    extract_intermdeiate_expr,
    search_fc_transpose,
)
from relay.analysis.features import Feature, detect_feature
from relay.analysis.post_dominators import PostDominator, immediate_post_dominators
from relay.analysis.scopes import check_basic_block_normal_form
from relay.analysis.types import (
    all_type_vars,
    bound_type_vars,
    check_kind,
    free_type_vars,
    unmatched_cases,
)
from relay.analysis.variables import all_dtypes, all_vars, bound_vars, free_vars, well_formed

__all__ = [
    "AnnotatedRegion",
    "AnnotatedRegionSet",
    "CallGraph",
    "Feature",
    "PostDominator",
    "all_dtypes",
    "all_type_vars",
    "all_vars",
    "bound_type_vars",
    "bound_vars",
    "check_basic_block_normal_form",
    "check_constant",
    "check_kind",
    "count_layers",
    "detect_feature",
    "extract_intermdeiate_expr",
    "free_type_vars",
    "free_vars",
    "get_total_mac_number",
    "immediate_post_dominators",
    "list_op_freqs",
    "post_order_visit",
    "search_fc_transpose",
    "unmatched_cases",
    "well_formed",
]
