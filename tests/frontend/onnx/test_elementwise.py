import numpy as np
import pytest
from onnx import TensorProto

from onnx_models import check, floats, ints, operators, single

UNARY = (
    "Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Erf Exp Floor Identity Log Neg Reciprocal "
    "Relu Round Sigmoid Sign Sin Sinh Sqrt Tan Tanh Softplus Softsign HardSigmoid Elu Selu "
    "LeakyRelu Celu ThresholdedRelu HardSwish Mish Shrink"
).split()
DOMAINS = {
    "Acos": (-1, 1),
    "Asin": (-1, 1),
    "Atanh": (-0.9, 0.9),
    "Acosh": (1, 3),
    "Log": (0.1, 3),
    "Sqrt": (0, 3),
    "Reciprocal": (0.5, 3),
    "Tan": (-1, 1),
}


@pytest.mark.parametrize("op_type", UNARY)
def test_unary(op_type):
    low, high = DOMAINS.get(op_type, (-4, 4))
    model, inputs = single(op_type, [floats(3, 5, low=low, high=high)], opset=18)
    check(model, inputs)


def test_activations_do_not_overflow():
    x = np.array([-200, -90, -1, 0, 1, 90, 200], np.float32)
    for op_type in ("Softplus", "Elu", "Selu", "Mish", "Celu"):
        check(*single(op_type, [x], opset=18), rtol=1e-4)


@pytest.mark.parametrize(
    ("op_type", "attributes"),
    [
        ("LeakyRelu", {"alpha": 0.3}),
        ("Elu", {"alpha": 0.7}),
        ("Selu", {"alpha": 1.5, "gamma": 1.2}),
        ("Celu", {"alpha": 2.0}),
        ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}),
        ("ThresholdedRelu", {"alpha": 0.5}),
        ("Shrink", {"lambd": 0.6, "bias": 0.2}),
    ],
)
def test_unary_attributes(op_type, attributes):
    check(*single(op_type, [floats(4, 6)], opset=16, **attributes))


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu(approximate):
    check(*single("Gelu", [floats(4, 6)], opset=20, approximate=approximate))


@pytest.mark.parametrize("op_type", ["Add", "Sub", "Mul", "Div", "Pow", "PRelu"])
@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((2, 3, 4), (4,)), ((2, 3), (1, 1))])
def test_binary(op_type, shapes):
    left = floats(*shapes[0], low=0.5 if op_type == "Pow" else -2)
    check(*single(op_type, [left, floats(*shapes[1], seed=1, low=0.5)]))


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0, 3.0])
def test_power_of_a_constant(exponent):
    model, inputs = single(
        "Pow", [floats(3, 4, low=0.1), np.array(exponent, np.float32)], fixed=[1]
    )
    main = check(model, inputs)
    assert ("power" in operators(main)) == (exponent == 3.0)


def test_power_of_mixed_types():
    check(*single("Pow", [np.array([2, 3], np.int64), floats(2, low=1.0, high=2.9)]))
    check(*single("Pow", [floats(3, low=0.1), ints(1, 2, 3)]))


def test_division_of_integers_rounds_towards_zero():
    check(*single("Div", [ints(7, -7, 7, -7), ints(2, 2, -2, -2)]))


@pytest.mark.parametrize("fmod", [0, 1])
def test_modulo(fmod):
    check(*single("Mod", [ints(7, -7, 7, -7), ints(3, 3, -3, -3)], fmod=fmod))
    if fmod:
        check(*single("Mod", [floats(6), floats(6, seed=1, low=0.5)], fmod=fmod))


@pytest.mark.parametrize("op_type", ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"])
def test_comparison(op_type):
    check(*single(op_type, [ints(1, 2, 3, 2), ints(2, 2, 2, 2)]))


@pytest.mark.parametrize("op_type", ["And", "Or", "Xor"])
def test_logic(op_type):
    check(*single(op_type, [np.array([0, 0, 1, 1], bool), np.array([0, 1, 0, 1], bool)]))


def test_not():
    check(*single("Not", [np.array([True, False])]))


@pytest.mark.parametrize("op_type", ["BitwiseAnd", "BitwiseOr", "BitwiseXor"])
def test_bits(op_type):
    check(*single(op_type, [ints(12, 7, 255), ints(10, 1, 16)], opset=18))


@pytest.mark.parametrize("direction", ["LEFT", "RIGHT"])
def test_shift(direction):
    a, b = np.array([16, 5, 200], np.uint32), np.array([1, 2, 3], np.uint32)
    check(*single("BitShift", [a, b], direction=direction))


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("op_type", ["Max", "Min", "Sum", "Mean"])
def test_variadic(op_type, count):
    shapes = [(2, 3), (3,), (1, 3), (2, 1)]
    check(*single(op_type, [floats(*s, seed=i) for i, s in enumerate(shapes[:count])]))


def test_special_numbers():
    x = np.array([1, np.nan, np.inf, -np.inf], np.float32)
    check(*single("IsNaN", [x]))
    for positive in (0, 1):
        for negative in (0, 1):
            model, inputs = single("IsInf", [x], detect_positive=positive, detect_negative=negative)
            check(model, inputs)


def test_where():
    check(*single("Where", [np.array([[True], [False]]), floats(2, 3), floats(3, seed=1)]))


@pytest.mark.parametrize("to", ["INT32", "INT64", "BOOL", "DOUBLE", "UINT8", "FLOAT16"])
def test_cast(to):
    model, inputs = single("Cast", [floats(3, 4, low=0, high=5)], to=TensorProto.DataType.Value(to))
    check(model, inputs, rtol=1e-3)


def test_cast_like():
    check(*single("CastLike", [floats(3, low=0), ints(1)]))


def test_clip_by_inputs():
    x = floats(3, 4)
    low, high = np.array(-0.5, np.float32), np.array(0.75, np.float32)
    main = check(*single("Clip", [x, low, high], fixed=[1, 2]))
    assert operators(main) == ["clip"]
    check(*single("Clip", [x, low, high]))
    check(*single("Clip", [x, low], fixed=[1]))
    check(*single("Clip", [x, None, high], fixed=[2]))
    check(*single("Clip", [ints(1, 5, 9), np.array(2, np.int64), np.array(6, np.int64)]))


def test_clip_by_attributes():
    check(*single("Clip", [floats(3, 4)], opset=7, min=-0.5, max=1.0))
    check(*single("Clip", [floats(3, 4)], opset=7, min=0.5))


@pytest.mark.parametrize("opset", [7, 12, 17])
def test_dropout(opset):
    main = check(*single("Dropout", [floats(3, 4)], opset=opset))
    assert operators(main) == []


@pytest.mark.parametrize("op_type", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("axis", [0, 1, 2, None])
@pytest.mark.parametrize("opset", [11, 13])
def test_softmax(op_type, axis, opset):
    attributes = {} if axis is None else {"axis": axis}
    check(*single(op_type, [floats(2, 3, 4)], opset=opset, **attributes))


def test_hardmax():
    check(*single("Hardmax", [floats(2, 3, 4)], opset=13, axis=1))
