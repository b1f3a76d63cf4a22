"""The prelude, `ScopeBuilder`, `while_loop` and the `...WithFields` functions."""

import numpy as np
import pytest

import relay
from relay.executor.interpreter import ConstructorValue
from relay.prelude import FUNCTIONS
from relay.support.errors import RelayError
from relay.testing import nat

P = nat.NatPrelude()
INT = relay.TensorType((), "int32")


def plain(value: object) -> object:
    """A value as Python data: lists as lists, other data types as tuples with a name."""
    if isinstance(value, ConstructorValue):
        if value.constructor.name_hint in ("Cons", "Nil"):
            items = []
            while value.fields:
                head, value = value.fields
                items.append(plain(head))
            return items
        return (value.constructor.name_hint, *map(plain, value.fields))
    return tuple(map(plain, value)) if isinstance(value, tuple) else value.numpy().tolist()


def value(expr: relay.Expr) -> object:
    module = relay.IRModule(P.mod.functions, P.mod.type_definitions)
    module["main"] = relay.Function([], expr)
    return relay.create_executor("debug", mod=relay.infer_types(module)).evaluate()()


def run(expr: relay.Expr) -> object:
    return plain(value(expr))


def items(*numbers: int) -> relay.Expr:
    found = P.nil()
    for number in reversed(numbers):
        found = P.cons(relay.const(number), found)
    return found


def function(body, *types: relay.Type) -> relay.Function:
    params = [relay.var(f"p{i}", t) for i, t in enumerate(types)]
    return relay.Function(params, body(*params))


ADD = function(lambda x, y: x + y, INT, INT)
SUBTRACT = function(lambda x, y: x - y, INT, INT)
INCREMENT = function(lambda x: x + relay.const(1), INT)
KEEP = function(lambda x: relay.less(relay.const(1), x), INT)
STEP = function(lambda state, x: relay.Tuple([state + x, state]), INT, INT)
COUNT_DOWN = function(
    lambda n: relay.If(
        relay.equal(n, relay.const(0)), P.none(), P.some(relay.Tuple([n - relay.const(1), n]))
    ),
    INT,
)
TREE = P.rose(relay.const(1), P.cons(P.rose(relay.const(2), P.nil()), P.nil()))

