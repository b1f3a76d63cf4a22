import numpy as np
import pytest

from onnx_models import check, floats, ints, operators, single

REDUCTIONS = "Sum Mean Max Min Prod L1 L2 LogSum LogSumExp SumSquare".split()


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axes", [None, (1,), (0, -1)])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_reduction(name, axes, keepdims):
    x = floats(2, 3, 4, low=0.1)
    attributes = {} if axes is None else {"axes": axes}
    op_type = f"Reduce{name}"
    check(*single(op_type, [x], opset=11, keepdims=keepdims, **attributes))
    inputs = [x] if axes is None else [x, ints(*axes)]
    check(*single(op_type, inputs, opset=18, fixed=range(1, len(inputs)), keepdims=keepdims))


def test_reduction_of_no_axes():
    model, inputs = single("ReduceSum", [floats(2, 3)], opset=13, noop_with_empty_axes=1)
    assert operators(check(model, inputs)) == []


def test_log_sum_exp_does_not_overflow():
    check(*single("ReduceLogSumExp", [np.array([[100, 200]], np.float32)], opset=13, axes=[1]))


def test_mean_over_an_image_is_pooling():
    for keepdims in (0, 1):
        model, inputs = single(
            "ReduceMean", [floats(2, 3, 4, 5)], opset=11, axes=[-1, -2], keepdims=keepdims
        )
        assert operators(check(model, inputs))[0] == "nn.global_avg_pool2d"


@pytest.mark.parametrize("op_type", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_arg_reduction(op_type, last, keepdims):
    x = np.array([[1, 3, 3, 0, 0], [2, 2, 1, 1, 2]], np.float32)
    check(*single(op_type, [x], axis=1, select_last_index=last, keepdims=keepdims))


@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
def test_cumulative_sum(exclusive, reverse):
    model, inputs = single(
        "CumSum",
        [floats(3, 4), np.array(1, np.int64)],
        fixed=[1],
        exclusive=exclusive,
        reverse=reverse,
    )
    check(model, inputs)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((3, 4), (4, 5)),
        ((4,), (4,)),
        ((4,), (4, 5)),
        ((3, 4), (4,)),
        ((2, 3, 4), (4, 5)),
        ((2, 3, 4), (2, 4, 5)),
        ((2, 1, 3, 4), (6, 4, 5)),
        ((3, 4), (2, 4, 5)),
        ((4,), (2, 4, 5)),
        ((2, 3, 4), (1, 4, 5)),
        ((2, 6, 3, 4), (4,)),
    ],
)
@pytest.mark.parametrize("fixed", [(), (1,)])
def test_matmul(left, right, fixed):
    check(*single("MatMul", [floats(*left), floats(*right, seed=1)], fixed=fixed))


def test_matmul_by_a_weight_is_one_dense():
    main = check(*single("MatMul", [floats(2, 3, 4), floats(4, 5, seed=1)], fixed=[1]))
    assert operators(main) == ["reshape", "nn.dense", "reshape"]


@pytest.mark.parametrize("trans_a", [0, 1])
@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("bias", [None, (5,), (3, 1), (3, 5), ()])
def test_gemm(trans_a, trans_b, bias):
    a = floats(*((4, 3) if trans_a else (3, 4)))
    b = floats(*((5, 4) if trans_b else (4, 5)), seed=1)
    inputs = [a, b] + ([] if bias is None else [floats(*bias, seed=2)])
    attributes = {"transA": trans_a, "transB": trans_b, "alpha": 0.5, "beta": 2.0}
    check(*single("Gemm", inputs, **attributes))
    check(*single("Gemm", inputs, fixed=range(1, len(inputs)), **attributes))


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", ((2, 3), (3, 4))),
        ("bij,bjk->bik", ((2, 3, 4), (2, 4, 5))),
        ("bhid,bhjd->bhij", ((2, 3, 4, 5), (2, 3, 6, 5))),
        ("bij,jk", ((2, 3, 4), (4, 5))),
        ("i,j->ij", ((3,), (4,))),
        ("ij->ji", ((3, 4),)),
        ("ijk->j", ((2, 3, 4),)),
        ("bij,bj->bi", ((2, 3, 4), (2, 4))),
        ("ij,ij->", ((3, 4), (3, 4))),
        ("ab,bc,cd->da", ((2, 3), (3, 4), (4, 5))),
    ],
)
def test_einsum(equation, shapes):
    values = [floats(*s, seed=i) for i, s in enumerate(shapes)]
    expected = [np.asarray(np.einsum(equation, *values))]
    check(*single("Einsum", values, equation=equation), expected=expected)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"strides": 2, "pads": (1, 0)},
        {"dilations": 2, "pads": (2, 1)},
        {"auto_pad": "SAME_UPPER", "strides": 2},
        {"auto_pad": "SAME_LOWER", "strides": 2},
        {"auto_pad": "VALID"},
        {"group": 2},
    ],
)
def test_convolution(rank, attributes):
    groups = attributes.get("group", 1)
    size = 4 if rank == 3 else 7
    x = floats(2, 4, *[size] * rank)
    w = floats(6, 4 // groups, *[2, 3, 1][:rank], seed=1)
    given = dict(attributes)
    for name in ("strides", "dilations"):
        if name in given:
            given[name] = [given[name]] * rank
    if "pads" in given:
        given["pads"] = [given["pads"][0]] * rank + [given["pads"][1]] * rank
    check(*single("Conv", [x, w], fixed=[1], **given))
    check(*single("Conv", [x, w, floats(6, seed=2)], fixed=[1, 2], **given))


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"strides": 2, "pads": (1, 0)},
        {"strides": 2, "output_padding": 1},
        {"strides": 2, "auto_pad": "SAME_UPPER"},
        {"strides": 3, "output_shape": 15},
        {"dilations": 2},
    ],
)
def test_transposed_convolution(rank, attributes):
    x, w = floats(1, 4, *[5] * rank), floats(4, 3, *[3] * rank, seed=1)
    given = {
        name: [value] * rank if isinstance(value, int) else value
        for name, value in attributes.items()
    }
    if "pads" in given:
        given["pads"] = [given["pads"][0]] * rank + [given["pads"][1]] * rank
    check(*single("ConvTranspose", [x, w, floats(3, seed=2)], fixed=[1, 2], **given))


