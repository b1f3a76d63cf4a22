import numpy as np
import pytest

import relay
from pass_helpers import assert_same_results, names, run_pass, tensor, weights
from relay.ir import IRModule
from relay.ir.expr import Call, Expr, Function, GlobalVar, If, Let, Op, Tuple, Var, const
from relay.ir.types import Any, FuncType, TensorType
from relay.ir.visit import post_order
from relay.runtime.ndarray import NDArray
from relay.support.errors import RelayError
from relay.transform import (
    AnnotateSpans,
    BatchingOps,
    CanonicalizeCast,
    CapturePostDfsIndexInSpans,
    ChangeBatch,
    CombineParallelConv2D,
    CombineParallelDense,
    DivToMul,
    DynamicToStatic,
    FastMath,
    FlattenAtrousConv,
    FlexibleShapeDispatch,
    FoldExplicitPadding,
    InferType,
    Legalize,
    PassContext,
    Precision,
    SimplifyFCTranspose,
    SplitArgs,
    ToMixedPrecision,
    recast,
    search_fc_transpose,
    simplify_fc_transpose,
)
from relay.transform.calls import make
from relay.transform.precision_lists import PRECISIONS

X = tensor("x", 2, 3)
IMAGE = tensor("x", 1, 3, 6, 6)


def module_of(body: Expr, *parameters: Var) -> IRModule:
    return IRModule.from_expr(Function(parameters, body))


def dense(x: Expr, units: int, seed: int = 1) -> Expr:
    return make("nn.dense", x, weights(units, x.checked_type.shape[-1], seed=seed))


def run(module: IRModule, *arguments: object) -> np.ndarray:
    return relay.create_executor("debug", module).evaluate()(*arguments).numpy()


def test_groups_of_branches_of_branches_are_combined():
    first = [make("tanh", dense(X, 4, seed)) for seed in range(3)]
    second = [dense(value, 2, seed) for seed, value in enumerate(first * 3)]
    result = run_pass(CombineParallelDense(), Tuple(second), [X])
    assert names(result).count("nn.batch_matmul") == 4
    assert "nn.dense" not in names(result)


def test_too_few_branches_stay():
    body = Tuple([dense(X, 4, 1), dense(X, 4, 2)])
    assert run_pass(CombineParallelDense(), body) is body


def test_branches_of_an_if_stay_where_they_are():
    condition = Var("c", TensorType((), "bool"))
    body = If(condition, make("add", dense(X, 4, 1), dense(X, 4, 2)), dense(X, 4, 3))
    module = module_of(body, condition, X)
    assert CombineParallelDense(min_num_branches=2)(module) is module


def test_grouped_and_blocked_convolutions_stay():
    body = Tuple([make("nn.conv2d", IMAGE, weights(3, 1, 3, 3, seed=s), groups=3) for s in (1, 2)])
    assert run_pass(CombineParallelConv2D(2), body) is body


def test_batching_ops_is_the_three_passes():
    convolutions = [make("nn.conv2d", IMAGE, weights(2, 3, 1, 1, seed=s)) for s in range(3)]
    with PassContext(opt_level=4):
        result = run_pass(BatchingOps(), Tuple(convolutions))
    assert names(result).count("nn.conv2d") == 1


def test_legalize_takes_what_its_rules_give():
    seen: list[object] = []

    def as_maximum(attrs, args, types):
        seen.append((attrs, types))
        return make("maximum", args[0], const(0.0))

    result = run_pass(Legalize({"nn.relu": as_maximum}), make("nn.relu", make("exp", X)))
    assert names(result) == ["exp", "maximum"]
    assert seen == [(Op.get("nn.relu").default_attrs(), [X.checked_type] * 2)]
    body = make("nn.relu", X)
    assert run_pass(Legalize({"nn.relu": lambda *_: None}), body) is body
    assert run_pass(Legalize(), body) is body


def test_legalize_refuses_another_type():
    wrong = Legalize({"nn.relu": lambda _attrs, args, _types: make("cast", args[0], dtype="int32")})
    with pytest.raises(RelayError, match="must keep the type"):
        wrong(module_of(make("nn.relu", X), X))


