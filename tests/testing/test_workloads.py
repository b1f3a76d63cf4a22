"""The networks of `relay.testing`: types, parameter names, and compiled against interpreted."""

import math
from collections.abc import Callable

import numpy as np
import pytest

import relay
from relay import testing
from relay.ir.expr import Function
from relay.ir.types import TensorType

NORM = ("gamma", "beta", "moving_mean", "moving_var")


def typed(net: Function) -> Function:
    found = testing.run_infer_type(net)
    assert isinstance(found, Function)
    return found


def suffixed(prefix: str, *suffixes: str) -> set[str]:
    return {f"{prefix}_{suffix}" for suffix in suffixes}


def norms(*prefixes: str) -> set[str]:
    return set().union(*(suffixed(prefix, *NORM) for prefix in prefixes))


def affine(*prefixes: str) -> set[str]:
    return set().union(*(suffixed(prefix, "weight", "bias") for prefix in prefixes))


def resnet_names(units: tuple[int, ...], bottle_neck: bool, stem_norm: bool) -> set[str]:
    count = 3 if bottle_neck else 2
    found = norms("bn_data", "bn1") | {"conv0_weight"} | affine("fc1")
    found |= norms("bn0") if stem_norm else set()
    for stage, depth in enumerate(units, start=1):
        for unit in range(1, depth + 1):
            name = f"stage{stage}_unit{unit}"
            for k in range(1, count + 1):
                found |= norms(f"{name}_bn{k}") | {f"{name}_conv{k}_weight"}
            if unit == 1:
                found.add(f"{name}_sc_weight")
    return found


def mobilenet_names() -> set[str]:
    found = {"conv_block_1_conv_weight"} | norms("conv_block_1_bn") | affine("fc")
    for k in range(1, 14):
        name = f"separable_conv_block_{k}"
        found |= suffixed(name, "weight", "conv2_weight") | norms(f"{name}_bn1", f"{name}_bn2")
    return found


def densenet_names(blocks: tuple[int, ...]) -> set[str]:
    found = {"conv1_weight"} | norms("batch1", "batch2") | affine("dense")
    for block, depth in enumerate(blocks):
        for layer in range(depth):
            for k in (1, 2):
                found |= norms(f"batch_{k}_{block}_{layer}")
                found.add(f"conv2d_{k}_{block}_{layer}_weight")
        if block < len(blocks) - 1:
            found |= norms(f"batch_t_{block}") | {f"conv_t_{block}_weight"}
    return found


def vgg_names(counts: tuple[int, ...], batch_norm: bool) -> set[str]:
    found = affine("fc6", "fc7", "fc8")
    for stage, count in enumerate(counts, start=1):
        for k in range(1, count + 1):
            found |= affine(f"conv{stage}_{k}")
            found |= norms(f"bn{stage}_{k}") if batch_norm else set()
    return found


