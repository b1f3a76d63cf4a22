import numpy as np
import pytest
from onnx import numpy_helper

from onnx_models import check, floats, helper, ints, model_of, operators, single


@pytest.mark.parametrize("shape", [(6, 4), (-1,), (0, -1), (2, 0, 2, 2), (4, 3, 2)])
def test_reshape(shape):
    check(*single("Reshape", [floats(2, 3, 4), ints(*shape)], fixed=[1]))


def test_reshape_of_nothing():
    x = np.zeros((0, 3), np.float32)
    check(*single("Reshape", [x, ints(3, 0)], fixed=[1], allowzero=1))


@pytest.mark.parametrize("axis", [-2, 0, 1, 2, 3])
def test_flatten(axis):
    check(*single("Flatten", [floats(2, 3, 4)], axis=axis))


@pytest.mark.parametrize("perm", [None, (0, 2, 1), (2, 0, 1), (0, 1, 2)])
def test_transpose(perm):
    attributes = {} if perm is None else {"perm": perm}
    check(*single("Transpose", [floats(2, 3, 4)], **attributes))


@pytest.mark.parametrize("axes", [None, (0,), (0, -1)])
def test_squeeze(axes):
    x = floats(1, 3, 1)
    if axes is None:
        check(*single("Squeeze", [x]))
    else:
        check(*single("Squeeze", [x], opset=11, axes=axes))
        check(*single("Squeeze", [x, ints(*axes)], opset=13, fixed=[1]))


@pytest.mark.parametrize("axes", [(0,), (1, 3), (-1, 0), (2, 0)])
def test_unsqueeze(axes):
    check(*single("Unsqueeze", [floats(3, 4), ints(*axes)], opset=13, fixed=[1]))
    if min(axes) >= 0:
        check(*single("Unsqueeze", [floats(3, 4)], opset=11, axes=axes))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat(axis):
    shapes = [[2, 3, 4] for _ in range(3)]
    for i, shape in enumerate(shapes):
        shape[axis] = i + 1
    check(*single("Concat", [floats(*s, seed=i) for i, s in enumerate(shapes)], axis=axis))


def test_split():
    x = floats(2, 6)
    check(*single("Split", [x], opset=11, outputs=3, axis=1))
    check(*single("Split", [x], opset=11, outputs=2, axis=1, split=[2, 4]))
    check(*single("Split", [x, ints(1, 2, 3)], opset=13, outputs=3, fixed=[1], axis=-1))
    check(*single("Split", [floats(2, 7)], opset=18, outputs=3, axis=1, num_outputs=3))
    check(*single("Split", [x], opset=18, outputs=1, axis=1, num_outputs=1))


@pytest.mark.parametrize(
    ("starts", "ends", "axes", "steps"),
    [
        ((1, 0), (4, 2), None, None),
        ((0,), (1000,), (1,), None),
        ((-3,), (-1,), (0,), None),
        ((0, 5), (5, 0), (0, 1), (2, -2)),
        ((-1,), (-1000,), (1,), (-1,)),
        ((3,), (3,), (0,), None),
        ((4,), (0,), (-1,), (-1,)),
    ],
)
def test_slice(starts, ends, axes, steps):
    x = floats(5, 6)
    inputs = [x, ints(*starts), ints(*ends)]
    inputs += [None if axes is None else ints(*axes), None if steps is None else ints(*steps)]
    fixed = [i for i, v in enumerate(inputs) if i and v is not None]
    check(*single("Slice", inputs, opset=13, fixed=fixed))
    if steps is None:
        attributes = {"starts": starts, "ends": ends}
        attributes |= {} if axes is None else {"axes": axes}
        check(*single("Slice", [x], opset=9, **attributes))


@pytest.mark.parametrize("shape", [(3, 4), (2, 1, 4), (1, 1)])
def test_expand(shape):
    check(*single("Expand", [floats(3, 1), ints(*shape)], fixed=[1]))


def test_tile():
    check(*single("Tile", [floats(2, 3), ints(2, 3)], fixed=[1]))


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_pad(mode):
    x = floats(2, 5, 5)
    check(*single("Pad", [x], opset=10, pads=[0, 1, 2, 0, 2, 1], mode=mode))
    check(*single("Pad", [x, ints(0, 1, 2, 0, 2, 1)], opset=13, fixed=[1], mode=mode))


