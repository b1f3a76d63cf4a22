"""Regions between marks, as sets."""

import pytest

import relay
from relay.analysis import AnnotatedRegionSet
from relay.op.annotation import compiler_begin as begin
from relay.op.annotation import compiler_end as end
from relay.support.errors import RelayError

X = relay.var("x", shape=(10, 10))
BEGIN = relay.op.get("annotation.compiler_begin")
END = relay.op.get("annotation.compiler_end")


def test_a_diamond() -> None:
    b1 = begin(X, "toy")
    o1 = relay.abs(b1)
    e1, e2 = end(o1, "toy"), end(o1, "toy")
    b2 = begin(e1, "toy")
    o2 = relay.nn.relu(b2)
    e3 = end(o2, "toy")
    bd = begin(e2, "default")
    middle = relay.tanh(bd)
    ed = end(middle, "default")
    b3, b4 = begin(e3, "toy"), begin(ed, "toy")
    o3 = relay.add(b3, b4)
    e4 = end(o3, "toy")
    regions = AnnotatedRegionSet(relay.Function([X], e4), BEGIN, END)
    assert len(regions) == 4
    assert [r.id for r in regions] == [0, 1, 2, 3]
    wanted = [
        ("toy", [b1], [b1, o1, e1, e2], [e1, e2]),
        ("toy", [b2], [b2, o2, e3], [e3]),
        ("default", [bd], [bd, middle, ed], [ed]),
        ("toy", [b3, b4], [b3, b4, o3, e4], [e4]),
    ]
    for target, args, nodes, rets in wanted:
        region = regions.get_region(args[0])
        assert region is not None
        assert region.target == target
        assert {*region.args} == {*args}
        assert {*region.nodes} == {*nodes}
        assert {*region.rets} == {*rets}
    assert regions.get_region(X) is None
    assert repr(regions.get_region(o2)) == "AnnotatedRegion(1, 'toy', 3 nodes)"


def test_operators_by_name_and_others() -> None:
    assert len(AnnotatedRegionSet(relay.exp(X), BEGIN.name, END.name)) == 0
    with pytest.raises(RelayError, match=r"marked with annotation.compiler_end, found exp"):
        AnnotatedRegionSet(X, BEGIN, "exp")
    with pytest.raises(RelayError, match="overlap"):
        AnnotatedRegionSet(end(relay.exp(begin(X, "a")), "b"), BEGIN, END)
