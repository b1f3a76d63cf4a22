"""Data types, patterns, references: nodes, walks, text, kinds."""

import base64
import itertools
import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import relay
from relay.ir.exhaustive import missing_patterns
from relay.ir.kind import check_kind
from relay.ir.metadata import MetadataError, load
from relay.ir.parser import parse, parse_expr
from relay.support.errors import ParseError, RelayError, TypeInferenceError, UnsupportedError

INT = relay.TensorType((), "int32")


def list_type() -> tuple[relay.TypeData, relay.Constructor, relay.Constructor]:
    a = relay.TypeVar("A")
    name = relay.GlobalTypeVar("List")
    cons = relay.Constructor("Cons", [a, name(a)], name)
    nil = relay.Constructor("Nil", [], name)
    return relay.TypeData(name, [a], [cons, nil]), cons, nil


def test_a_constructor_is_a_polymorphic_function() -> None:
    data, cons, nil = list_type()
    assert str(cons.checked_type) == "fn [A](A, List[A]) -> List[A]"
    assert cons.type_data is data
    assert cons.tag != nil.tag
    assert str(data) == "type List[A] {\n  Cons(A, List[A]),\n  Nil,\n}"
    assert str(cons(relay.const(1), nil())) == "%0 = Nil;\nCons(1, %0)"
    typed = relay.infer_expr(cons(relay.const(1), nil()))
    assert str(typed.checked_type) == "List[int32]"
    assert typed.type_args == (INT,)


def test_a_definition_is_checked() -> None:
    name, other = relay.GlobalTypeVar("T"), relay.GlobalTypeVar("Other")
    first = relay.Constructor("C", [], name)
    with pytest.raises(RelayError, match="in no definition"):
        _ = first.type_data
    with pytest.raises(RelayError, match="a constructor of T, not of Other"):
        relay.TypeData(other, [], [first])
    with pytest.raises(RelayError, match="two constructors C"):
        relay.TypeData(name, [], [first, relay.Constructor("C", [], name)])
    relay.TypeData(name, [], [first])
    with pytest.raises(RelayError, match="part of another definition"):
        relay.TypeData(name, [], [first])


def test_a_module_knows_its_types() -> None:
    data, cons, nil = list_type()
    module = relay.IRModule()
    module[data.header] = data
    assert module[data.header] is data
    assert data.header in module
    assert module.get_type("List") == (data.header, cons, nil)
    assert module.get_global_type_var("List") == data.header
    assert module.get_constructor(cons.tag) is cons
    assert module.get_constructor("List", "Nil") is nil
    for wrong in (lambda: module.get_type("Lost"), lambda: module.get_constructor("List", "N")):
        with pytest.raises(RelayError, match="it has"):
            wrong()
    with pytest.raises(RelayError, match="cannot be that of"):
        module[relay.GlobalTypeVar("Other")] = data
    copy = module.with_attr("a", 1)
    assert copy.type_definitions == module.type_definitions
    again = parse(module.astext())
    assert relay.structural_equal(again, module)
    assert relay.structural_hash(again) == relay.structural_hash(module)


def test_pattern_variables_are_bound() -> None:
    _, cons, nil = list_type()
    xs, h, t = relay.var("xs"), relay.var("h"), relay.var("t")
    pattern = relay.PatternConstructor(cons, [relay.PatternVar(h), relay.PatternVar(t)])
    rest = relay.Clause(relay.PatternConstructor(nil), relay.const(0))
    match = relay.Match(xs, [relay.Clause(pattern, h + relay.const(1)), rest])
    assert relay.analysis.free_vars(match) == [xs]
    assert relay.analysis.bound_vars(match) == [h, t]
    assert relay.analysis.well_formed(relay.Function([xs], match))
    assert not relay.analysis.well_formed(relay.Tuple([match, h]))
    swapped = relay.bind(match, {xs: relay.var("m"), h: relay.var("x")})
    assert isinstance(swapped, relay.Match)
    assert str(swapped.clauses[0].lhs) == "Cons(%x, %t)"
    assert swapped.clauses[1] is not rest
    assert relay.structural_equal(match, swapped, map_free_vars=True)
    assert relay.ir.visit.rewrite(match, lambda e: e) is match
    other = relay.Match(xs, match.clauses, complete=False)
    assert not relay.structural_equal(match, other)
    assert "match?" in str(other)