def test_pad_values_axes_and_cuts():
    x, fill = floats(2, 5, 5), np.array(1.5, np.float32)
    check(*single("Pad", [x, ints(0, 1, 2, 0, 2, 1), fill], opset=13, fixed=[1, 2]))
    check(*single("Pad", [x, ints(0, -1, 2, 0, 2, -1), fill], opset=13, fixed=[1, 2]))
    check(*single("Pad", [x, ints(1, 2), fill, ints(-1)], opset=18, fixed=[1, 2, 3]))


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("k", [None, -1, 2])
def test_trilu(upper, k):
    inputs = [floats(2, 4, 5)] + ([] if k is None else [np.array(k, np.int64)])
    check(*single("Trilu", inputs, fixed=range(1, len(inputs)), upper=upper))


def test_blocks():
    check(*single("DepthToSpace", [floats(1, 8, 2, 3)], blocksize=2, mode="DCR"))
    check(*single("DepthToSpace", [floats(1, 8, 2, 3)], blocksize=2, mode="CRD"))
    check(*single("SpaceToDepth", [floats(1, 2, 4, 6)], blocksize=2))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("indices", [1, -1, [0, 2], [2, 1, 0], [[0, 2], [2, 2]], [1, 1], []])
def test_gather(axis, indices):
    places = np.array(indices, np.int64)
    check(*single("Gather", [floats(3, 4, 5), places], fixed=[1], axis=axis))
    if places.size:
        check(*single("Gather", [floats(3, 4, 5), places], axis=axis))


def test_gather_of_equal_steps_is_a_slice():
    main = check(*single("Gather", [floats(6, 4), ints(1, 3, 5)], fixed=[1]))
    assert operators(main) == ["strided_slice"]


def test_gather_elements():
    places = np.array([[0, -1, 2], [1, 0, 0]], np.int64)
    check(*single("GatherElements", [floats(3, 3), places], fixed=[1], axis=0))
    check(*single("GatherElements", [floats(2, 4), places], axis=1))


@pytest.mark.parametrize("fixed", [(), (1,)])
@pytest.mark.parametrize(
    ("indices", "batch"),
    [([[0, 1], [-1, 2]], 0), ([[1], [0]], 0), ([[[0, 1]], [[1, 0]]], 0), ([[1], [3]], 1)],
)
def test_gather_nd(indices, batch, fixed):
    places = np.array(indices, np.int64)
    check(*single("GatherND", [floats(2, 4, 3), places], fixed=fixed, batch_dims=batch))


@pytest.mark.parametrize("axis", [-1, 0])
def test_one_hot(axis):
    indices, depth, values = ints(0, 2, -1, 7), np.array(4, np.int64), floats(2)
    check(*single("OneHot", [indices, depth, values], fixed=[1, 2], axis=axis))


def test_shape_and_size():
    check(*single("Shape", [floats(2, 3, 4)], opset=15))
    check(*single("Shape", [floats(2, 3, 4)], opset=15, start=-2, end=3))
    check(*single("Size", [floats(2, 3, 4)]))


def test_constants():
    x = floats(2)
    for attributes in (
        {"value": numpy_helper.from_array(floats(2, seed=1))},
        {"value_float": 1.5},
        {"value_floats": [1.0, 2.0]},
    ):
        node = helper.make_node("Constant", [], ["c"], **attributes)
        add = helper.make_node("Add", ["x", "c"], ["y"])
        check(model_of([node, add], {"x": x}, ["y"], opset=13), {"x": x})


def test_constant_of_shape_and_range():
    x = floats(2, 3)
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("ConstantOfShape", ["s"], ["zeros"]),
        helper.make_node(
            "ConstantOfShape",
            ["s"],
            ["sevens"],
            value=numpy_helper.from_array(np.array([7], np.int64)),
        ),
        helper.make_node("Range", ["a", "b", "c"], ["r"]),
    ]
    weights = {n: np.array(v, np.int64) for n, v in {"a": 10, "b": 3, "c": -2}.items()}
    model = model_of(nodes, {"x": x}, ["zeros", "sevens", "r"], weights)
    assert operators(check(model, {"x": x})) == []


def test_eye_like():
    check(*single("EyeLike", [floats(3, 4)], k=1))


def test_shape_computations_leave_static_attributes():
    x = floats(10, 4, 1, 1)
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"], axis=0),
        helper.make_node("Unsqueeze", ["batch"], ["batches"], axes=[0]),
        helper.make_node("Concat", ["batches", "rest"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["x", "wanted"], ["y"]),
    ]
    weights = {"zero": np.array(0, np.int64), "rest": ints(-1)}
    main = check(model_of(nodes, {"x": x}, ["y"], weights, opset=9), {"x": x})
    assert operators(main) == ["reshape"]
    assert main.body.attrs.newshape == (10, 4)