CASES = {
    "id": (lambda: P.id(relay.const(3)), 3),
    "compose": (lambda: P.compose(INCREMENT, INCREMENT)(relay.const(3)), 5),
    "flip": (lambda: P.flip(SUBTRACT)(relay.const(1), relay.const(5)), 4),
    "iterate": (lambda: P.iterate(INCREMENT, relay.const(4))(relay.const(0)), 4),
    "hd": (lambda: P.hd(items(1, 2)), 1),
    "tl": (lambda: P.tl(items(1, 2, 3)), [2, 3]),
    "nth": (lambda: P.nth(items(5, 6, 7), relay.const(2)), 7),
    "length": (lambda: P.length(items(5, 6, 7)), 3),
    "update": (lambda: P.update(items(1, 2, 3), relay.const(1), relay.const(9)), [1, 9, 3]),
    "map": (lambda: P.map(INCREMENT, items(1, 2)), [2, 3]),
    "foldl": (lambda: P.foldl(SUBTRACT, relay.const(10), items(1, 2)), 7),
    "foldr": (lambda: P.foldr(SUBTRACT, relay.const(10), items(1, 2)), 9),
    "foldr1": (lambda: P.foldr1(SUBTRACT, items(9, 5, 1)), 5),
    "sum": (lambda: P.sum(items(1, 2, 3)), 6),
    "concat": (lambda: P.concat(items(1), items(2, 3)), [1, 2, 3]),
    "filter": (lambda: P.filter(KEEP, items(1, 2, 0, 3)), [2, 3]),
    "zip": (lambda: P.zip(items(1, 2), items(3, 4, 5)), [(1, 3), (2, 4)]),
    "rev": (lambda: P.rev(items(1, 2, 3)), [3, 2, 1]),
    "map_accumr": (lambda: P.map_accumr(STEP, relay.const(0), items(1, 2, 3)), (6, [5, 3, 0])),
    "map_accuml": (lambda: P.map_accuml(STEP, relay.const(0), items(1, 2, 3)), (6, [3, 1, 0])),
    "unfoldl": (lambda: P.unfoldl(COUNT_DOWN, relay.const(3)), [1, 2, 3]),
    "unfoldr": (lambda: P.unfoldr(COUNT_DOWN, relay.const(3)), [3, 2, 1]),
    "tmap": (lambda: P.tmap(INCREMENT, TREE), ("Rose", 2, [("Rose", 3, [])])),
    "size": (lambda: P.size(TREE), 2),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_of_the_prelude(name: str) -> None:
    make, expected = CASES[name]
    assert run(make()) == expected


def test_the_prelude_is_added_once() -> None:
    module = relay.IRModule()
    first, second = relay.Prelude(module), relay.Prelude(module)
    assert first.cons is second.cons
    assert relay.infer_types(module) is module
    assert first.get_type("List") == (first.l, first.cons, first.nil)
    assert first.get_ctor("Tree", "Rose") is first.rose
    assert first.get_global_var("map") is first.map
    typed = relay.parse(module.astext())
    assert relay.structural_equal(typed, module)
    own = relay.IRModule({relay.GlobalVar("map"): relay.Function([], relay.const(1))})
    with pytest.raises(RelayError, match=r"@map of its own"):
        relay.Prelude(own)
    with pytest.raises(RelayError, match=r"no file 'preludes\.rly'"):
        module.import_from_std("preludes.rly")
    module.import_from_std("core.rly")
    assert "extern type Storage" in str(module)


def test_natural_numbers() -> None:
    three = nat.make_nat_expr(P, 3)
    assert nat.count(P, value(P.add(three, P.double(nat.make_nat_expr(P, 4))))) == 11
    assert nat.count(P, nat.make_nat_value(P, 5)) == 5
    assert run(P.nat_iterate(INCREMENT, three)(relay.const(1))) == 4
    with pytest.raises(ValueError, match="not negative"):
        nat.make_nat_expr(P, -1)


@pytest.mark.parametrize("depth", [10_000])
def test_recursion_and_data_of_great_depth(depth: int) -> None:
    text = """#[version = "0.0.5"]
    def @count(%n: int32) -> List[int32] {
      if (equal(%n, 0)) { Nil } else { Cons(%n, @count(subtract(%n, 1))) }
    }
    def @main(%n: int32) { (@length(@count(%n)), @sum(@count(%n)), @count(%n)) }
    """
    module = relay.parse(text, init_module=relay.IRModule.library("prelude.rly"))
    main = relay.create_executor("debug", mod=module).evaluate()
    length, total, numbers = main(depth)
    assert (int(length.numpy()), int(total.numpy())) == (depth, depth * (depth + 1) // 2)
    assert plain(numbers) == list(range(depth, 0, -1))
    assert repr(numbers).startswith("Cons(")


def test_values_go_in_and_out() -> None:
    xs = relay.var("xs", P.l(INT))
    module = relay.IRModule(P.mod.functions, P.mod.type_definitions)
    module["main"] = relay.Function([xs], P.tl(xs))
    main = relay.create_executor("debug", mod=relay.infer_types(module)).evaluate()
    assert plain(main(value(items(1, 2)))) == [2]
    with pytest.raises(RelayError, match="no clause of the match covers a value of Nil"):
        main(value(P.tl(items(1))))


def test_references_are_shared() -> None:
    r, s, ignored = relay.var("r"), relay.var("s"), relay.var("i")
    body = relay.Tuple([relay.RefRead(r), relay.RefRead(s)])
    program = relay.Let(ignored, relay.RefWrite(s, relay.const(2)), body)
    program = relay.Let(r, relay.RefCreate(relay.const(1)), relay.Let(s, r, program))
    assert run(program) == (2, 2)


# ---------------------------------------------------------------------- builders


def test_scope_builder() -> None:
    sb = relay.ScopeBuilder()
    x = relay.var("x", "float32")
    one = sb.let("one", 1.0)
    with sb.if_scope(relay.less(x, one)):
        less = sb.let(("less", relay.scalar_type("float32")), x - one)
        sb.ret((less, 0))
    with sb.else_scope():
        sb.ret((x, 1))
    function = relay.infer_expr(relay.Function([x], sb.get()))
    assert str(function.ret_type) == "(float32, int32)"
    main = relay.create_executor("debug").evaluate(function)
    assert [plain(main(v)) for v in (0.0, 2.0)] == [(-1.0, 0), (2.0, 1)]
    assert sb.type_of(x) == relay.scalar_type("float32")
    assert sb.type_of(relay.add(x, x)) == relay.scalar_type("float32")


def test_scope_builder_says_what_is_missing() -> None:
    sb = relay.ScopeBuilder()
    with pytest.raises(RelayError, match=r"call ret\(value\)"):
        sb.get()
    with pytest.raises(RelayError, match="has to follow an if_scope"), sb.else_scope():
        pass
    with sb.if_scope(relay.const(True)):
        sb.ret(1)
    with pytest.raises(RelayError, match="needs an else_scope"):
        sb.get()
    with pytest.raises(RelayError, match="has its result already"):
        sb.ret(1)


def test_many_bindings() -> None:
    sb = relay.ScopeBuilder()
    last: relay.Expr = relay.const(0)
    for i in range(20_000):
        last = sb.let(f"v{i}", last)
    sb.ret(last)
    assert relay.infer_expr(sb.get()).checked_type == INT


def test_while_loop() -> None:
    i, total = relay.var("i", INT), relay.var("total", INT)
    loop = relay.loops.while_loop(
        lambda i, _: relay.less(i, relay.const(10)),
        [i, total],
        lambda i, total: [i + relay.const(1), total + i],
    )
    assert run(loop(relay.const(0), relay.const(0))) == (10, 45)


def test_with_fields() -> None:
    x, y = relay.var("x", shape=(2,)), relay.var("y", shape=(2,))
    call = relay.add(x, y)
    assert relay.expr.CallWithFields(call) is call
    assert relay.expr.CallWithFields(call, args=[x, y]) is call
    assert relay.expr.CallWithFields(call, args=[x, x]).args == (x, x)
    assert relay.expr.VarWithFields(x, name_hint="z").name_hint == "z"
    assert relay.expr.TupleWithFields(relay.Tuple([x]), [y]).fields == (y,)
    item = relay.TupleGetItem(relay.Tuple([x, y]), 0)
    assert relay.expr.TupleGetItemWithFields(item, index=1).index == 1
    let = relay.Let(x, y, x)
    assert relay.expr.LetWithFields(let, body=y).body is y
    choice = relay.If(relay.const(True), x, y)
    assert relay.expr.IfWithFields(choice, true_branch=y).true_branch is y
    reference = relay.RefCreate(x)
    assert relay.expr.RefCreateWithFields(reference, y).value is y
    assert relay.expr.RefReadWithFields(relay.RefRead(x), y).ref is y
    assert relay.expr.RefWriteWithFields(relay.RefWrite(x, y), value=x).value is x
    function = relay.Function([x], x, attrs={"a": 1})
    changed = relay.function.FunctionWithFields(function, body=y)
    assert changed.body is y
    assert dict(changed.attrs) == {"a": 1}
    data = relay.NDArray(np.zeros(3, "float32"))
    assert relay.expr.ConstantWithFields(relay.const(1), data).data is data
    place = relay.parse('#[version = "0.0.5"]\ndef @f() { 1 }')["f"].body.span
    assert relay.expr.TupleWithFields(relay.Tuple([x]), span=place).span == place


def test_infer_type_local() -> None:
    x = relay.var("x", shape=(2,))
    assert relay.transform.InferTypeLocal(x + x) == relay.TensorType((2,))
