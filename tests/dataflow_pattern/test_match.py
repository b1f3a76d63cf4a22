"""Every kind of pattern, matched and not matched."""

import pytest

import relay
from relay import dataflow_pattern as dp
from relay.dataflow_pattern import is_constant, is_expr, is_op, is_tuple, is_var, wildcard
from relay.ir.op import Pattern
from relay.support.errors import RelayError

X = relay.var("x", shape=(2, 3))
Y = relay.var("y", shape=(2, 3))
DATA = relay.var("data", shape=(1, 3, 8, 8))
WEIGHT = relay.var("weight", shape=(4, 3, 3, 3))


def conv() -> relay.Expr:
    return relay.nn.conv2d(DATA, WEIGHT, kernel_size=(3, 3), channels=4)


def test_operators_calls_and_variables() -> None:
    pattern = is_op("add")(is_var("x"), is_var())
    assert pattern.match(relay.add(X, Y))
    assert not pattern.match(relay.subtract(X, Y))
    assert is_op("add").match(relay.op.get("add"))
    assert not is_var("y").match(X)
    assert not is_op("add")(is_var()).match(relay.add(X, Y))
    assert is_op("add")(None).match(relay.add(X, Y))


def test_commutative_operators_match_in_either_order() -> None:
    relu = is_op("nn.relu")(wildcard())
    for name in ("add", "multiply"):
        pattern = is_op(name)(relu, is_var("y"))
        build = getattr(relay, name)
        assert pattern.match(build(relay.nn.relu(X), Y))
        assert pattern.match(build(Y, relay.nn.relu(X)))
    assert not (relu - is_var("y")).match(relay.subtract(Y, relay.nn.relu(X)))


def test_sugar() -> None:
    assert (is_var("x") + is_var("y")).match(relay.add(X, Y))
    assert (is_var("x") - is_var("y")).match(relay.subtract(X, Y))
    assert (is_var("x") * is_var("y")).match(relay.multiply(X, Y))
    assert (is_var("x") / is_var("y")).match(relay.divide(X, Y))
    either = is_op("exp")(wildcard()) | is_op("tanh")(wildcard())
    assert either.match(relay.exp(X))
    assert either.match(relay.tanh(X))
    assert not either.match(relay.nn.relu(X))


def test_a_pattern_used_twice_is_one_expression() -> None:
    x = wildcard()
    pattern = is_op("add")(is_op("exp")(x), x)
    assert pattern.match(relay.add(relay.exp(X), X))
    assert not pattern.match(relay.add(relay.exp(X), Y))


def test_alternatives_are_taken_back() -> None:
    a, b = wildcard(), wildcard()
    # The left side would take %x for `a`, which the second argument contradicts.
    choice = is_op("subtract")(a, wildcard()) | is_op("subtract")(wildcard(), a)
    pattern = is_op("divide")(choice, a)
    assert pattern.match(relay.divide(relay.subtract(X, Y), X))
    assert pattern.match(relay.divide(relay.subtract(X, Y), Y))
    assert not is_op("divide")(choice, a + b).match(relay.divide(relay.subtract(X, Y), Y))


def test_constants_and_expressions() -> None:
    one = relay.const(1.0)
    assert is_constant().match(one)
    assert not is_constant().match(X)
    assert is_expr(relay.add(X, one)).match(relay.add(X, relay.const(1.0)))
    assert not is_expr(relay.add(X, one)).match(relay.add(X, relay.const(2.0)))
    assert not is_expr(X).match(Y)


def test_tuples() -> None:
    pair = relay.Tuple([X, Y])
    assert is_tuple([is_var("x"), wildcard()]).match(pair)
    assert is_tuple().match(pair)
    assert not is_tuple([wildcard()]).match(pair)
    assert dp.is_tuple_get_item(is_tuple(), 1).match(relay.TupleGetItem(pair, 1))
    assert dp.is_tuple_get_item(is_tuple()).match(relay.TupleGetItem(pair, 1))
    assert not dp.is_tuple_get_item(is_tuple(), 0).match(relay.TupleGetItem(pair, 1))


def test_functions_ifs_and_lets() -> None:
    function = relay.Function([X], relay.exp(X))
    assert dp.FunctionPattern([is_var("x")], is_op("exp")(is_var("x"))).match(function)
    assert dp.FunctionPattern(None, wildcard()).match(function)
    assert not dp.FunctionPattern([], wildcard()).match(function)
    call = dp.FunctionPattern(None, wildcard())(is_var("y"))
    assert call.match(relay.Call(function, [Y]))
    cond = relay.var("c", "bool")
    assert dp.is_if(is_var("c"), is_var("x"), is_var("y")).match(relay.If(cond, X, Y))
    assert not dp.is_if(is_var("c"), is_var("y"), is_var("x")).match(relay.If(cond, X, Y))
    v = relay.var("v", shape=(2, 3))
    let = relay.Let(v, relay.exp(X), relay.add(v, v))
    assert dp.is_let(is_var("v"), is_op("exp")(wildcard()), wildcard()).match(let)
    assert not dp.is_let(is_var("w"), wildcard(), wildcard()).match(let)


