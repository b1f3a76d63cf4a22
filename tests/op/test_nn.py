"""Neural-network operators: what is refused, what is filled in, and the form of their stages."""

import pytest

import relay
from relay import te
from relay.ir.expr import Call, Expr, TupleGetItem
from relay.ir.op import Operator
from relay.ir.types import Any, TensorType, TupleType
from relay.op import nn
from relay.support.errors import RelayError, TypeInferenceError, UnsupportedError

IMAGE = TensorType((1, 8, 6, 6))
KERNEL = TensorType((4, 8, 3, 3))


def stages(result: te.Tensor) -> list[te.Tensor]:
    """The computed tensors that `result` is made of, producers first."""
    found: list[te.Tensor] = []

    def visit(tensor: te.Tensor) -> None:
        if tensor in found or tensor.body is None:
            return
        pending = [tensor.body]
        while pending:
            expr = pending.pop()
            if isinstance(expr, te.Read):
                visit(expr.tensor)
            pending.extend(expr.children())
        found.append(tensor)

    visit(result)
    return found


def names(result: te.Tensor) -> list[str]:
    return [t.name for t in stages(result)]


def placeholders(*types: TensorType) -> list[te.Tensor]:
    return [te.placeholder(t.concrete_shape, t.dtype) for t in types]


def reduced(tensor: te.Tensor) -> list[tuple[str, object]]:
    assert isinstance(tensor.body, te.Reduce)
    return [(axis.var.name, axis.extent) for axis in tensor.body.axes]


@pytest.mark.parametrize(
    ("declaration", "types", "message"),
    [
        (nn.Conv2D(), (IMAGE, TensorType((4, 7, 3, 3))), "must have size 8, found 7"),
        (nn.Conv2D(groups=3), (IMAGE, KERNEL), "8 input channels do not make 3 groups"),
        (nn.Conv2D(channels=5), (IMAGE, KERNEL), "channels=5, but the weight gives 4"),
        (nn.Conv2D(kernel_size=(3, 2)), (IMAGE, KERNEL), r"kernel_size=\(3, 2\)"),
        (nn.Conv2D(), (IMAGE, TensorType((4, 8, 9, 3))), "window is larger .* along H"),
        (nn.Conv2D(), (IMAGE, TensorType((4, 8, 3, 3), "int8")), "give an out_dtype"),
        (nn.Conv2D(data_layout="NCW"), (IMAGE, KERNEL), "must have the axes N, C, H, W"),
        (nn.Conv2D(data_layout="NCHW4h"), (IMAGE, KERNEL), "may not split the axis H"),
        (nn.Conv2DNCHWc(), (TensorType((1, 1, 6, 6, 8)), KERNEL), "channel blocks"),
        (nn.Conv2DTranspose(), (IMAGE, KERNEL), "axis I of the weight has size 4"),
        (nn.MaxPool2D(pool_size=(9, 9)), (IMAGE,), "window is larger"),
        (nn.MaxPool2D(layout="NHW"), (IMAGE,), "must have the axes"),
        (nn.AvgPool2D(out_layout="NHWC"), (IMAGE,), "out_layout must be"),
        (nn.Dense(), (TensorType((2, 3)), TensorType((4, 5))), "summed over must agree"),
        (nn.Dense(units=9), (TensorType((2, 3)), TensorType((4, 3))), "units=9"),
        (nn.Dense(), (TensorType((2, 3)), TensorType((3,))), "must have 2 dimensions"),
        (nn.BatchMatmul(), (TensorType((2, 3, 4)), TensorType((3, 3, 4))), "batches must agree"),
        (nn.BiasAdd(axis=4), (IMAGE, TensorType((8,))), "axis"),
        (nn.BiasAdd(), (IMAGE, TensorType((6,))), "needs a bias of the same size"),
        (nn.PRelu(), (IMAGE, TensorType((6,))), "needs an alpha of the same size"),
        (nn.LayerNorm(), (IMAGE, TensorType((6,)), TensorType((5,))), "beta must be a vector of 6"),
        (nn.GroupNorm(num_groups=3), (IMAGE, *[TensorType((8,))] * 2), "do not make 3 groups"),
        (nn.InstanceNorm(axis=0), (IMAGE, *[TensorType((1,))] * 2), "axis 0 is the batch"),
        (nn.LRN(size=4), (IMAGE,), "must be odd"),
        (nn.Softmax(), (TensorType((3,), "int32"),), "floating-point"),
        (nn.Pad(((1, 1),)), (IMAGE, TensorType(())), "has 1 pairs"),
        (nn.Pad(((0, 0),) * 4), (IMAGE, TensorType((1,))), "pad_val must be a scalar"),
        (nn.MirrorPad(((0, 9),) * 4), (IMAGE,), "can be mirrored by"),
        (nn.DepthToSpace(3), (IMAGE,), "not divisible by 9"),
        (nn.SpaceToDepth(4), (IMAGE,), "not divisible by 4"),
        (nn.LayoutTransform("NCHW", "NCHW3c"), (IMAGE,), "divisible by 3, found 8"),
        (nn.LayoutTransform("NCHW", "NCW"), (IMAGE,), "same primal axes"),
    ],
    ids=lambda value: value.name if isinstance(value, Operator) else "",
)
def test_refused(declaration: Operator, types: tuple[TensorType, ...], message: str) -> None:
    with pytest.raises(TypeInferenceError, match=message):
        declaration.call_type(types)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Conv2D(padding=(1, 2, 3)), "expected 1, 2 or 4 integers"),
        (lambda: nn.Conv2D(strides=(0, 1)), "must be positive"),
        (lambda: nn.MaxPool2D(pool_size=(1, 2, 3)), "expected 1 or 2 integers"),
        (lambda: nn.Pad(((1, 2, 3),)), "a pair"),
        (lambda: nn.Pad(((1, 2),), "wrap"), "pad_mode must be"),
        (lambda: nn.Upsampling(method="bicubic"), "image.resize2d"),
        (lambda: nn.DepthToSpace(2, mode="RCD"), "DCR or CRD"),
    ],
)
def test_refused_attributes(make, message):
    with pytest.raises(RelayError, match=message):
        make()