def test_visitors_see_the_new_nodes() -> None:
    seen: list[str] = []

    class Visitor(relay.ExprVisitor):
        def visit_match(self, m: relay.Match) -> None:
            seen.append("match")
            super().visit_match(m)

        def visit_constructor(self, c: relay.Constructor) -> None:
            seen.append(c.name_hint)

        def visit_ref_write(self, r: relay.RefWrite) -> None:
            seen.append("write")
            super().visit_ref_write(r)

        def visit_ref_create(self, r: relay.RefCreate) -> None:
            seen.append("create")

        def visit_ref_read(self, r: relay.RefRead) -> None:
            seen.append("read")

    _, cons, nil = list_type()
    r = relay.var("r")
    clauses = [relay.Clause(relay.PatternWildcard(), relay.RefWrite(r, relay.RefRead(r)))]
    match = relay.Match(cons(relay.RefCreate(relay.const(1)), nil()), clauses)
    Visitor().visit(match)
    assert sorted(seen) == ["Cons", "Nil", "create", "match", "read", "write"]

    class Increment(relay.ExprMutator):
        def visit_constant(self, const: relay.Constant) -> relay.Expr:
            return relay.const(2)

    assert "ref(2)" in str(Increment().visit(match))
    assert relay.ExprMutator().visit(match) is match


def test_type_visitors() -> None:
    data, _, _ = list_type()
    found: list[relay.Type] = []

    class Tensors(relay.TypeVisitor):
        def visit_tensor_type(self, tt: relay.TensorType) -> None:
            found.append(tt)

    nested = relay.FuncType([relay.RefType(INT)], data.header(relay.TupleType([INT])))
    Tensors().visit(nested)
    assert found == [INT, INT]

    class Widen(relay.TypeMutator):
        def visit_tensor_type(self, tt: relay.TensorType) -> relay.Type:
            return relay.TensorType(tt.shape, "int64")

    assert str(Widen().visit(nested)) == "fn (ref(int64)) -> List[(int64,)]"
    assert relay.TypeMutator().visit(nested) is nested


# ---------------------------------------------------------------------- exhaustiveness

A_NAME = relay.GlobalTypeVar("Three")
THREE = [relay.Constructor(n, [], A_NAME) for n in ("One", "Two", "Both")]
relay.TypeData(A_NAME, [], THREE)


def three_or_wild() -> st.SearchStrategy[relay.Pattern]:
    constructors = st.sampled_from(THREE).map(relay.PatternConstructor)
    return st.one_of(constructors, st.builds(relay.PatternWildcard))


def covers(pattern: relay.Pattern, value: tuple[relay.Constructor, ...]) -> bool:
    parts = pattern.children() or tuple(relay.PatternWildcard() for _ in value)
    return all(
        not isinstance(p, relay.PatternConstructor) or p.constructor is v
        for p, v in zip(parts, value, strict=True)
    )


@given(st.lists(st.tuples(three_or_wild(), three_or_wild()).map(relay.PatternTuple), max_size=9))
def test_missing_patterns_cover_exactly_what_is_left(rows: list[relay.Pattern]) -> None:
    missing = missing_patterns(rows)
    for value in itertools.product(THREE, THREE):
        left_out = not any(covers(row, value) for row in rows)
        assert left_out == any(covers(pattern, value) for pattern in missing)


def test_too_many_patterns_are_refused() -> None:
    # Row j says something about field j alone, so that every choice has to be looked at.
    wide = 40
    only = relay.PatternConstructor(THREE[0])
    rows = [
        relay.PatternTuple([only if i == j else relay.PatternWildcard() for i in range(wide)])
        for j in range(wide)
    ]
    assert len(missing_patterns(rows)) == 16
    pairs = [
        relay.PatternTuple(
            [relay.PatternConstructor(c) if i == j else relay.PatternWildcard() for i in range(20)]
        )
        for j in range(20)
        for c in THREE[: 3 if j == 19 else 1]
    ]
    with pytest.raises(UnsupportedError, match=r"use match\? instead"):
        missing_patterns(pairs)


def test_deep_patterns() -> None:
    _, cons, nil = list_type()
    pattern: relay.Pattern = relay.PatternConstructor(nil)
    for _ in range(3000):
        pattern = relay.PatternConstructor(cons, [relay.PatternWildcard(), pattern])
    assert len(missing_patterns([pattern])) == 16
    assert len(str(pattern)) > 3000


# ---------------------------------------------------------------------- types


def test_kinds() -> None:
    data, _, _ = list_type()
    module = relay.IRModule({}, {data.header: data})
    assert check_kind(data.header(INT), module) == relay.TypeKind.Type
    assert relay.analysis.check_kind(data.header) == relay.TypeKind.AdtHandle
    assert check_kind(data) == relay.TypeKind.TypeData
    for wrong, message in (
        (relay.TupleType([data.header]), "expected a type inside"),
        (data.header(), "List takes 1 type arguments, found 0"),
        (relay.GlobalTypeVar("Lits")(INT), "did you mean `List`"),
        (relay.TypeCall(INT, [INT]), "only a data type takes type arguments"),
        (relay.RefType(relay.ShapeVar("s")), "a shape"),
    ):
        with pytest.raises(TypeInferenceError, match=message):
            check_kind(wrong, module)
    x = relay.var("x", relay.GlobalTypeVar("Lits")(INT))
    module["main"] = relay.Function([x], x)
    with pytest.raises(TypeInferenceError, match="the module has no type Lits"):
        relay.infer_types(module)


