"""Layouts themselves, and how operators say that they follow a change of layout."""

import pytest

from relay.ir.layout import Layout, LayoutChange
from relay.ir.types import Any
from relay.support.errors import TypeInferenceError

BLOCKED = LayoutChange(Layout("NCHW"), Layout("NCHW8c"))


def test_parts():
    layout = Layout("OIHW4i8o")
    assert str(layout) == "OIHW4i8o"
    assert (layout.rank, layout.letters, layout.is_blocked) == (6, "OIHW", True)
    assert (layout.block("O"), layout.block("I"), layout.block("H")) == (8, 4, 1)
    assert layout.positions("O") == (0, 5)
    assert layout.position("I") == 1
    assert Layout("NCHW").split("C", 16) == Layout("NCHW16c")
    assert Layout("NCHW16c").without("NC") == Layout("HW")
    assert Layout("NCHW16c").with_blocks({"C": 1}) == Layout("NCHW1c")


@pytest.mark.parametrize("name", ["NCHW1", "nchw", "NNHW", "16cNCHW", "NC-HW", "NCHW0c"])
def test_not_a_layout(name):
    with pytest.raises(TypeInferenceError, match="layout"):
        Layout(name)


def test_shapes():
    layout = Layout("NCHW4c8c")
    extents = {"N": Any(), "C": 64, "H": 5, "W": 6}
    assert layout.shape(extents) == (Any(), 2, 5, 6, 4, 8)
    assert layout.extents((Any(), 2, 5, 6, 4, 8)) == extents
    with pytest.raises(TypeInferenceError, match="divisible by 32"):
        layout.shape({**extents, "C": 48})
    with pytest.raises(TypeInferenceError, match="inner axis 8c"):
        layout.extents((1, 2, 5, 6, 4, 16))
    with pytest.raises(TypeInferenceError, match="6 dimensions"):
        layout.extents((1, 2))


def test_components():
    layout = Layout("NCHW4c8c")
    values = ("n", "c", "h", "w", "c4", "c8")
    assert layout.components(values)["C"] == ("c", "c4", "c8")
    assert layout.place(layout.components(values)) == values


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 16, 3, 3), True),
        ((Any(), 16, Any(), 3), True),
        ((16, 1, 1), True),
        ((1, 12, 3, 3), False),
        ((1, Any(), 3, 3), False),
        ((3, 3), False),
        ((1, 1, 16, 3, 3), False),
    ],
)
def test_fits(shape, expected):
    assert BLOCKED.fits(shape) == expected


def test_fits_with_trailing_axes():
    assert LayoutChange(BLOCKED.source, BLOCKED.target, trailing=2).fits((16,))
