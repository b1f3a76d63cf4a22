"""Quantized numbers and conversions of ONNX, against what the standard's formulas give in NumPy."""

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from onnx_models import floats, model_of, runtime, single
from relay import codes, vm
from relay.executor import create_executor
from relay.frontend.onnx import from_onnx
from relay.runtime.ndarray import NDArray
from relay.support.errors import ImportModelError

RANGES = {
    "uint8": (0, 255),
    "int8": (-128, 127),
    "uint16": (0, 65535),
    "int16": (-32768, 32767),
    "uint4": (0, 15),
    "int4": (-8, 7),
    "uint2": (0, 3),
    "int2": (-2, 1),
}


def run(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """What the virtual machine and the interpreter make of the model, which must agree."""
    module, params = from_onnx(model)
    machine = vm.VirtualMachine(vm.compile(module, params=params))
    result = fields(machine.invoke("main", **inputs))
    weights = {name: value.numpy() for name, value in params.items()}
    other = create_executor("debug", mod=module).evaluate()(**inputs, **weights)
    for one, two in zip(result, fields(other), strict=True):
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one.values(), two.values())
    return [r.typed() for r in result]


def fields(result: object) -> tuple[NDArray, ...]:
    return tuple(result) if isinstance(result, tuple | list) else (result,)


def same(found: np.ndarray, expected: np.ndarray) -> None:
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found.astype(np.float64), expected.astype(np.float64))


def as_type(values: np.ndarray, dtype: str) -> np.ndarray:
    return np.asarray(values).astype(getattr(ml_dtypes, dtype, None) or dtype)


def quantized(quotient: np.ndarray, zero: np.ndarray, dtype: str) -> np.ndarray:
    """The end of QuantizeLinear's formula: round, then add the zero point."""
    whole = np.rint(quotient.astype(np.float64)) + zero.astype(np.float64)
    return as_type(np.clip(whole, *RANGES[dtype]), dtype)


def scales(*shape: int, seed: int = 3) -> np.ndarray:
    return floats(*shape, seed=seed, low=0.01, high=0.2)


def zeros(dtype: str, *shape: int) -> np.ndarray:
    low, high = (max(v, -9) for v in RANGES[dtype])
    numbers = np.random.default_rng(2).integers(low, min(high, 9), shape, endpoint=True)
    return as_type(numbers, dtype)


# ---------------------------------------------------------------------- one tensor


@pytest.mark.parametrize("dtype", RANGES)
def test_quantize_a_tensor(dtype: str) -> None:
    x, scale, zero = floats(40, 50) * 30, scales(), zeros(dtype)
    x[0, :4] = [np.inf, -np.inf, 1e30, -0.0]
    model, given = single("QuantizeLinear", [x, scale, zero], opset=25)
    same(run(model, given)[0], quantized(x / scale, zero, dtype))


@pytest.mark.parametrize("opset", [10, 13, 19, 21, 23, 25])
def test_versions(opset: int) -> None:
    x, scale, zero = floats(6, 5) * 30, scales(), zeros("int8")
    model, given = single("QuantizeLinear", [x, scale, zero], opset=opset)
    (found,) = run(model, given)
    same(found, quantized(x / scale, zero, "int8"))
    same(found, runtime(model, given)[0])
    back, given = single("DequantizeLinear", [found, scale, zero], opset=opset)
    expected = (found.astype(np.float32) - zero.astype(np.float32)) * scale
    same(run(back, given)[0], expected)


def test_ties_go_to_even_before_the_zero_point() -> None:
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5], np.float32)
    model, given = single("QuantizeLinear", [x, np.float32(1.0), np.uint8(3)], opset=21)
    assert run(model, given)[0].tolist() == [3, 5, 5, 3, 1]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_quotients_have_the_precision_of_the_scale(dtype: str) -> None:
    x, scale = as_type(floats(4000) * 40, dtype), as_type(np.array(0.3), dtype)
    model, given = single("QuantizeLinear", [x, scale, np.int16(0)], opset=25)
    quotient = (x.astype(np.float32) / scale.astype(np.float32)).astype(x.dtype)
    same(run(model, given)[0], quantized(quotient, np.int16(0), "int16"))
    precise, given = single(
        "QuantizeLinear", [x, scale, np.int16(0)], opset=25, precision=TensorProto.FLOAT
    )
    quotient = x.astype(np.float32) / scale.astype(np.float32)
    same(run(precise, given)[0], quantized(quotient, np.int16(0), "int16"))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", ["uint8", "int4"])
