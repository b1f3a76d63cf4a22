"""Detection: boxes from anchors, the best of boxes that overlap, and the regions under boxes.

``relay.vision.roi_align(data, rois, (7, 7), 0.25)`` makes a call of `ROIAlign`;
`relay.op.functions` says how the functions take their arguments.
"""

from relay.op.functions import function
from relay.op.vision.boxes import MultiBoxPrior, MultiBoxTransformLoc, multibox_transform_loc
from relay.op.vision.class_suppression import (
    AllClassNonMaxSuppression,
    RegularNonMaxSuppression,
    all_class_non_max_suppression,
    regular_non_max_suppression,
)
from relay.op.vision.proposal import Proposal
from relay.op.vision.regions import ROIAlign, ROIPool
from relay.op.vision.reorg import YoloReorg
from relay.op.vision.suppression import (
    GetValidCounts,
    NonMaxSuppression,
    get_valid_counts,
    non_max_suppression,
)

multibox_prior = function(MultiBoxPrior)
proposal = function(Proposal)
roi_align = function(ROIAlign)
roi_pool = function(ROIPool)
yolo_reorg = function(YoloReorg)

__all__ = [
    "AllClassNonMaxSuppression",
    "GetValidCounts",
    "MultiBoxPrior",
    "MultiBoxTransformLoc",
    "NonMaxSuppression",
    "Proposal",
    "ROIAlign",
    "ROIPool",
    "RegularNonMaxSuppression",
    "YoloReorg",
    "all_class_non_max_suppression",
    "get_valid_counts",
    "multibox_prior",
    "multibox_transform_loc",
    "non_max_suppression",
    "proposal",
    "regular_non_max_suppression",
    "roi_align",
    "roi_pool",
    "yolo_reorg",
]
