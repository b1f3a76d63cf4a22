"""What kernels have to do: operations, bytes, and where they come from."""

import numpy as np
import pytest

import relay
from relay.executor.build import lower_module
from relay.runtime.work import Work
from relay.transform import PassContext


def works(body: relay.Expr, *parameters: relay.Var, level: int = 3) -> list[Work]:
    with PassContext(opt_level=level):
        return list(lower_module(relay.Function(list(parameters), body)).work)


def weights(*shape: int, dtype: str = "float32") -> relay.Constant:
    return relay.const(np.ones(shape, dtype))


@pytest.mark.parametrize("level", [1, 3])
@pytest.mark.parametrize("padding", [0, 1])
def test_a_convolution_counts_by_its_mathematics(level: int, padding: int) -> None:
    x = relay.var("x", shape=(1, 16, 9, 9))
    conv = relay.nn.conv2d(x, weights(32, 16, 3, 3), padding=(padding, padding))
    found = [w for w in works(relay.nn.relu(conv), x, level=level) if "conv2d" in str(w.operators)]
    size = 7 + 2 * padding
    [work] = found
    elements = 32 * size * size
    assert work.flops == elements * (2 * 16 * 9 + 1)
    assert work.bytes_written == 4 * elements
    assert work.bytes_read >= 4 * (16 * 81 + 32 * 16 * 9)  # transformed weights are larger
    assert work.dtype == "float32"


def test_a_transposed_convolution_has_no_zeros_to_multiply() -> None:
    x = relay.var("x", shape=(1, 4, 5, 5))
    body = relay.nn.conv2d_transpose(x, weights(4, 8, 2, 2), strides=(2, 2), channels=8)
    flops = sum(w.flops for w in works(body, x))
    assert flops == 2 * 4 * 25 * 8 * 4


def test_a_dense_layer_with_its_bias() -> None:
    x = relay.var("x", shape=(3, 5))
    [work] = works(relay.add(relay.nn.dense(x, weights(7, 5)), weights(7)), x)
    assert work.operators == ("nn.dense", "add")
    assert work.flops == 3 * 7 * (2 * 5 + 1)
    assert work.bytes_read == 4 * (3 * 5 + 7 * 5 + 7)
    assert work.bytes_written == 4 * 3 * 7


def test_the_factors_give_the_type() -> None:
    x = relay.var("x", shape=(4, 8), dtype="int8")
    body = relay.nn.dense(x, weights(6, 8, dtype="int8"), out_dtype="int32")
    [work] = works(body, x)
    assert work.dtype == "int8"


def test_looking_rows_up_does_not_read_the_table() -> None:
    ids = relay.var("ids", shape=(3,), dtype="int32")
    [work] = works(relay.take(weights(1000, 8), ids, axis=0), ids)
    assert work.bytes_read <= 4 * 3 * 8 * 2
    assert work.bytes_written == 4 * 3 * 8


def test_places_in_a_text() -> None:
    module = relay.parse("""#[version = "0.0.5"]
def @main(%x: Tensor[(4), float32]) {
  %0 = exp(%x);
  tanh(%0)
}
""")
    [work] = lower_module(module).work
    assert work.operators == ("exp", "tanh")
    assert [place.split(":")[-2] for place in work.nodes] == ["3", "4"]
