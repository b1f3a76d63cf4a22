"""Nodes of old versions that say otherwise what newer ones mean."""

import numpy as np
import pytest

from onnx_models import check, floats, single
from relay.frontend.onnx import from_onnx
from relay.support.errors import ImportModelError

X = floats(2, 3, 4, 4)


def test_sizes_of_a_reshape() -> None:
    check(*single("Reshape", [X], opset=1, shape=[0, -1, 2]), expected=[X.reshape(2, 24, 2)])


def test_repeats_and_axis_of_a_tile() -> None:
    model, inputs = single("Tile", [X, np.float32(3), np.float32(1)], opset=1, fixed=[1, 2])
    check(model, inputs, expected=[np.tile(X, (1, 3, 1, 1))])


def test_paddings() -> None:
    wide = np.pad(X, ((0, 0), (1, 0), (0, 2), (0, 0)), constant_values=0.5)
    for opset, name in ((1, "paddings"), (2, "pads")):
        attributes = {name: [0, 1, 0, 0, 0, 0, 2, 0], "value": 0.5}
        check(*single("Pad", [X], opset=opset, **attributes), expected=[wide])


def test_names_of_types() -> None:
    for name, dtype in (("INT64", np.int64), ("DOUBLE", np.float64), ("BOOL", np.bool_)):
        check(*single("Cast", [X], opset=1, to=name), expected=[X.astype(dtype)])
    with pytest.raises(ImportModelError, match="there is no data type 'INT65'"):
        from_onnx(single("Cast", [X], opset=1, to="INT65")[0])


def test_scales_of_height_and_width() -> None:
    model, inputs = single("Upsample", [X], opset=1, height_scale=2.0, width_scale=3.0)
    check(model, inputs, expected=[X.repeat(2, 2).repeat(3, 3)])


def test_blocks_of_channels() -> None:
    x = floats(1, 8, 2, 3)
    blocks = x.reshape(1, 2, 2, 2, 2, 3).transpose(0, 3, 4, 1, 5, 2).reshape(1, 2, 4, 6)
    check(*single("DepthToSpace", [x], opset=1, blocksize=2), expected=[blocks])


@pytest.mark.parametrize("opset", [1, 2])
def test_norms(opset: int) -> None:
    order = 3.0 if opset == 1 else 3
    cubes = np.abs(X) ** 3
    whole = np.cbrt(cubes.sum((2, 3), keepdims=True))
    check(*single("GlobalLpPool", [X], opset=opset, p=order), expected=[whole])
    parts = np.cbrt(cubes.reshape(2, 3, 2, 2, 2, 2).sum((3, 5)))
    window = {"kernel_shape": [2, 2], "strides": [2, 2], "p": order}
    check(*single("LpPool", [X], opset=opset, **window), expected=[parts])


@pytest.mark.parametrize("spatial", [0, 1])
@pytest.mark.parametrize("opset", [1, 6, 7])
def test_statistics_of_training_and_of_the_batch(opset: int, spatial: int) -> None:
    inner = (3,) if spatial else (3, 4, 4)
    numbers = [floats(*inner, seed=k, low=0.1) for k in range(4)]
    scale, bias, mean, variance = (n.reshape(inner + (1, 1) * spatial) for n in numbers)
    attributes = {"spatial": spatial, "epsilon": 1e-3}
    if opset < 7:
        attributes["is_test"] = 1
    normal = (X - mean) / np.sqrt(variance + 1e-3) * scale + bias
    model, inputs = single("BatchNormalization", [X, *numbers], opset, **attributes)
    check(model, inputs, expected=[normal])
    if opset < 7:
        axes = (0, 2, 3) if spatial else (0,)
        of_batch = X - X.mean(axes, keepdims=True)
        normal = of_batch / np.sqrt(X.var(axes, keepdims=True) + 1e-3) * scale + bias
        attributes["is_test"] = 0
        model, inputs = single("BatchNormalization", [X, *numbers], opset, 3, **attributes)
        moved = [
            0.9 * old + 0.1 * new(X, axis=axes).astype(np.float32)
            for old, new in zip(numbers[2:], (np.mean, np.var), strict=True)
        ]
        check(model, inputs, expected=[normal, *moved])