def test_quantize_an_axis(dtype: str, axis: int) -> None:
    x = floats(3, 4, 5)
    count = x.shape[axis]
    scale, zero = scales(count), zeros(dtype, count)
    along = [1, 1, 1]
    along[axis] = count
    model, given = single("QuantizeLinear", [x, scale, zero], opset=21, axis=axis)
    (found,) = run(model, given)
    same(found, quantized(x / scale.reshape(along), zero.reshape(along), dtype))
    back, given = single("DequantizeLinear", [found, scale, zero], opset=21, axis=axis)
    centred = found.astype(np.float32) - zero.reshape(along).astype(np.float32)
    same(run(back, given)[0], centred * scale.reshape(along))


@pytest.mark.parametrize(("size", "block"), [(8, 2), (7, 3), (5, 8)])
@pytest.mark.parametrize("axis", [0, 1])
def test_quantize_blocks(axis: int, size: int, block: int) -> None:
    shape = [3, 3, 2]
    shape[axis] = size
    x = floats(*shape)
    shape[axis] = -(-size // block)
    scale, zero = scales(*shape), zeros("int8", *shape)
    attributes = {"axis": axis, "block_size": block}
    model, given = single("QuantizeLinear", [x, scale, zero], opset=21, **attributes)
    whole = [np.take(np.repeat(a, block, axis), range(size), axis) for a in (scale, zero)]
    (found,) = run(model, given)
    same(found, quantized(x / whole[0], whole[1], "int8"))
    back, given = single("DequantizeLinear", [found, scale, zero], opset=21, **attributes)
    centred = found.astype(np.float32) - whole[1].astype(np.float32)
    same(run(back, given)[0], centred * whole[0])


@pytest.mark.parametrize("saturate", [0, 1])
@pytest.mark.parametrize(
    "dtype", ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float4_e2m1fn"]
)
def test_quantize_to_small_floats(dtype: str, saturate: int) -> None:
    x, scale = floats(30, 40) * 100, np.float32(0.1)
    x[0, :4] = [np.inf, -np.inf, 1e9, np.nan]
    zero = as_type(np.zeros(()), dtype)
    model, given = single("QuantizeLinear", [x, scale, zero], opset=23, saturate=saturate)
    expected = NDArray(codes.encode(x / scale, dtype, bool(saturate)), dtype).typed()
    same(run(model, given)[0], expected)
    back, given = single("DequantizeLinear", [expected, np.float16(0.25)], opset=23)
    with np.errstate(over="ignore"):
        wide = (expected.astype(np.float32) * np.float32(0.25)).astype(np.float16)
    same(run(back, given)[0], wide)


def test_output_types() -> None:
    x = floats(10)
    model, given = single("QuantizeLinear", [x, np.float32(0.1)], opset=21)
    assert run(model, given)[0].dtype == np.uint8
    asked, given = single(
        "QuantizeLinear", [x, np.float32(0.1)], opset=21, output_dtype=TensorProto.INT4
    )
    assert run(asked, given)[0].dtype == ml_dtypes.int4
    back, given = single(
        "DequantizeLinear",
        [np.arange(4, dtype=np.int8), np.float32(0.1)],
        opset=23,
        output_dtype=TensorProto.FLOAT16,
    )
    assert run(back, given)[0].dtype == np.float16
    wrong, _ = single(
        "QuantizeLinear",
        [x, np.float32(0.1), np.int8(0)],
        opset=21,
        output_dtype=TensorProto.UINT8,
    )
    with pytest.raises(ImportModelError, match="output_dtype is uint8, but its zero point is int8"):
        from_onnx(wrong)


@pytest.mark.parametrize(
    ("scale", "attributes", "message"),
    [
        ((3,), {"axis": 0}, "its scale has 3 elements"),
        ((2, 4), {"axis": 0}, "fits neither"),
        ((2, 3), {"axis": 1, "block_size": 3}, "fits neither"),
    ],
)
def test_scales_that_do_not_fit(scale: tuple[int, ...], attributes: dict, message: str) -> None:
    model, _ = single("QuantizeLinear", [floats(2, 4), scales(*scale)], opset=21, **attributes)
    with pytest.raises(ImportModelError, match=message):
        from_onnx(model)


@pytest.mark.parametrize("shift", [0.0, 3.0, -3.0])
def test_dynamic_quantization(shift: float) -> None:
    x = floats(7, 9) + np.float32(shift)
    model, given = single("DynamicQuantizeLinear", [x], opset=11, outputs=3)
    for found, expected in zip(run(model, given), runtime(model, given), strict=True):
        same(found, expected)


def test_dynamic_quantization_of_zeros() -> None:
    model, given = single("DynamicQuantizeLinear", [np.zeros(4, np.float32)], opset=11, outputs=3)
    found, scale, zero = run(model, given)
    assert (found.tolist(), int(zero)) == ([0] * 4, 0)
    assert scale == np.float32(1) / np.float32(255)


# ---------------------------------------------------------------------- products


def numbers(dtype: str, *shape: int, seed: int = 1) -> np.ndarray:
    low, high = RANGES[dtype]
    return np.random.default_rng(seed).integers(low, high, shape, endpoint=True).astype(dtype)


@pytest.mark.parametrize(
    "shapes", [((6, 7), (7, 5)), ((2, 6, 7), (7, 5)), ((2, 1, 6, 7), (3, 7, 5))]
)
@pytest.mark.parametrize("fixed", [(), (1, 3)])
def test_matmul_integer(shapes: tuple, fixed: tuple[int, ...]) -> None:
    a, b = numbers("uint8", *shapes[0]), numbers("int8", *shapes[1], seed=2)
    rows = numbers("uint8", 6) if len(shapes[0]) == 2 else np.uint8(7)
    columns = numbers("int8", 5)
    model, given = single("MatMulInteger", [a, b, rows, columns], opset=10, fixed=fixed)
    left = a.astype(np.int32) - (rows[:, None] if rows.ndim else rows).astype(np.int32)
    same(run(model, given)[0], left @ (b.astype(np.int32) - columns.astype(np.int32)))


@pytest.mark.parametrize("scale_dtype", ["float32", "float16"])
@pytest.mark.parametrize("by_axis", [False, True])
def test_qlinear_matmul(by_axis: bool, scale_dtype: str) -> None:
    a, b = numbers("uint8", 6, 70), numbers("int8", 70, 50, seed=2)
    a_scale, b_scale = (s.astype(scale_dtype) for s in (scales(6), scales(50)))
    a_zero, b_zero = numbers("uint8", 6), numbers("int8", 50)
    if not by_axis:
        a_scale, b_scale, a_zero, b_zero = a_scale[0], b_scale[0], a_zero[0], b_zero[0]
    y_scale, y_zero = np.asarray(7, scale_dtype), np.uint8(128)
    inputs = [a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero]
    model, given = single("QLinearMatMul", inputs, opset=21)
    row = (lambda v: np.reshape(v, (-1, 1))) if by_axis else (lambda v: v)
    total = (a.astype(np.int32) - row(a_zero)) @ (b.astype(np.int32) - b_zero)
    factor = ((row(a_scale) * b_scale).astype(scale_dtype) / y_scale).astype(scale_dtype)
    same(run(model, given)[0], quantized(total * factor.astype(np.float64), y_zero, "uint8"))


@pytest.mark.parametrize(
    ("attributes", "kernel"),
    [
        ({}, (3, 3)),
        ({"pads": [1, 2, 0, 1], "strides": [2, 1]}, (3, 2)),
        ({"group": 2, "dilations": [1, 2]}, (2, 3)),
        ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, (2, 3)),
    ],
)
def test_convolutions(attributes: dict, kernel: tuple[int, int]) -> None:
    group = attributes.get("group", 1)
    x, w = numbers("uint8", 2, 4, 9, 8), numbers("uint8", 6, 4 // group, *kernel, seed=2)
    model, given = single(
        "ConvInteger",
        [x, w, np.array(9, np.uint8), np.array(120, np.uint8)],
        opset=10,
        **attributes,
    )
    (total,) = run(model, given)
    same(total, ReferenceEvaluator(model).run(None, given)[0])

    bias = np.random.default_rng(4).integers(-5000, 5000, 6).astype(np.int32)
    signed = (w.astype(np.int16) - 120).clip(-128, 127).astype(np.int8)
    w_scale, w_zero = scales(6), np.zeros(6, np.int8)
    inputs = [
        x,
        np.array(0.1, np.float32),
        np.array(9, np.uint8),
        signed,
        w_scale,
        w_zero,
        np.array(3, np.float32),
        np.array(99, np.uint8),
    ]
    plain, given = single("QLinearConv", [*inputs, bias], opset=10, **attributes)
    integer, exact = single("ConvInteger", [x, signed, np.uint8(9), np.int8(0)], 10, **attributes)
    total = run(integer, exact)[0] + bias[:, None, None]
    factor = (np.float32(0.1) * w_scale / np.float32(3)).astype(np.float64)[:, None, None]
    (found,) = run(plain, given)
    same(found, quantized(total * factor, np.uint8(99), "uint8"))
    # onnxruntime multiplies in float32: it may differ where that is a tie.
    assert np.mean(found != runtime(plain, given)[0]) < 0.01


# ---------------------------------------------------------------------- conversions


@pytest.mark.parametrize("opset", [9, 13, 19, 21, 23, 25])
def test_casts_of_all_versions(opset: int) -> None:
    x = np.array([0.4, -1.6, 100.0, 0.0], np.float32)
    for to in ("INT8", "BOOL", "FLOAT16", "DOUBLE", "INT64"):
        model, given = single("Cast", [x], opset=opset, to=TensorProto.DataType.Value(to))
        same(run(model, given)[0], runtime(model, given)[0])


@pytest.mark.parametrize("mode", ["up", "down", "nearest"])
def test_scales_of_microscaling_formats(mode: str) -> None:
    x = np.array([0.0, 0.3, 1.0, 1.5, 6.0, 7.0, 3e38], np.float32)
    model, given = single("Cast", [x], opset=24, to=TensorProto.FLOAT8E8M0, round_mode=mode)
    expected = codes.encode(x, codes.E8M0, True, mode)
    np.testing.assert_array_equal(run(model, given)[0].view(np.uint8), expected)
    if mode == "up":  # the default
        plain, given = single("Cast", [x], opset=24, to=TensorProto.FLOAT8E8M0)
        np.testing.assert_array_equal(run(plain, given)[0].view(np.uint8), expected)
    wrong, _ = single("Cast", [x], opset=24, to=TensorProto.FLOAT8E8M0, round_mode="odd")
    with pytest.raises(ImportModelError, match="round_mode 'odd'"):
        from_onnx(wrong)


def test_a_cast_saturates_its_own_type() -> None:
    x = np.array([np.inf, 2.0], ml_dtypes.float8_e5m2)
    model, given = single("Cast", [x], opset=19, to=TensorProto.FLOAT8E5M2)
    assert run(model, given)[0].astype(np.float32).tolist() == [57344.0, 2.0]
    kept, given = single("Cast", [x], opset=19, to=TensorProto.FLOAT8E5M2, saturate=0)
    assert run(kept, given)[0].astype(np.float32).tolist() == [np.inf, 2.0]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("uint8", "FLOAT8E4M3FN"),
        ("float8_e5m2", "INT8"),
        ("bfloat16", "UINT16"),
        ("int16", "BFLOAT16"),
        ("int4", "UINT4"),
        ("uint4", "FLOAT4E2M1"),
        ("bool", "INT8"),
    ],
)
def test_bits(source: str, target: str) -> None:
    x = as_type(np.arange(8) % 2 if source == "bool" else np.arange(8), source)
    model, given = single("BitCast", [x], opset=26, to=TensorProto.DataType.Value(target))
    (found,) = run(model, given)
    mask = 15 if "4" in source and source != "float64" and found.itemsize == 1 else 255
    mask = 255 if source in ("float8_e5m2", "bool") else mask
    np.testing.assert_array_equal(found.view(np.uint8) & mask, x.view(np.uint8) & mask)


