"""Random nodes of neural networks: convolution, pooling, normalisation, recurrence, resizing."""

from typing import Any

import numpy as np

from fuzzing.building import FLOATS, Builder, Skip, Value


def _image(b: Builder, least: int = 3) -> Value:
    """A batch of (multi-)channel signals, images or volumes."""
    dtypes = ("float32",) if b.chance(0.85) else FLOATS

    def fits(value: Value) -> bool:
        return least <= value.rank <= 5 and 0 < value.array.size <= 3000

    if b.chance(0.4) or not any(fits(v) and v.dtype in dtypes for v in b.pool):
        rank = b.rng.choice((3, 4, 4, 4, 5))
        sizes = [b.rng.randint(1, 12 if rank < 5 else 5) for _ in range(rank - 2)]
        channels = b.rng.choice((1, 2, 3, 4, 6, 8, 16))
        return b.given(b.array((b.rng.choice((1, 1, 2, 3)), channels, *sizes), dtypes[0]))
    return b.pick(dtypes, fits)


def _windows(b: Builder, value: Value, dilated: bool = True) -> dict[str, Any]:
    """Attributes of windows that move over `value`."""
    spatial = value.rank - 2
    kernel = [b.rng.randint(1, 4) for _ in range(spatial)]
    found: dict[str, Any] = {"kernel_shape": kernel}
    if b.chance(0.5):
        found["strides"] = [b.rng.randint(1, 3) for _ in range(spatial)]
    if dilated and b.chance(0.3):
        found["dilations"] = [b.rng.randint(1, 3) for _ in range(spatial)]
    if b.chance(0.2):
        found["auto_pad"] = b.rng.choice(("SAME_UPPER", "SAME_LOWER", "VALID"))
        # Where windows are shorter than steps, pools of onnxruntime begin inside of the image.
        if "strides" in found:
            found["strides"] = [min(s, k) for s, k in zip(found["strides"], kernel, strict=True)]
    elif b.chance(0.5):
        found["pads"] = [b.rng.randint(0, max(0, k - 1)) for k in kernel * 2]
    return found


def _room(value: Value, attributes: dict[str, Any]) -> list[int]:
    """How much longer the padded axes of `value` are than the windows that move over them."""
    sizes = np.array(value.shape[2:])
    kernel = np.array(attributes["kernel_shape"])
    reach = (kernel - 1) * np.array(attributes.get("dilations", [1] * len(sizes))) + 1
    pads = np.array(attributes.get("pads", [0] * 2 * len(sizes))).reshape(2, -1).sum(0)
    room: list[int] = (sizes + pads - reach).tolist()
    return room