def test_division_by_what_has_no_reciprocal_stays():
    body = make("divide", X, const(np.float32(1e-45)))
    assert run_pass(DivToMul(), body) is body


@pytest.mark.parametrize(
    ("crops", "strides"), [(((0, 0), (3, 3)), (1, 1)), (((0, 0), (0, 0)), (2, 2))]
)
def test_what_no_dilation_computes_keeps_its_blocks(crops, strides):
    data = tensor("x", 1, 8, 8, 3)
    blocks = make("nn.space_to_batch_nd", data, block_shape=(2, 2), paddings=((2, 2), (2, 2)))
    layouts = {"data_layout": "NHWC", "kernel_layout": "HWIO"}
    value = make("nn.conv2d", blocks, weights(3, 3, 3, 2), strides=strides, **layouts)
    body = make("nn.batch_to_space_nd", value, block_shape=(2, 2), crops=crops)
    assert run_pass(FlattenAtrousConv(), body) is body


def test_padding_that_counts_otherwise_stays():
    padded = make("nn.pad", IMAGE, const(0.0), pad_width=((0, 0), (0, 0), (1, 1), (1, 1)))
    body = make("nn.avg_pool2d", padded, pool_size=(3, 3), padding=(1, 1))
    assert run_pass(FoldExplicitPadding(), body) is body


def test_mixed_precision_keeps_the_output_where_told():
    module = module_of(make("nn.relu", dense(X, 4)), X)
    narrow = ToMixedPrecision()(module)["main"]
    assert narrow.checked_type.ret_type == TensorType((2, 4), "float16")
    with PassContext(config={"relay.ToMixedPrecision.keep_orig_output_dtype": True}):
        kept = ToMixedPrecision()(module)["main"]
    assert kept.checked_type == module["main"].checked_type
    x = np.random.default_rng(0).standard_normal((2, 3)).astype("float32")
    wanted = run(module, x)
    np.testing.assert_allclose(run(IRModule.from_expr(kept), x), wanted, atol=5e-3)
    np.testing.assert_allclose(run(IRModule.from_expr(narrow), x), wanted, atol=5e-3)


def test_mixed_precision_of_unknown_operators():
    module = module_of(make("exp", dense(X, 4)), X)
    table = dict.fromkeys(("exp",), Precision.FOLLOW)
    followed = ToMixedPrecision(precisions=table)(module)["main"]
    assert followed.checked_type.ret_type.dtype == "float16"


@pytest.mark.filterwarnings("error")
def test_missing_precisions_are_an_error_a_warning_or_nothing(monkeypatch):
    table = {name: kind for name, kind in PRECISIONS.items() if name != "tanh"}
    monkeypatch.setattr("relay.transform.to_mixed_precision.PRECISIONS", table)
    module = module_of(make("tanh", X), X)
    with pytest.raises(RelayError, match="no precision is known for tanh"):
        ToMixedPrecision(missing_op_mode=0)(module)
    with pytest.raises(UserWarning, match="tanh"):
        ToMixedPrecision(missing_op_mode=1)(module)
    assert ToMixedPrecision(missing_op_mode=2)(module) is module


@pytest.mark.parametrize("options", [{"mixed_precision_type": "int8"}, {"missing_op_mode": 3}])
def test_mixed_precision_refuses_wrong_options(options):
    with pytest.raises(RelayError, match="ToMixedPrecision"):
        ToMixedPrecision(**options)


def test_precisions_are_of_known_operators():
    assert not PRECISIONS.keys() - set(relay.op.list_names())


def test_recast_skips_layers():
    first = make("nn.conv2d", IMAGE, weights(4, 3, 3, 3))
    body = make("nn.conv2d", make("nn.relu", first), weights(2, 4, 1, 1))
    result = recast(body, "int8", "int32", skip_layers=[0])
    assert result.checked_type == body.checked_type
    calls = [n for n in post_order(result) if isinstance(n, Call) and n.op.name == "nn.conv2d"]
    assert [c.checked_type.dtype for c in calls] == ["float32", "int32"]
    assert recast(body, "int8", "int32", skip_layers=[0, -1]) is body
    with pytest.raises(RelayError, match="no attribute out_dtype"):
        recast(make("tanh", X), "float16", "float32", ops=["tanh"])