def test_forms_of_attributes_are_one() -> None:
    forms = [nn.Conv2D(padding=1, strides=2), nn.Conv2D(padding=[1, 1], strides=(2, 2))]
    assert forms[0] == forms[1] == nn.Conv2D(padding=(1, 1, 1, 1), strides=(2, 2))


@pytest.mark.parametrize(
    ("declaration", "given", "expected"),
    [
        (nn.Conv2D(channels=4, kernel_size=3), [IMAGE, None], KERNEL),
        (nn.Conv2D(channels=8, kernel_size=3, groups=8), [IMAGE, None], TensorType((8, 1, 3, 3))),
        (
            nn.Conv2DTranspose(channels=4, kernel_size=2, groups=2),
            [IMAGE, None],
            TensorType((8, 2, 2, 2)),
        ),
        (nn.Dense(units=4), [TensorType((2, 3)), None], TensorType((4, 3))),
        (nn.Matmul(units=4), [TensorType((2, 3)), None], TensorType((3, 4))),
        (nn.BiasAdd(), [IMAGE, None], TensorType((8,))),
        (nn.BatchNorm(), [IMAGE, None, None, None, None], TensorType((8,))),
        (nn.LayerNorm(), [IMAGE, None, None], TensorType((6,))),
    ],
    ids=lambda value: value.name if isinstance(value, Operator) else "",
)
def test_types_filled_in(declaration, given, expected):
    completed = declaration.complete_inputs(given)
    assert list(completed) == [IMAGE if given[0] is IMAGE else given[0]] + [expected] * (
        len(given) - 1
    )


def test_unknown_sizes() -> None:
    data = TensorType((Any(), 8, Any(), 6))
    assert nn.Conv2D(padding=1).infer(data, KERNEL) == TensorType((Any(), 4, Any(), 6))
    blocked = nn.LayoutTransform("NCHW", "NCHW4c").infer(data)
    assert blocked == TensorType((Any(), 2, Any(), 6, 4))


@pytest.mark.parametrize(
    "declaration",
    [
        nn.Conv2D(padding=1, strides=2),
        nn.MaxPool2D(pool_size=3, strides=2, padding=1, ceil_mode=True),
        nn.AvgPool2D(pool_size=3, strides=2, padding=1),
        nn.GlobalAvgPool2D(),
        nn.AdaptiveAvgPool2D(output_size=1),
        nn.Upsampling(2.0, 2.0),
        nn.LayoutTransform("NCHW", "NCHW4c"),
        nn.BatchFlatten(),
        nn.Softmax(),
        nn.Conv2DTranspose(strides=2, padding=1, kernel_layout="OIHW"),
    ],
    ids=lambda d: d.name,
)
def test_symbolic_sizes_compute(declaration: Operator) -> None:
    n, h, w = (te.Var(name) for name in "nhw")
    data = te.placeholder((n, 8, h, w))
    tensors = [data, *placeholders(KERNEL)][: len(declaration.inputs)]
    assert declaration.compute(*tensors).ndim >= 2