def convolution(b: Builder) -> None:
    """A convolution, in groups, with strides, dilation and padding."""
    value = _image(b)
    channels = value.shape[1]
    group = b.rng.choice([g for g in (1, 1, 2, 3, 4, channels) if channels % g == 0])
    made = group * b.rng.choice((1, 2, 3, 8) if group == 1 else (1, 1, 2))
    attributes = _windows(b, value)
    kernel = attributes["kernel_shape"]
    assert isinstance(kernel, list)
    weight = b.source((made, channels // group, *kernel), value.dtype, -1.0, 1.0)
    bias = [b.source((made,), value.dtype)] if b.chance(0.5) else []
    if b.chance(0.2):
        del attributes["kernel_shape"]
    (result,) = b.emit("Conv", [value, weight, *bias], group=group, **attributes)
    if b.chance(0.3):
        b.emit(b.rng.choice(("Relu", "Sigmoid", "HardSwish")), [result])


def transposed_convolution(b: Builder) -> None:
    """The gradient of a convolution."""
    value = _image(b)
    channels = value.shape[1]
    group = b.rng.choice([g for g in (1, 1, 2, channels) if channels % g == 0])
    made = b.rng.choice((1, 2, 3))
    attributes = _windows(b, value)
    kernel = attributes["kernel_shape"]
    assert isinstance(kernel, list)
    strides = attributes.get("strides", [1] * len(kernel))
    assert isinstance(strides, list)
    if b.chance(0.3):
        attributes["output_padding"] = [b.rng.randint(0, s - 1) for s in strides]
    if "SAME" in attributes.get("auto_pad", "") and any(
        k < s for k, s in zip(kernel, strides, strict=True)
    ):
        raise Skip("onnxruntime leaves out what no window reaches")
    weight = b.source((channels, made, *kernel), value.dtype, -1.0, 1.0)
    bias = [b.source((made * group,), value.dtype)] if b.chance(0.5) else []
    b.emit("ConvTranspose", [value, weight, *bias], group=group, **attributes)


def pooling(b: Builder) -> None:
    """An extreme or a mean of each window."""
    value = _image(b)
    op_type = b.rng.choice(("MaxPool", "MaxPool", "AveragePool", "AveragePool", "LpPool"))
    attributes = _windows(b, value, dilated=op_type == "MaxPool" or b.opset >= 19)
    if "SAME" in attributes.get("auto_pad", ""):  # onnxruntime pads for windows without gaps
        attributes.pop("dilations", None)
    if b.chance(0.3) and (op_type != "LpPool" or b.opset >= 18):
        attributes["ceil_mode"] = 1
    if op_type == "AveragePool" and b.chance(0.4):
        attributes["count_include_pad"] = 1
    if op_type == "LpPool":
        value = b.bounded(value, 0.1, 1e9)
        attributes["p"] = b.rng.choice((1, 2, 3))
    outputs = 2 if op_type == "MaxPool" and value.exact and b.chance(0.2) else 1
    if attributes.get("auto_pad", "VALID") == "VALID" and min(_room(value, attributes)) < 0:
        raise Skip("the window is larger than the image")
    if not b.emit(op_type, [value], outputs, **attributes)[0].array.size:
        raise Skip("the window is larger than the image")


def global_pooling(b: Builder) -> None:
    """One number for each channel."""
    b.emit(b.rng.choice(("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")), [_image(b)])


def normalization(b: Builder) -> None:
    """Statistics taken out."""
    op_type = b.rng.choice(
        "BatchNormalization InstanceNormalization LayerNormalization GroupNormalization LRN "
        "MeanVarianceNormalization".split()
    )
    since = {"LayerNormalization": 17, "GroupNormalization": 18}.get(op_type, 13)
    if b.opset < since:
        raise Skip("too old")
    value = _image(b)
    channels = value.shape[1]

    def vector(size: int, low: float = -1.0) -> Value:
        return b.source((size,), value.dtype, low, 2.0)

    epsilon: dict[str, Any] = {"epsilon": b.rng.choice((1e-5, 1e-3, 0.1))} if b.chance(0.6) else {}
    if op_type in ("InstanceNormalization", "MeanVarianceNormalization"):
        if np.prod(value.shape[2:]) < 3:
            raise Skip("hardly a variance")
    match op_type:
        case "BatchNormalization":
            statistics = [
                vector(channels),
                vector(channels),
                vector(channels),
                vector(channels, 0.2),
            ]
            b.emit(op_type, [value, *statistics], **epsilon)
        case "InstanceNormalization":
            b.emit(op_type, [value, vector(channels), vector(channels)], **epsilon)
        case "LayerNormalization":
            axis = b.rng.randrange(1, value.rank)
            shape = value.shape[axis:]
            if np.prod(shape) < 3:
                raise Skip("hardly a variance")
            bias = [b.source(shape, value.dtype)] if b.chance(0.7) else []
            scale = b.source(shape, value.dtype, 0.5, 1.5)
            axis = axis - value.rank if b.chance(0.5) else axis
            outputs = 3 if b.chance(0.1) else 1
            b.emit(op_type, [value, scale, *bias], outputs, axis=axis, **epsilon)
        case "GroupNormalization":
            groups = b.rng.choice([g for g in (1, 2, 3, channels) if channels % g == 0])
            if np.prod(value.shape[1:]) // groups < 3:
                raise Skip("hardly a variance")
            size = channels if b.opset >= 21 else groups
            b.emit(op_type, [value, vector(size), vector(size)], num_groups=groups, **epsilon)
        case "LRN":
            b.emit(op_type, [value], size=b.rng.choice((1, 3, 5, 2)), alpha=0.1, bias=1.5)
        case _:
            axes = (
                b.rng.choice(([0, 2, 3], [2, 3], [0, 1, 2, 3], [0, 2]))
                if value.rank > 3
                else [0, 2]
            )
            b.emit(op_type, [value], axes=axes)


def resizing(b: Builder) -> None:
    """Other sizes, by interpolation."""
    value = b.pick(("float32",), lambda v: 1 < v.rank < 6 and v.array.size > 0)
    mode = b.rng.choice(("nearest", "linear", "linear", "cubic"))
    names = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]
    names += ["half_pixel_symmetric"] if b.opset >= 19 else []
    attributes: dict[str, Any] = {
        "mode": mode,
        "coordinate_transformation_mode": b.rng.choice(names),
    }
    if mode == "nearest":
        attributes["nearest_mode"] = b.rng.choice(
            ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
        )
    if mode == "cubic" and b.chance(0.5):
        attributes["cubic_coeff_a"] = -0.5
    if mode == "cubic" and b.chance(0.3):
        attributes["exclude_outside"] = 1
    if mode != "nearest" and b.opset >= 18 and b.chance(0.3):
        attributes["antialias"] = 1
    changed = [k >= value.rank - 2 for k in range(value.rank)]
    if b.chance(0.6):
        scales = [b.rng.choice((0.5, 2.0, 1.0, 1.5, 0.75)) if c else 1.0 for c in changed]
        arguments: list[Value | None] = [value, None, b.weight(np.array(scales, np.float32))]
    else:
        sizes = [b.rng.randint(1, 9) if c else d for c, d in zip(changed, value.shape, strict=True)]
        arguments = [value, None, None, b.integers(*sizes)]
    (made,) = b.emit("Resize", arguments, **attributes)
    if not made.array.size:
        raise Skip("nothing is left")


def recurrence(b: Builder) -> None:
    """A recurrent network over a sequence."""
    op_type = b.rng.choice(("LSTM", "GRU", "RNN"))
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op_type]
    value = b.pick(("float32",), lambda v: 0 < v.array.size < 400, rank=3)
    length, batch, features = value.shape
    hidden = b.rng.choice((1, 2, 3, 5, 8))
    direction = b.rng.choice(("forward", "reverse", "bidirectional"))
    ways = 2 if direction == "bidirectional" else 1
    weights = [
        b.weight(b.array((ways, gates * hidden, n), "float32", -0.6, 0.6))
        for n in (features, hidden)
    ]
    optional: list[Value | None] = [None] * (4 if op_type == "LSTM" else 3)
    if b.chance(0.6):
        optional[0] = b.weight(b.array((ways, 2 * gates * hidden), "float32", -0.5, 0.5))
    if b.chance(0.2):
        lengths = [b.rng.randint(1, length) for _ in range(batch)]
        optional[1] = b.weight(np.array(lengths, np.int32))
    for place in range(2, len(optional)):
        if b.chance(0.4):
            optional[place] = b.weight(b.array((ways, batch, hidden), "float32"))
    attributes: dict[str, Any] = {"hidden_size": hidden, "direction": direction}
    if op_type == "GRU" and b.chance(0.5):
        attributes["linear_before_reset"] = 1
    while optional and optional[-1] is None:
        optional.pop()
    b.emit(op_type, [value, *weights, *optional], b.rng.choice((1, 2)), **attributes)


