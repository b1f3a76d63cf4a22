"""Calls that make no sense are refused when they are typed, in words, and never compiled."""

import pytest

from op.record import In, Record
from op.variants import types_of
from relay.ir.expr import Op
from relay.ir.op import Operator
from relay.support.errors import TypeInferenceError

_INDEX = In((2,), "int32")
REFUSED: list[tuple[Record, str]] = [
    (Record("argmax", (In((3, 0)),), {"axis": 1}), "no element to point at"),
    (Record("argmin", (In((0, 3)),)), "no element to point at"),
    (Record("nn.conv2d", (In((1, 3, 5, 5)), In((4, 3, 0, 3)))), "the window must have an element"),
    (Record("nn.conv1d_transpose", (In((1, 3, 5)), In((3, 4, 0)))), "the window must have an"),
    (Record("nn.conv1d_backward_weight", (In((1, 4, 7)), In((2, 3, 9)))), "batch of gradient"),
    (Record("nn.conv1d_backward_weight", (In((2, 4, 0)), In((2, 3, 9)))), "a gradient of size 0"),
    (
        Record("nn.conv1d_backward_weight", (In((2, 4, 9)), In((2, 3, 9))), {"kernel_size": 3}),
        "reach over 11 elements along W, but the padded data has 9",
    ),
    (Record("nn.adaptive_avg_pool1d", (In((1, 2, 0)),), {"output_size": 1}), "no elements to"),
    (Record("nn.pad", (In((2, 0)), In()), {"pad_width": ((0, 0), (1, 0)), "pad_mode": "edge"}),
     "no elements to repeat"),
    (Record("take", (In((0, 3)), _INDEX), {"axis": 0}), "nothing to index"),
    (Record("take", (In((0, 3)), _INDEX)), "nothing to index"),
    (Record("gather", (In((0, 3)), In((2, 3), "int32")), {"axis": 0}), "nothing to index"),
    (Record("gather_nd", (In((0, 3)), In((1, 2), "int32"))), "nothing to index"),
    (Record("gather_nd", (In((2, 3)), In((0, 2), "int32"))), "have no coordinates"),
    (Record("adv_index", ((In((0, 3)), _INDEX),)), "nothing to index"),
    (Record("nn.nll_loss", (In((4, 0)), In((4,), "int32"), In((0,)))), "no class"),
    (Record("einsum", ((In((1, 4)),),), {"equation": "ii->i"}), "in one operand"),
    (Record("variance", (In((1, 3)), In((2, 1))), {"axis": 1}), "a mean that broadcasts to"),
    (Record("nn.bias_add", (In((2, 3), "bool"), In((3,), "bool"))), "a tensor of numbers for data"),
    (Record("sequence_mask", (In((2, 3), "uint8"), _INDEX), {"mask_value": -1.0, "axis": 1}),
     "mask_value -1.0 does not fit into uint8"),
    (Record("sequence_mask", (In((2, 3)), In((3,), "bool"))), "a tensor of numbers for valid"),
    (Record("vision.roi_align", (In((1, 2, 0, 3)), In((1, 5))),
            {"pooled_size": (2, 2), "spatial_scale": 1.0}), "no elements to take regions of"),
    (Record("nn.contrib_conv2d_winograd_weight_transform", (In((2, 2, 3, 3), "int32"),),
            {"tile_size": 4}), "a floating-point tensor for weight"),
    (Record("searchsorted", (In((), "int32"), In((), "int32"))), "expected a vector, or"),
]  # fmt: skip


@pytest.mark.parametrize(("record", "words"), REFUSED, ids=lambda v: str(v))
def test_refused(record: Record, words: str) -> None:
    declaration = Op.get(record.op).declaration(**record.attrs)
    assert isinstance(declaration, Operator)
    with pytest.raises(TypeInferenceError) as caught:
        declaration.call_type(types_of(record.inputs))
    assert words in str(caught.value)
    assert str(caught.value).startswith(record.op)