def test_polymorphic_types_are_equal_up_to_names() -> None:
    def identity() -> relay.FuncType:
        a = relay.TypeVar("a")
        return relay.FuncType([a], a, [a])

    assert identity() == identity()
    assert hash(identity()) == hash(identity())
    a, b = relay.TypeVar("a"), relay.TypeVar("b")
    assert identity() != relay.FuncType([a], b, [a])
    assert identity() != relay.FuncType([INT], INT)
    assert relay.ir.types.compatible(relay.FuncType([INT], INT), identity())
    assert not relay.ir.types.compatible(relay.FuncType([INT], relay.RefType(INT)), identity())


def test_named_sizes() -> None:
    n, m = relay.SizeVar("n"), relay.SizeVar("m")
    assert n == relay.SizeVar("n") != m
    assert isinstance(n, relay.Any)
    assert str(relay.TensorType((n, 3))) == "Tensor[(n, 3), float32]"
    assert relay.ty.is_dynamic(relay.TupleType([relay.TensorType((n,))]))
    assert not relay.ty.is_dynamic(INT)


# ---------------------------------------------------------------------- text


def test_a_text_may_use_a_module() -> None:
    data, _, _ = list_type()
    base = relay.IRModule({}, {data.header: data})
    x = relay.var("x", INT)
    base["inc"] = relay.Function([x], x + relay.const(1))
    text = '#[version = "0.0.5"]\ndef @main(%x: int32) { Cons(@inc(%x), Nil) }'
    module = relay.parse(text, init_module=base)
    assert str(module["main"].ret_type) == "List[int32]"
    assert isinstance(parse_expr("Cons(1, Nil)", init_module=base), relay.Call)
    with pytest.raises(ParseError, match="no function @inc"):
        relay.parse(text.replace("Cons(@inc(%x), Nil)", "@inc(%x)"))
    table = {"relay.Constant": [relay.const([1, 2])]}
    text = '#[version = "0.0.5"]\ndef @main() { meta[relay.Constant][0] }'
    module = relay.parse(text, init_meta_table=table)
    assert module["main"].body is table["relay.Constant"][0]


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("match (1) { _ { 1 } }", "expected `=>` after the pattern"),
        ("match (1) { 1 => { 1 } }", "expected a pattern"),
        ("match (1) { _ => 1 }", "expected `{` before the value of a clause"),
        ("match (1) { " + "(" * 200, "nest at most"),
        ("ref(1, 2)", "ref takes 1 arguments, found 2"),
        ("ref_write(1)", "ref_write takes 2 arguments, found 1"),
        ("free_var %x: int32 %x", "expected `;` after the declaration"),
    ],
)
def test_errors_say_what_is_wrong(text: str, fragment: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_expr(text)
    assert fragment in str(caught.value)


def record(array: np.ndarray, code: int, *, magic: int = 0xDD5E40F096B4A13F) -> str:
    head = struct.pack("<QQiiiBBH", magic, 0, 1, 0, array.ndim, code, array.dtype.itemsize * 8, 1)
    shape = struct.pack(f"<{array.ndim + 1}q", *array.shape, array.nbytes)
    return base64.b64encode(head + shape + array.tobytes()).decode()


def node_graph(*encoded: str) -> str:
    nodes = [
        {"type_key": ""},
        {"type_key": "Map", "keys": ["relay.Constant"], "data": [2]},
        {"type_key": "Array", "data": [3 + i for i in range(len(encoded))]},
        *({"type_key": "relay.Constant", "attrs": {"data": str(i)}} for i in range(len(encoded))),
    ]
    return json.dumps({"root": 1, "nodes": nodes, "b64ndarrays": list(encoded)})


def test_the_metadata_of_the_first_implementation_is_read() -> None:
    weights = np.arange(6, dtype="float32").reshape(2, 3)
    text = node_graph(record(weights, 2), record(np.asarray([1, 2], "int64"), 0))
    first, second = load(text)
    assert first.data.numpy().tolist() == weights.tolist()
    assert second.data.dtype == "int64"
    module = relay.parse(f"v0.0.4\ndef @main() {{ meta[relay.Constant][1] }}\n\nMETADATA:\n{text}")
    assert module["main"].body.data.numpy().tolist() == [1, 2]


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        (node_graph(record(np.zeros(2, "float32"), 2, magic=1)), "is no array"),
        (node_graph(record(np.zeros(2, "float32"), 3)), "cannot be read"),
        (node_graph(record(np.zeros(2, "float32"), 2)[:-8]), "takes 8 bytes"),
        (node_graph("AAAA"), "ends too early"),
        (node_graph("*"), "not base64"),
        ('{"root": 7, "nodes": []}', "has no node 7"),
        ('{"root": 0, "nodes": [{"keys": ["Other"], "data": [0]}]}', "holds Other"),
    ],
)
def test_the_metadata_is_checked(text: str, fragment: str) -> None:
    with pytest.raises(MetadataError, match=fragment):
        load(text)