def test_adaptive_pooling_needs_sizes() -> None:
    data = te.placeholder((1, 8, te.Var("h"), 6))
    with pytest.raises(UnsupportedError, match="must be known"):
        nn.AdaptiveAvgPool2D(output_size=3).compute(data)


def test_convolution_is_a_pad_and_a_reduction() -> None:
    result = nn.Conv2D(padding=1).compute(*placeholders(IMAGE, KERNEL))
    assert names(result) == ["pad", "convolution"]
    assert reduced(result) == [("ic", 8), ("kh", 3), ("kw", 3)]
    assert names(nn.Conv2D().compute(*placeholders(IMAGE, KERNEL))) == ["convolution"]


def test_blocked_convolution_reduces_the_block_last() -> None:
    data, weight = TensorType((1, 2, 6, 6, 4)), TensorType((1, 2, 3, 3, 4, 8))
    declaration = nn.Conv2DNCHWc(
        data_layout="NCHW4c", kernel_layout="OIHW4i8o", out_layout="NCHW8c"
    )
    result = declaration.compute(*placeholders(data, weight))
    assert reduced(result) == [("ic", 2), ("kh", 3), ("kw", 3), ("ici", 4)]
    assert result.static_shape == (1, 1, 4, 4, 8)


def test_depthwise_convolution_reduces_the_window_only() -> None:
    result = nn.Conv2D(groups=8).compute(*placeholders(IMAGE, TensorType((8, 1, 3, 3))))
    assert reduced(result) == [("kh", 3), ("kw", 3)]


def test_stages_of_row_wise_operators() -> None:
    rows = TensorType((2, 3))
    softmax = nn.Softmax().compute(*placeholders(rows))
    assert names(softmax) == ["softmax_max", "softmax_exp", "softmax_sum", "softmax"]
    vector = TensorType((3,))
    norm = nn.LayerNorm().compute(*placeholders(rows, vector, vector))
    assert sorted(names(norm)) == sorted(
        f"layer_norm{stage}" for stage in ("_sum", "_mean", "_squares", "_variance", "")
    )


def test_average_is_a_sum_and_a_division() -> None:
    result = nn.AvgPool2D(pool_size=2).compute(*placeholders(IMAGE))
    assert names(result) == ["pool", "average"]


X = relay.var("x", shape=(1, 8, 6, 6))


def type_of(expr: Expr) -> object:
    return expr.checked_type


def test_functions_of_their_own() -> None:
    assert type_of(nn.pad(X, ((0, 0), (0, 0), (1, 1), (1, 1)))) == TensorType((1, 8, 8, 8))
    assert isinstance(nn.dropout(X, 0.1), TupleGetItem)
    assert type_of(nn.dropout(X)) == X.checked_type
    assert type_of(nn.dropout_raw(X)) == TupleType((X.checked_type, X.checked_type))
    row, volume = relay.var("r", shape=(1, 2, 9)), relay.var("v", shape=(1, 2, 3, 4, 5))
    for pool in (nn.global_avg_pool1d, nn.global_max_pool1d):
        assert type_of(pool(row)) == TensorType((1, 2, 1))
    for pool in (nn.global_avg_pool3d, nn.global_max_pool3d):
        assert type_of(pool(volume)) == TensorType((1, 2, 1, 1, 1))
    vectors = [relay.var(f"v{k}", shape=(8,)) for k in range(4)]
    data, mean, variance = nn.batch_norm(X, *vectors)
    assert type_of(data) == X.checked_type
    assert type_of(mean) == type_of(variance) == TensorType((8,))


def test_functions_are_calls_of_the_declarations() -> None:
    call = relay.nn.conv2d(X, relay.var("w", shape=(4, 8, 3, 3)), padding=1)
    assert isinstance(call, Call)
    assert call.op is relay.op.get("nn.conv2d")
    assert call.attrs == nn.Conv2D(padding=(1, 1, 1, 1))