@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"strides": 2},
        {"strides": 2, "pads": 1},
        {"strides": 2, "ceil_mode": 1},
        {"strides": 3, "pads": 1, "ceil_mode": 1},
        {"strides": 2, "auto_pad": "SAME_UPPER"},
        {"strides": 2, "auto_pad": "SAME_LOWER"},
    ],
)
def test_pooling(op_type, rank, attributes):
    given = dict(attributes)
    if "strides" in given:
        given["strides"] = [given["strides"]] * rank
    if "pads" in given:
        given["pads"] = [given["pads"]] * (2 * rank)
    x = floats(1, 2, *[6 if rank == 3 else 8] * rank)
    for extra in ({}, {"count_include_pad": 1}) if op_type == "AveragePool" else ({},):
        model, inputs = single(op_type, [x], opset=19, kernel_shape=[3] * rank, **given, **extra)
        check(model, inputs)


def test_dilated_pooling():
    model, inputs = single(
        "MaxPool", [floats(1, 2, 9, 9)], kernel_shape=[3, 2], dilations=[2, 3], opset=12
    )
    check(model, inputs)


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 4, 5), (2, 3, 2, 4, 5)])
@pytest.mark.parametrize("op_type", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_pooling(op_type, shape):
    check(*single(op_type, [floats(*shape)]))


@pytest.mark.parametrize("opset", [7, 9, 14, 15])
def test_batch_normalization(opset):
    statistics = [floats(3, seed=i, low=0.1) for i in range(1, 5)]
    x = floats(2, 3, 4, 5)
    model, inputs = single(
        "BatchNormalization", [x, *statistics], opset=opset, fixed=[1, 2, 3, 4], epsilon=1e-3
    )
    check(model, inputs)


@pytest.mark.parametrize("axis", [-1, 1, 2])
@pytest.mark.parametrize("bias", [False, True])
def test_layer_normalization(axis, bias):
    x = floats(2, 3, 4)
    inner = x.shape[axis:]
    parameters = [floats(*inner, seed=1)] + ([floats(*inner, seed=2)] if bias else [])
    model, inputs = single(
        "LayerNormalization", [x, *parameters], fixed=range(1, 1 + len(parameters)), axis=axis
    )
    check(model, inputs)


def test_instance_and_group_normalization():
    x = floats(2, 6, 4, 5)
    check(*single("InstanceNormalization", [x, floats(6, seed=1), floats(6, seed=2)]))
    scale, bias = floats(6, seed=1), floats(6, seed=2)
    check(*single("GroupNormalization", [x, scale, bias], opset=21, num_groups=3))
    scale, bias = floats(3, seed=1), floats(3, seed=2)
    spread = [np.repeat(v, 2) for v in (scale, bias)]
    rows = x.reshape(2, 3, -1)
    normal = (rows - rows.mean(-1, keepdims=True)) / np.sqrt(rows.var(-1, keepdims=True) + 1e-5)
    expected = normal.reshape(x.shape) * spread[0][:, None, None] + spread[1][:, None, None]
    model, inputs = single("GroupNormalization", [x, scale, bias], opset=18, num_groups=3)
    check(model, inputs, expected=[expected.astype(np.float32)])


def test_other_normalizations():
    check(*single("LRN", [floats(2, 6, 4, 5)], size=3, alpha=0.01, beta=0.6, bias=1.5))
    check(*single("MeanVarianceNormalization", [floats(2, 3, 4, 5)], opset=13))
    for p in (1, 2):
        check(*single("LpNormalization", [floats(3, 4)], axis=1, p=p))


# Corners are aligned by the size before rounding, as the standard has it and onnxruntime has not.
@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric"])
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("scale", [2.0, 1.5, 0.6])
def test_resize(mode, coordinates, scale):
    model, inputs = single(
        "Resize",
        [floats(1, 2, 5, 6), None, np.array([1, 1, scale, scale], np.float32)],
        opset=13,
        fixed=[2],
        mode=mode,
        coordinate_transformation_mode=coordinates,
        nearest_mode="floor" if coordinates == "asymmetric" else "round_prefer_floor",
    )
    check(model, inputs)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_resize_to_sizes(mode):
    inputs = [floats(1, 2, 5, 6), None, None, ints(1, 2, 7, 9)]
    model, given = single(
        "Resize", inputs, opset=13, fixed=[3], mode=mode,
        coordinate_transformation_mode="pytorch_half_pixel",
    )  # fmt: skip
    check(model, given)


def test_upsample():
    scales = np.array([1, 1, 2, 3], np.float32)
    main = check(*single("Upsample", [floats(1, 2, 3, 4), scales], opset=9, fixed=[1]))
    assert operators(main) == ["repeat", "repeat"]
    model, inputs = single("Resize", [floats(1, 2, 3, 4), scales], opset=10, fixed=[1])
    check(model, inputs)