def test_bits_of_another_width() -> None:
    model, _ = single("BitCast", [floats(3)], opset=26, to=TensorProto.INT8)
    with pytest.raises(ImportModelError, match="float32 has 32 bits and int8 8"):
        from_onnx(model)


# ---------------------------------------------------------------------- stored tensors


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize(
    "dtype",
    ["int4", "uint4", "int2", "uint2", "float4_e2m1fn", "float8_e4m3fn", "float8_e8m0fnu"],
)
def test_weights(dtype: str, raw: bool) -> None:
    numbers = np.ones(21) if dtype == codes.E8M0 else np.arange(21) % 4
    weight = as_type(numbers.reshape(3, 7), dtype)
    tensor = numpy_helper.from_array(weight, "w")
    if not raw:
        tensor = helper.make_tensor(
            "w", tensor.data_type, (3, 7), weight.astype(np.float32).ravel()
        )
    model = model_of([helper.make_node("Identity", ["w"], ["o"])], {}, ["o"], opset=25)
    model.graph.initializer.append(tensor)
    (found,) = run(model, {})
    same(found, weight)

    if raw:
        model.graph.initializer[0].raw_data += b"\0"
    else:
        model.graph.initializer[0].int32_data.append(0)
    with pytest.raises(ImportModelError, match="'w' declares the shape"):
        from_onnx(model)


def test_packed_weights_in_a_file_beside(tmp_path) -> None:
    weight = as_type(np.arange(4096 * 3).reshape(3, 4096) % 16 - 8, "int4")
    node = helper.make_node("DequantizeLinear", ["w", "s"], ["o"], axis=0)
    model = model_of([node], {}, ["o"], {"w": weight, "s": scales(3)}, opset=21)
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights", size_threshold=0)
    module, params = from_onnx(path)
    result = vm.VirtualMachine(vm.compile(module, params=params)).invoke("main")
    expected = weight.astype(np.float32) * scales(3)[:, None]
    np.testing.assert_array_equal(result.numpy(), expected)


def test_sizes_known_at_run_time_only() -> None:
    x, scale, zero = floats(5, 3), scales(3), zeros("int8", 3)
    model, given = single("QuantizeLinear", [x, scale, zero], opset=21, fixed=(1, 2))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    same(run(model, given)[0], quantized(x / scale, zero, "int8"))