FULL_SIZE: dict[str, tuple[Callable[[], Function], tuple[int, ...], set[str]]] = {
    "mlp": (lambda: testing.mlp.get_net(4), (4, 10), affine("fc1", "fc2", "fc3")),
    "resnet-18": (
        lambda: testing.resnet.get_net(1, 1000, 18),
        (1, 1000),
        resnet_names((2, 2, 2, 2), False, True),
    ),
    "resnet-50": (
        lambda: testing.resnet.get_net(2, 1000),
        (2, 1000),
        resnet_names((3, 4, 6, 3), True, True),
    ),
    "resnet-20, small images": (
        lambda: testing.resnet.get_net(1, 10, 20, (3, 28, 28)),
        (1, 10),
        resnet_names((3, 3, 3), False, False),
    ),
    "resnet-164, small images": (
        lambda: testing.resnet.get_net(1, 10, 164, (3, 28, 28)),
        (1, 10),
        resnet_names((18, 18, 18), True, False),
    ),
    "resnet-34, NHWC": (
        lambda: testing.resnet.get_net(1, 1000, 34, (224, 224, 3), "NHWC"),
        (1, 1000),
        resnet_names((3, 4, 6, 3), False, True),
    ),
    "resnet_3d-18": (
        lambda: testing.resnet_3d.get_net(1, 400, 18),
        (1, 400),
        resnet_names((2, 2, 2, 2), False, True),
    ),
    "mobilenet": (lambda: testing.mobilenet.mobile_net(), (1, 1000), mobilenet_names()),
    "mobilenet, NHWC": (
        lambda: testing.mobilenet.mobile_net(data_shape=(1, 224, 224, 3), layout="NHWC"),
        (1, 1000),
        mobilenet_names(),
    ),
    "squeezenet 1.0": (
        lambda: testing.squeezenet.get_net(1, (3, 224, 224), 1000, "1.0", "float32"),
        (1, 1000),
        affine("conv1", "conv_final")
        | affine(
            *(f"fire{k}_{part}_conv" for k in range(1, 9) for part in ("input", "left", "right"))
        ),
    ),
    "vgg-11": (
        lambda: testing.vgg.get_net(1, (3, 224, 224), 1000, "float32"),
        (1, 1000),
        vgg_names((1, 1, 2, 2, 2), False),
    ),
    "vgg-19, normalised": (
        lambda: testing.vgg.get_net(1, (3, 224, 224), 1000, "float32", 19, True),
        (1, 1000),
        vgg_names((2, 2, 4, 4, 4), True),
    ),
    "densenet-121": (
        lambda: testing.densenet.get_net(121, 1000, (4, 3, 224, 224)),
        (4, 1000),
        densenet_names((6, 12, 24, 16)),
    ),
    "dqn": (
        lambda: testing.dqn.get_net(1),
        (1, 18),
        affine("conv1", "conv2", "conv3", "dense1", "dense2"),
    ),
    "dcgan": (
        lambda: testing.dcgan.get_net(1),
        (1, 3, 64, 64),
        {"dense_weight", *(f"g{k}_deconv_weight" for k in range(2, 6))}
        | norms(*(f"g{k}_batch_norm" for k in range(2, 5))),
    ),
    "lstm": (
        lambda: testing.lstm.get_net(3, 16, batch_size=2),
        (2, 16),
        affine(*(f"{part}_{k}" for part in ("i2h", "h2h") for k in range(3))),
    ),
    "synthetic": (
        lambda: testing.synthetic.get_net(),
        (1, 3, 24, 12),
        {"dense_weight", "conv_weight", "bias", "dense2_weight", "conv2_weight"}
        | norms("batch_norm"),
    ),
}
"""Network, shape of the result, names of the parameters."""


@pytest.mark.parametrize("name", FULL_SIZE)
def test_type_and_names(name: str) -> None:
    build, shape, names = FULL_SIZE[name]
    net = typed(build())
    assert net.ret_type == TensorType(shape, "float32")
    assert {p.name_hint for p in net.params} == names | {"data"}


PARAMETERS = {
    # Counted by the papers' own tables, or by the best-known implementations, without the moving
    # statistics of normalisations.
    "resnet-50": 25_549_480 + 2_000 * 0,
    "vgg-11": 132_863_336,
    "mobilenet": 4_231_976,
    "squeezenet 1.0": 1_248_424,
    "densenet-121": 7_978_856,
}


@pytest.mark.parametrize("name", ["vgg-11", "mobilenet", "squeezenet 1.0", "densenet-121"])
def test_number_of_weights(name: str) -> None:
    net = typed(FULL_SIZE[name][0]())
    weights = [p for p in net.params if p.name_hint != "data" and "moving" not in p.name_hint]
    assert sum(math.prod(p.checked_type.concrete_shape) for p in weights) == PARAMETERS[name]


def test_inception_v3() -> None:
    net = typed(testing.inception_v3.get_net(1, 1000, (3, 299, 299), "float32"))
    names = {p.name_hint for p in net.params}
    assert net.ret_type == TensorType((1, 1000), "float32")
    assert {"fc1_weight", "fc2_bias", "conv_conv1_weight", "conv_4_bn_gamma"} <= names
    assert suffixed("mixed_10_tower_1", "mixed_conv_1_conv1_weight", "conv_1_conv1_weight") <= names
    assert suffixed("mixed_7_tower_1", *(f"conv_{k}_bn_moving_var" for k in range(1, 5))) <= names
    assert len([n for n in names if n.endswith("_conv1_weight")]) == 94