def channels_to_space(b: Builder) -> None:
    """Channels traded for pixels, and back."""
    block = b.rng.choice((2, 3))
    if b.chance(0.5):
        shape = (1, block * block * b.rng.randint(1, 2), b.rng.randint(1, 4), b.rng.randint(1, 4))
        value = (
            b.pick(("float32",), lambda v: v.rank == 4 and v.shape[1] % block**2 == 0)
            if (b.chance(0.5))
            else b.source(shape, "float32")
        )
        b.emit("DepthToSpace", [value], blocksize=block, mode=b.rng.choice(("DCR", "CRD")))
    else:
        shape = (1, b.rng.randint(1, 3), block * b.rng.randint(1, 3), block * b.rng.randint(1, 2))
        b.emit("SpaceToDepth", [b.source(shape, "float32")], blocksize=block)


def sampling(b: Builder) -> None:
    """Pixels at places that are computed."""
    if b.opset < 16:
        raise Skip("too old")
    value = _image(b)
    if value.rank != 4 or value.dtype != "float32":
        raise Skip("no image")
    shape = (value.shape[0], b.rng.randint(1, 4), b.rng.randint(1, 4), 2)
    grid = b.source(shape, "float32", -1.3, 1.3)
    linear = "bilinear" if b.opset < 20 else "linear"
    b.emit(
        "GridSample",
        [value, grid],
        align_corners=b.rng.choice((0, 1)),
        mode=linear,
        padding_mode=b.rng.choice(("zeros", "border", "reflection")),
    )