def test_change_batch_takes_variables_and_names():
    module = module_of(make("nn.relu", X), X)
    for key in (X, "x"):
        changed = ChangeBatch({key: 0}, 5)(module)["main"]
        assert changed.checked_type.ret_type == TensorType((5, 3))
    assert ChangeBatch({"x": 0}, 2)(module) is module
    with pytest.raises(RelayError, match="dimension 2"):
        ChangeBatch({"x": 2})(module)


def test_weights_of_dense_layers_are_transposed():
    weight = tensor("w", 3, 4)
    body = make("nn.dense", X, make("transpose", weight))
    function = Function((X, weight), body)
    assert search_fc_transpose(function) == ["w"]
    values = np.random.default_rng(1).standard_normal((3, 4)).astype("float32")
    result, params = simplify_fc_transpose(function, {"w": NDArray(values)})
    assert names(result.body) == ["nn.dense"]
    x = np.ones((2, 3), "float32")
    found = run(IRModule.from_expr(result), x, params["w"])
    np.testing.assert_allclose(found, x @ values, rtol=1e-5)
    module = IRModule.from_expr(function)
    assert SimplifyFCTranspose(["other"])(module) is module


def test_spans_of_printed_text():
    module = AnnotateSpans()(InferType()(module_of(make("exp", X), X)))
    body = module["main"].body
    assert body.span is not None
    assert body.span.source.line(body.span.line).strip().startswith("exp(%x)")


def test_spans_of_indices():
    body = make("add", X, make("exp", X))
    function = CapturePostDfsIndexInSpans()(module_of(body, X))["main"]
    assert_same_results(Function((X,), body), function)
    found = [(n.span.line, n.span.column) for n in post_order(function)]
    assert found == [(0, 2), (1, 2), (2, 3), (3, 3)]


def test_a_limit_of_arguments():
    parts = [tensor(f"x{k}", 2, 3) for k in range(5)]
    body = make("concatenate", Tuple(parts), axis=0)
    assert run_pass(SplitArgs(0), body) is body
    assert run_pass(SplitArgs(6), body) is body
    assert names(run_pass(SplitArgs(3), body)) == ["concatenate"] * 4
    with pytest.raises(RelayError, match="max_function_args"):
        SplitArgs(2)


@pytest.mark.parametrize("auto_pad", [False, True])
@pytest.mark.parametrize("kind", ["debug", "vm"])
def test_flexible_shapes_of_every_size(auto_pad, kind):
    data = Var("x", TensorType((Any(), 3)))
    module = module_of(make("nn.relu", dense(data, 4)), data)
    dispatch = FlexibleShapeDispatch([2, 4], auto_pad=auto_pad)(InferType()(module))
    assert [v.name_hint for v in dispatch] == ["main", "main_2", "main_4", "main_dynamic"]
    evaluate = relay.create_executor(kind, dispatch).evaluate()
    for size in range(1, 7):
        x = np.random.default_rng(size).standard_normal((size, 3)).astype("float32")
        found = evaluate(x).numpy()
        np.testing.assert_allclose(found, run(module, x), rtol=1e-5, atol=1e-6)


def test_flexible_shapes_need_buckets_and_inputs():
    module = module_of(make("nn.relu", X), X)
    with pytest.raises(RelayError, match="buckets"):
        FlexibleShapeDispatch()(module)
    with pytest.raises(RelayError, match="input_indices"):
        FlexibleShapeDispatch([2])(module)
    flexible = FlexibleShapeDispatch([2], input_indices=[0])(module)
    assert flexible["main"].checked_type.ret_type == TensorType((Any(), 3))


def test_dynamic_operators_stay_where_nothing_is_known():
    shape = tensor("s", 2, dtype="int32")
    module = module_of(make("dyn.reshape", X, shape), X, shape)
    assert DynamicToStatic()(module) is module


