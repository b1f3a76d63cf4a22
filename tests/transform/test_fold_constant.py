import numpy as np

from pass_helpers import add, chain, names, run_pass, tensor, weights
from relay.ir import IRModule
from relay.ir.expr import Call, Constant, Function, If, Tuple, TupleGetItem, const
from relay.transform.calls import make
from relay.transform.fold_constant import FoldConstant, FoldConstantExpr

X = tensor("x", 2, 3)


def test_constant_calls_are_computed():
    body = add(X, chain(weights(3), "exp", "negative"))
    assert names(run_pass(FoldConstant(), body)) == ["add"]


def test_tuples_of_constants_go_in_and_out():
    joined = make("concatenate", Tuple([weights(2, 3), weights(1, 3)]), axis=0)
    part = TupleGetItem(make("split", joined, indices_or_sections=3, axis=0), 1)
    assert names(run_pass(FoldConstant(), add(X, part))) == ["add"]


def test_field_of_a_tuple():
    assert run_pass(FoldConstant(), TupleGetItem(Tuple([X, weights(3)]), 0)) is X


def test_shape_of_a_static_type():
    result = run_pass(FoldConstant(), make("shape_of", X, dtype="int64"), (X,))
    assert isinstance(result, Constant)
    assert result.data.numpy().tolist() == [2, 3]
    assert result.data.dtype == "int64"


def test_constant_condition():
    exp, tanh = chain(X, "exp"), chain(X, "tanh")
    folded = FoldConstant().fold(If(const(True), exp, tanh))
    assert folded is exp


def test_what_would_grow_stays():
    large = make("broadcast_to", const(1.5), shape=(1024, 1024))
    assert names(run_pass(FoldConstant(), large, ())) == ["broadcast_to"]
    assert names(run_pass(FoldConstant(allow_growth=True), large, ())) == []
    transposed = make("transpose", weights(1024, 600))
    assert names(run_pass(FoldConstant(), transposed, ())) == []


def test_results_are_contiguous_and_own_their_memory():
    result = run_pass(FoldConstant(), make("transpose", weights(4, 5)), ())
    assert isinstance(result, Constant)
    array = result.data.numpy()
    assert array.flags.c_contiguous
    assert array.base is None or array.base.nbytes == array.nbytes
    assert array.dtype == np.float32


def test_an_expression_with_free_variables():
    x = tensor("x", 2)
    one = const(np.ones(2, "float32"))
    module = IRModule()
    folded = FoldConstantExpr(add(x, add(one, one)), module)
    assert isinstance(folded, Call)
    assert folded.args[0] is x
    assert isinstance(folded.args[1], Constant)
    function = FoldConstantExpr(Function([x], add(x, add(one, one))), module)
    assert isinstance(function, Function)
    assert names(function.body) == ["add"]
    assert not module.functions


def test_an_expression_that_calls_a_function():
    x, y = tensor("x", 2), tensor("y", 2)
    one = const(np.ones(2, "float32"))
    module = IRModule()
    module["twice"] = Function([y], add(y, y))
    call = Call(module.get_global_var("twice"), [add(one, one)])
    folded = FoldConstantExpr(add(call, x), module)
    assert isinstance(folded.args[0], Call)
    assert isinstance(folded.args[0].args[0], Constant)


def test_a_large_constant_that_is_only_moved_is_moved_later():
    values = np.arange(20_000, dtype="float32").reshape(100, 200)
    weight = Constant(values)
    turned = run_pass(FoldConstant(), make("transpose", weight, axes=(1, 0)), ())
    assert isinstance(turned, Constant)
    assert turned.data.is_deferred
    np.testing.assert_array_equal(turned.data.numpy(), values.T)
    assert values.flags.writeable
    cut = make("strided_slice", weight, begin=(0, 0), end=(99, 200), strides=(1, 1))
    part = run_pass(FoldConstant(), cut, ())
    assert isinstance(part, Constant)
    assert not part.data.is_deferred, "it would keep all of the weight"
