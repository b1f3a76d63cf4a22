import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from frontend.onnx.ml_models import check, model, run, tensor
from onnx_models import floats, runtime

TRANSFORMS = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"]
NAN = float("nan")

# ---------------------------------------------------------------- features


@pytest.mark.parametrize("shape", [(6,), (3, 6), (2, 3, 6)])
def test_columns_are_chosen(shape):
    data, indices = floats(*shape), np.array([4, 0, 0, 5])
    check(model("ArrayFeatureExtractor", [data, indices], version=1), [data, indices])


@pytest.mark.parametrize("threshold", [0.0, 0.5, -0.5])
def test_elements_above_a_threshold(threshold):
    data = np.array([[-1, -0.5, 0], [0.5, 0.6, 7]], np.float32)
    check(model("Binarizer", [data], threshold=threshold), [data])


@pytest.mark.parametrize("threshold", [0.5, 1.0, -0.5, 1e30, -1e30])
def test_integers_above_a_threshold(threshold):
    data = np.array([-2, -1, 0, 1, 2, 9])
    expected = (data > threshold).astype("int64")
    check(model("Binarizer", [data], threshold=threshold), [data], [expected])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32"])
@pytest.mark.parametrize("count", [1, 4])
def test_scaling(dtype, count):
    data = (floats(3, 4) * 5).astype(dtype)
    offset, scale = [0.5, 1, 2, 3][:count], [2.0, 0.5, 3, 4][:count]
    check(model("Scaler", [data], offset=offset, scale=scale), [data])


@pytest.mark.parametrize("norm", ["MAX", "L1", "L2"])
@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_norms(norm, dtype):
    data = (floats(4, 5, low=0) * 3).astype(dtype)
    data[1] = 0
    check(model("Normalizer", [data], norm=norm), [data])


def test_the_largest_norm_is_of_absolute_values():
    data = np.array([[-4, 2]], np.float32)
    assert run(model("Normalizer", [data], norm="MAX"), [data])[0].tolist() == [[-1, 0.5]]


@pytest.mark.parametrize("replaced", [NAN, 2.0])
@pytest.mark.parametrize("values", [[7.0], [7.0, 8.0, 9.0]])
def test_missing_numbers(replaced, values):
    data = np.array([[1, NAN, 2], [2, NAN, 4]], np.float32)
    proto = model("Imputer", [data], imputed_value_floats=values, replaced_value_float=replaced)
    check(proto, [data])


def test_missing_integers():
    data = np.array([[1, 2, 3], [3, 2, 1]])
    proto = model("Imputer", [data], imputed_value_int64s=[7, 8, 9], replaced_value_int64=2)
    check(proto, [data])


def test_features_side_by_side():
    inputs = [floats(3, 2), floats(3, 1), floats(3, 5)]
    check(model("FeatureVectorizer", inputs, inputdimensions=[2, 1, 5]), inputs)
    inputs[1] = inputs[1][:, 0]
    found = run(model("FeatureVectorizer", inputs, inputdimensions=[1, 2, 7]), inputs)[0]
    expected = np.zeros((3, 10), np.float32)
    expected[:, 0], expected[:, 1], expected[:, 3:8] = inputs[0][:, 0], inputs[1], inputs[2]
    assert np.array_equal(found, expected)


# ---------------------------------------------------------------- encoders


def test_integers_to_numbers():
    data = np.array([[1, 2, 3], [-7, 2, 0]])
    for values in ({"values_floats": [0.5, 2, 3]}, {"values_int64s": [9, 8, 7]}):
        check(model("LabelEncoder", [data], version=2, keys_int64s=[2, -7, 3], **values), [data])
    proto = model(
        "LabelEncoder", [data], version=2, keys_int64s=[2, -7, 2], values_floats=[1.0, 2, 3],
        default_float=0.5,
    )  # fmt: skip
    check(proto, [data])


def test_floats_to_integers():
    data = np.array([0.5, NAN, -0.0, 3, np.inf], np.float32)
    proto = model(
        "LabelEncoder", [data], version=4, keys_floats=[NAN, 0.5, 0, np.inf],
        values_int64s=[1, 2, 3, 4],
    )  # fmt: skip
    check(proto, [data])


@pytest.mark.parametrize("dtype", ["int32", "float64", "int16"])
def test_tensors_as_keys_and_values(dtype):
    data = np.array([4, 5, 6, 7], dtype)
    proto = model(
        "LabelEncoder", [data], version=4, keys_tensor=tensor([7, 5], dtype),
        values_tensor=tensor([50, 70], dtype), default_tensor=tensor([-3], dtype),
    )  # fmt: skip
    check(proto, [data], [np.array([-3, 70, -3, 50], dtype)])


def test_many_keys_are_searched_by_halving():
    keys = np.random.default_rng(0).permutation(20000)[:5000]
    data = np.arange(20000)
    proto = model(
        "LabelEncoder", [data], version=2, keys_int64s=keys.tolist(),
        values_int64s=np.arange(5000).tolist(),
    )  # fmt: skip
    check(proto, [data])