STATIC = {
    "dyn.reshape": ((X, const([3, 2])), {}),
    "dyn.broadcast_to": ((X, const([4, 2, 3])), {}),
    "dyn.full": ((const(1.5), const([2, 3])), {}),
    "dyn.tile": ((X, const([1, 2])), {}),
    "dyn.topk": ((X, const(2)), {"ret_type": "values"}),
    "dyn.expand_dims": ((X, const(-1)), {}),
    "dyn.squeeze": ((tensor("x", 2, 1, 3), const([1])), {}),
    "dyn.one_hot": ((make("argmax", X, axis=1), const(1.0), const(0.0), const(4)), {}),
    "dyn.strided_slice": ((X, const([1]), const([3]), const([1])), {"axes": (1,)}),
    "dyn.nn.pad": ((X, const([[1, 0], [0, 2]]), const(0.5)), {}),
    "dyn.nn.upsampling": ((tensor("x", 1, 1, 2, 2), const(2.0), const(2.0)), {}),
}


@pytest.mark.parametrize("name", STATIC)
def test_dynamic_operators_become_static(name):
    arguments, attributes = STATIC[name]
    body = make(name, *arguments, **attributes)
    parameters = [a for n in arguments for a in post_order(n) if isinstance(a, Var)]
    module = module_of(body, *parameters)
    result = DynamicToStatic()(module)
    assert not [n for n in names(result["main"].body) if n.startswith("dyn.")]
    assert result["main"].checked_type.ret_type.is_static
    values = [np.random.default_rng(0).random(p.checked_type.shape, "float32") for p in parameters]
    np.testing.assert_allclose(run(result, *values), run(module, *values))


DEEP = [
    CanonicalizeCast(),
    CombineParallelDense(2),
    DivToMul(),
    DynamicToStatic(),
    FastMath(),
    FoldExplicitPadding(),
    Legalize({"nn.relu": lambda *_: None}),
    ToMixedPrecision(),
    CapturePostDfsIndexInSpans(),
    ChangeBatch({"x": 0}),
]


@pytest.mark.parametrize("step", DEEP, ids=lambda step: step.info.name)
def test_depth_is_no_limit(step):
    body: Expr = dense(X, 3)
    for _ in range(30_000):
        body = make("nn.relu", body)
    result = step(module_of(body, X))["main"].body
    assert len(post_order(result)) >= 30_000


def test_lets_are_borders_of_narrow_floats():
    y, z = Var("y", TensorType((2, 4))), Var("z", TensorType((2, 4)))
    body = Let(y, dense(X, 4, 1), Let(z, dense(X, 4, 2), make("add", y, z)))
    module = module_of(body, X)
    narrow = ToMixedPrecision()(module)["main"]
    assert narrow.checked_type == module["main"].checked_type
    x = np.random.default_rng(0).standard_normal((2, 3)).astype("float32")
    np.testing.assert_allclose(run(IRModule.from_expr(narrow), x), run(module, x), atol=1e-2)


def test_other_functions_keep_their_types():
    callee = GlobalVar("f", FuncType([X.checked_type], TensorType((2, 4))))
    y = tensor("y", 2, 3)
    module = IRModule(
        {
            GlobalVar("main"): Function((X,), make("nn.relu", Call(callee, (X,)))),
            callee: Function((y,), dense(y, 4)),
        }
    )
    narrow = ToMixedPrecision()(module)
    assert narrow["f"].checked_type == module["f"].checked_type
    assert "nn.dense" in names(narrow["f"].body)
    assert narrow["f"].body.op.name == "cast"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_programs_compile(dtype):
    x = np.random.default_rng(0).standard_normal((1, 3, 6, 6)).astype("float32")
    value = make("nn.bias_add", make("nn.conv2d", IMAGE, weights(4, 3, 3, 3)), weights(4))
    body = make("nn.softmax", make("nn.batch_flatten", make("nn.relu", value)))
    module = module_of(body, IMAGE)
    narrow = ToMixedPrecision(dtype)(InferType()(module))
    found = relay.create_executor("graph", narrow).evaluate()(x).numpy()
    np.testing.assert_allclose(found, run(module, x), atol=2e-2)
