"""Questions about programs: features, type variables, call graphs, parts."""

import pytest

import relay
from pass_helpers import add, chain, tensor
from relay.analysis import (
    CallGraph,
    Feature,
    all_type_vars,
    bound_type_vars,
    check_constant,
    detect_feature,
    extract_intermdeiate_expr,
    free_type_vars,
    search_fc_transpose,
)
from relay.ir.module import IRModule
from relay.support.errors import RelayError

PROGRAM = """
#[version = "0.0.5"]
def @main(%x: int32) -> int32 { add(@even(%x), @twice(%x)) }
def @even(%x: int32) -> int32 { if (less(%x, 1)) { %x } else { @odd(subtract(%x, 1)) } }
def @odd(%x: int32) -> int32 { @even(@twice(%x)) }
def @twice(%x: int32) -> int32 { let %r = ref(%x); add(ref_read(%r), %x) }
"""


def test_features() -> None:
    module = relay.parse(PROGRAM)
    found = detect_feature(module)
    assert {Feature.fIf, Feature.fRefCreate, Feature.fRefRead, Feature.fGlobalVar} <= found
    assert not {Feature.fMatch, Feature.fRefWrite, Feature.fLetRec, Feature.fGraph} & found
    x = tensor("x", 2)
    shared = chain(x, "exp")
    assert Feature.fGraph in detect_feature(add(shared, shared))
    assert detect_feature(x) == {Feature.fVar}
    assert len(Feature) == 17


def test_a_let_that_is_recursive_is_a_feature() -> None:
    text = '#[version = "0.0.5"]\nlet %f = fn (%x: int32) -> int32 { %f(%x) }; %f(1)'
    assert Feature.fLetRec in detect_feature(relay.parse_expr(text))


def test_call_graph() -> None:
    graph = CallGraph(relay.parse(PROGRAM))
    assert graph.callees("main") == ["even", "twice"]
    assert graph.ref_count("even") == 2
    assert graph.global_call_count("odd") == 2
    assert [graph.is_recursive(n) for n in ("main", "even", "odd", "twice")] == [0, 1, 1, 0]
    order = [g.name_hint for g in graph.callees_first()]
    assert order[0] == "twice"
    assert order[-1] == "main"
    assert str(graph).startswith("@main (0 uses)\n  @even x1")


def test_type_variables() -> None:
    a, b = relay.TypeVar("A"), relay.TypeVar("B")
    function = relay.Function([relay.Var("x", a), relay.Var("y", b)], relay.Tuple([]), None, [a])
    assert all_type_vars(function) == [a, b]
    assert bound_type_vars(function) == [a]
    assert free_type_vars(function) == [b]
    type_ = relay.FuncType([a], b, [b])
    assert (all_type_vars(type_), bound_type_vars(type_), free_type_vars(type_)) == (
        [a, b],
        [b],
        [a],
    )


def test_an_inner_expression_as_a_program() -> None:
    x = tensor("x", 2)
    module = IRModule.from_expr(chain(x, "exp", "tanh", "nn.relu"))
    part = extract_intermdeiate_expr(module, 1)
    assert relay.analysis.list_op_freqs(part) == {"exp": 1, "tanh": 1}
    with pytest.raises(RelayError, match="0 to 2"):
        extract_intermdeiate_expr(module, 3)


def test_constants() -> None:
    one = relay.const(1.0)
    assert check_constant(relay.Tuple([one, relay.Tuple([one])]))
    assert not check_constant(add(one, one))


def test_transposed_weights() -> None:
    x, w, v = tensor("x", 1, 2), tensor("w", 2, 3), tensor("v", 3, 2)
    dense = relay.nn.dense(x, relay.transpose(w, axes=[1, 0]))
    assert search_fc_transpose(relay.Tuple([dense, relay.nn.dense(x, v)])) == ["w"]