@pytest.mark.parametrize("dtype", ["int64", "int32", "float32", "float64"])
@pytest.mark.parametrize("shape", [(4,), (2, 2)])
def test_one_hot(dtype, shape):
    data = np.array([3, 1, 4, 1], dtype).reshape(shape)
    expected = [[0, 0, 1], [1, 0, 0], [0, 0, 0], [1, 0, 0]]
    proto = model("OneHotEncoder", [data], cats_int64s=[1, 2, 3], zeros=1)
    check(proto, [data], [np.array(expected, np.float32).reshape(*shape, 3)])


# ---------------------------------------------------------------- linear models


@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("intercepts", [False, True])
def test_linear_regression(targets, intercepts):
    data = floats(7, 5)
    values = {"intercepts": floats(targets, seed=2).tolist()} if intercepts else {}
    coefficients = floats(5 * targets, seed=1).tolist()
    check(
        model("LinearRegressor", [data], coefficients=coefficients, targets=targets, **values),
        [data],
    )


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("classes", [2, 4])
def test_linear_classes(transform, dtype, classes):
    data = (floats(9, 5) * 3).astype(dtype)
    proto = model(
        "LinearClassifier", [data], 2, coefficients=floats(5 * classes, seed=1).tolist(),
        intercepts=floats(classes, seed=2).tolist(), post_transform=transform,
        classlabels_ints=[7, 3, 5, 2][:classes],
    )  # fmt: skip
    check(proto, [data])


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_one_linear_form_for_two_classes(transform):
    """Where onnxruntime forgets the transform, as the reference implementation has it."""
    data = floats(9, 5)
    proto = model(
        "LinearClassifier", [data], 2, coefficients=floats(5, seed=1).tolist(), intercepts=[0.1],
        post_transform=transform, classlabels_ints=[7, 3],
    )  # fmt: skip
    check(proto, [data], two_classes(proto, data, transform))


def two_classes(proto, data, transform):
    """What is expected where onnxruntime forgets SOFTMAX and SOFTMAX_ZERO."""
    expected = runtime(proto, {"i0": data})
    if transform.startswith("SOFTMAX"):
        expected[1] = ReferenceEvaluator(proto).run(None, {"i0": data.copy()})[1]
    return expected


# ---------------------------------------------------------------- support vectors

KERNELS = ["LINEAR", "POLY", "RBF", "SIGMOID"]
PARAMETERS = [0.3, 0.5, 3.0]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("one_class", [0, 1])
def test_regression_by_support_vectors(kernel, one_class):
    data = floats(9, 5)
    proto = model(
        "SVMRegressor", [data], support_vectors=floats(6 * 5, seed=1).tolist(), n_supports=6,
        coefficients=floats(6, seed=2).tolist(), rho=[0.2], kernel_type=kernel,
        kernel_params=PARAMETERS, one_class=one_class,
    )  # fmt: skip
    check(proto, [data])


def test_regression_without_support_vectors():
    data = floats(9, 5)
    coefficients = floats(5, seed=2).tolist()
    proto = model(
        "SVMRegressor",
        [data],
        coefficients=coefficients,
        rho=[0.2],
        kernel_type="LINEAR",
        kernel_params=PARAMETERS,
    )
    check(proto, [data])


def machine(classes: int, probable: bool, seed: int = 0, low: float = -2) -> dict[str, object]:
    """The attributes of a random classifier of 5 features."""
    per_class = [3, 4, 2, 5][:classes]
    total, pairs = sum(per_class), classes * (classes - 1) // 2
    found: dict[str, object] = {
        "support_vectors": floats(total * 5, seed=seed + 1).tolist(),
        "vectors_per_class": per_class,
        "coefficients": floats((classes - 1) * total, seed=seed + 2, low=low).tolist(),
        "rho": floats(pairs, seed=seed + 3).tolist(),
        "kernel_params": PARAMETERS,
    }
    if probable:
        found["prob_a"] = floats(pairs, seed=seed + 4, low=-2, high=-0.5).tolist()
        found["prob_b"] = floats(pairs, seed=seed + 5, low=-0.5, high=0.5).tolist()
    return found


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("probable", [False, True])
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_classes_by_support_vectors(kernel, classes, probable, transform):
    data = floats(20, 5)
    proto = model(
        "SVMClassifier", [data], 2, **machine(classes, probable), kernel_type=kernel,
        classlabels_ints=[5, 3, 8, 1][:classes], post_transform=transform,
    )  # fmt: skip
    one = classes == 2 and not probable
    check(proto, [data], two_classes(proto, data, transform) if one else None)


@pytest.mark.parametrize("probable", [False, True])
def test_two_classes_with_positive_coefficients(probable):
    data = floats(20, 5)
    attributes = machine(2, probable, low=0)
    proto = model(
        "SVMClassifier", [data], 2, **attributes, kernel_type="RBF", classlabels_ints=[5, 3]
    )
    check(proto, [data])


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("low", [0, -2])
def test_classes_without_support_vectors(classes, low):
    data = floats(20, 5)
    proto = model(
        "SVMClassifier", [data], 2, coefficients=floats(5 * classes, seed=1, low=low).tolist(),
        rho=[0.1] * (1 if classes == 2 else classes),
        classlabels_ints=[1, 2, 3][:classes], kernel_type="LINEAR", kernel_params=PARAMETERS,
    )  # fmt: skip
    check(proto, [data])