def test_types() -> None:
    assert wildcard().has_dtype("float32").match(X)
    assert not dp.has_dtype("int32").match(X)
    assert dp.has_shape((2, 3)).match(relay.exp(X))
    assert not wildcard().has_shape((3, 2)).match(X)
    assert dp.has_type(relay.TensorType((2, 3))).match(X)
    assert not wildcard().has_type(relay.TensorType((2, 3), "int8")).match(X)
    assert not dp.has_dtype("float32").match(relay.Tuple([X]))


def test_types_are_inferred_where_they_are_needed() -> None:
    weight = relay.var("w")
    product = relay.nn.dense(X, weight, units=7)
    assert is_op("nn.dense")(wildcard(), dp.has_shape((7, 3))).match(product)


def test_attributes() -> None:
    found = is_op("nn.conv2d")(None)
    assert found.has_attr({"channels": 4, "kernel_size": [3, 3]}).match(conv())
    assert not found.has_attr({"channels": 5}).match(conv())
    assert not found.has_attr({"no_such": 5}).match(conv())
    elementwise = wildcard().has_attr({"TOpPattern": Pattern.ELEMWISE})
    assert elementwise(wildcard()).match(relay.exp(X))
    assert not elementwise(None).match(conv())
    function = relay.Function([X], X).with_attr("Composite", "toy.id")
    assert dp.has_attr({"Composite": "toy.id"}).match(function)
    assert not dp.has_attr({"Composite": "toy.id"}).match(X)


def test_optional() -> None:
    pattern = is_op("nn.conv2d")(None).optional(lambda c: is_op("nn.relu")(c))
    assert pattern.match(conv())
    assert pattern.match(relay.nn.relu(conv()))
    assert not pattern.match(relay.exp(conv()))


def test_dominator() -> None:
    unary = wildcard().has_attr({"TOpPattern": Pattern.ELEMWISE})(wildcard())
    parent, child = is_op("nn.conv2d")(None), wildcard() + wildcard()
    diamond = child.dominates(parent, unary)
    body = conv()
    assert diamond.match(relay.add(relay.nn.relu(body), relay.tanh(relay.exp(body))))
    assert dp.dominates(parent, unary, child).match(relay.add(relay.nn.relu(body), body))
    # What leaves the diamond on the way, and what does not match the path.
    relu = relay.nn.relu(body)
    join = relay.add(relu, relay.tanh(body))
    assert not (is_tuple([diamond, wildcard()])).match(relay.Tuple([join, relu]))
    assert not diamond.match(relay.add(relay.nn.softmax(body), relay.tanh(body)))
    assert not diamond.match(relay.add(relay.nn.relu(DATA), relay.exp(DATA)))
    assert is_op("exp")(wildcard()).dominates(parent).match(relay.exp(relay.nn.softmax(body)))


def test_dominator_lets_biases_come_from_elsewhere() -> None:
    path = is_op("add")(wildcard(), wildcard())
    pattern = is_op("nn.relu")(wildcard()).dominates(is_op("nn.conv2d")(None), path)
    bias = relay.exp(relay.var("b", shape=(4, 1, 1)))
    assert pattern.match(relay.nn.relu(relay.add(conv(), bias)))


def test_recursive_pattern() -> None:
    rest = wildcard()
    tower = is_op("exp")(rest) | is_var("x")
    rest.redirect_to(tower)
    expr: relay.Expr = X
    for _ in range(20_000):
        expr = relay.exp(expr)
    assert tower.match(expr)
    assert not tower.match(relay.exp(relay.tanh(X)))
    assert repr(tower) == "Alt(Call(Expr(Op(exp)), Wildcard(...)), Var(x))"


def test_recursive_pattern_over_shared_nodes() -> None:
    left, right = wildcard(), wildcard()
    tree = is_op("subtract")(left, right) | is_var("x")
    left.redirect_to(tree)
    right.redirect_to(tree)
    expr: relay.Expr = X
    for _ in range(60):
        expr = relay.subtract(expr, expr)
    assert tree.match(expr)


def test_deep_pattern() -> None:
    pattern: dp.DFPattern = is_var("x")
    expr: relay.Expr = X
    for _ in range(5_000):
        pattern, expr = is_op("exp")(pattern), relay.exp(expr)
    assert pattern.match(expr)
    assert not pattern.match(relay.exp(expr))
    assert repr(pattern).endswith(")")


def test_text() -> None:
    pattern = is_op("add")(is_var("x"), is_constant()).has_shape((2,)) | is_tuple()
    assert repr(pattern) == "Alt(Shape((2,), Call(Expr(Op(add)), Var(x), Constant())), Tuple())"


def test_refusals() -> None:
    with pytest.raises(RelayError, match="no operator named"):
        is_op("no.such")
    with pytest.raises(RelayError, match="expected a pattern, found Var"):
        is_op("add")(X, wildcard())  # type: ignore[arg-type]
