"""`extract_fused_functions`."""

import pass_helpers
import relay
from relay.transform import extract_fused_functions


def test_each_kernel_once() -> None:
    x, w = relay.var("x", shape=(1, 4, 8, 8)), relay.var("w", shape=(4, 4, 1, 1))
    y = relay.nn.relu(relay.nn.conv2d(x, w))
    z = relay.nn.relu(relay.nn.conv2d(y, w))
    module = relay.IRModule.from_expr(relay.exp(relay.nn.softmax(z, axis=1)))
    found = list(extract_fused_functions(module).values())
    names = [pass_helpers.names(f.body) for f in found]
    assert names.count(["nn.conv2d", "nn.relu"]) == 1
    assert all("Primitive" in f.attrs for f in found)
    assert 2 <= len(found) <= 3


def test_the_identity_has_none() -> None:
    x = relay.var("x", shape=(3,))
    assert extract_fused_functions(relay.IRModule.from_expr(relay.Function([x], x))) == {}


def test_resnet() -> None:
    module, _ = relay.testing.resnet.get_workload()
    found = extract_fused_functions(module)
    assert 25 <= len(found) <= 40
    again = extract_fused_functions(module)
    assert again.keys() == found.keys()