REDUCED: dict[str, Callable[[], tuple[relay.IRModule, dict[str, relay.NDArray]]]] = {
    "mlp": lambda: testing.mlp.get_workload(2, image_shape=(1, 6, 6)),
    "resnet": lambda: testing.resnet.get_workload(1, 10, 8, (3, 16, 16)),
    "resnet, large images": lambda: testing.resnet.get_workload(1, 10, 18, (3, 40, 40)),
    "resnet, NHWC": lambda: testing.resnet.get_workload(1, 10, 8, (16, 16, 3), "NHWC"),
    "resnet_3d": lambda: testing.resnet_3d.get_workload(1, 10, 8, (3, 4, 8, 8)),
    "mobilenet": lambda: testing.mobilenet.get_workload(1, 10, (3, 32, 32)),
    "squeezenet": lambda: testing.squeezenet.get_workload(1, 10, "1.0", (3, 48, 48)),
    "squeezenet 1.1": lambda: testing.squeezenet.get_workload(1, 10, "1.1", (3, 48, 48)),
    "dqn": lambda: testing.dqn.get_workload(2, 5, (4, 36, 36)),
    "dcgan": lambda: testing.dcgan.get_workload(1, ngf=4, random_len=10),
    "dcgan, NHWC": lambda: testing.dcgan.get_workload(
        1, (64, 64, 3), ngf=2, random_len=10, layout="NHWC"
    ),
    "lstm": lambda: testing.lstm.get_workload(3, 8, batch_size=2),
    "synthetic": lambda: testing.synthetic.get_workload((1, 3, 8, 12)),
}


def check_compiled(module: relay.IRModule, params: dict[str, relay.NDArray]) -> None:
    """The compiled program computes what the interpreter does."""
    rng = np.random.default_rng(0)
    inputs = [
        rng.standard_normal(p.checked_type.concrete_shape).astype("float32")
        for p in module["main"].params
        if p.name_hint == "data"
    ]
    expected = relay.create_executor("debug", module, params=params).evaluate()(*inputs)
    with relay.transform.PassContext(opt_level=3):
        found = relay.create_executor("graph", module, params=params).evaluate()(*inputs)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", REDUCED)
def test_compiled_is_interpreted(name: str) -> None:
    check_compiled(*REDUCED[name]())


@pytest.mark.slow
@pytest.mark.parametrize(
    "build",
    [
        lambda: testing.vgg.get_workload(1, 10, (3, 32, 32), batch_norm=True),
        lambda: testing.densenet.get_workload(121, 10, 1, (3, 32, 32)),
    ],
)
def test_compiled_is_interpreted_large(
    build: Callable[[], tuple[relay.IRModule, dict[str, relay.NDArray]]],
) -> None:
    check_compiled(*build())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: testing.resnet.get_net(1, 10, 19), "18, 34, 50, 101, 152, 200, 269 layers"),
        (lambda: testing.resnet.get_net(1, 10, 19, (3, 28, 28)), "6n\\+2 layers"),
        (lambda: testing.vgg.get_net(1, (3, 224, 224), 10, "float32", 12), "11, 13, 16 or 19"),
        (lambda: testing.densenet.get_net(120, 10, (1, 3, 224, 224)), "121, 161, 169, 201"),
        (lambda: testing.squeezenet.get_net(1, (3, 9, 9), 1, "2.0", "float32"), "1.0 and 1.1"),
        (lambda: testing.dcgan.get_net(1, oshape=(3, 32, 32)), "64 x 64"),
        (lambda: testing.lstm.get_net(0, 4), "at least one iteration"),
        (lambda: testing.layers.conv_kernel_layout("NCHW8c"), "a data layout like NCHW"),
    ],
)
def test_refusals(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
