"""Scripts as users wrote them for TVM 0.7 to 0.19: `IRModule`, `PassContext`, `graph_executor`."""

import numpy as np
import pytest

import relay.compat.tvm as tvm
import relay.compat.tvm.relay.testing
from relay.compat.tvm import IRModule, relay
from relay.compat.tvm.contrib import graph_executor
from relay.compat.tvm.ir import structural_equal
from relay.compat.tvm.relay.dataflow_pattern import is_op, wildcard
from relay.compat.tvm.runtime import vm as vm_rt


def perceptron(rng: np.random.Generator) -> tuple[IRModule, dict[str, tvm.nd.NDArray]]:
    x = relay.var("x", shape=(2, 8))
    w = relay.var("w", shape=(4, 8))
    b = relay.var("b", shape=(4,))
    net = relay.nn.softmax(relay.nn.bias_add(relay.nn.dense(x, w), b))
    params = {
        "w": tvm.nd.array(rng.standard_normal((4, 8)).astype("float32"), tvm.cpu(0)),
        "b": tvm.nd.array(rng.standard_normal(4).astype("float32")),
    }
    return tvm.IRModule.from_expr(relay.Function([x, w, b], net)), params


def test_build_and_run(rng: np.random.Generator) -> None:
    mod, params = perceptron(rng)
    dev = tvm.device("llvm", 0)
    assert (dev, dev.device_type, dev.exist) == (tvm.cpu(0), 1, True)
    with tvm.transform.PassContext(opt_level=3):
        lib = relay.build(mod, target=tvm.target.Target("llvm", host="llvm"), params=params)
    module = graph_executor.GraphModule(lib["default"](dev))
    x = rng.standard_normal((2, 8)).astype("float32")
    module.set_input("x", x)
    module.run()
    out = module.get_output(0).numpy()
    reference = relay.create_executor("debug", mod=mod, device=dev, params=params).evaluate()(x)
    tvm.testing.assert_allclose(out, reference.numpy(), rtol=1e-5)
    assert module.get_input_info() == ({"x": (2, 8)}, {"x": "float32"})
    np.testing.assert_array_equal(module.get_input("x").numpy(), x)
    result = module.benchmark(dev, repeat=2, number=3)
    assert len(result.results) == 2
    assert 0 < result.min <= result.median <= result.max
    assert "mean" in str(result)


def test_export_and_load(rng: np.random.Generator, tmp_path) -> None:
    mod, params = perceptron(rng)
    lib = relay.build(mod, "llvm", params=params)
    path = str(tmp_path / "model.tar")
    lib.export_library(path)
    loaded = tvm.runtime.load_module(path)
    x = np.ones((2, 8), "float32")
    results = []
    for library in (lib, loaded):
        module = graph_executor.GraphModule(library["default"](tvm.cpu()))
        module.run(x=x)
        results.append(module.get_output(0).numpy().copy())
    np.testing.assert_array_equal(*results)


def test_inputs_are_copied_and_converted() -> None:
    x = relay.var("x", shape=(2,))
    lib = relay.build(tvm.IRModule.from_expr(relay.Function([x], relay.add(x, x))), "llvm")
    module = graph_executor.create(lib.get_graph_json(), lib.get_lib(), tvm.cpu(0))
    given = np.array([1.0, 2.0])
    module.set_input(0, given)
    given[:] = 0
    module.run()
    np.testing.assert_array_equal(module.get_output(0).numpy(), [2, 4])
    with pytest.raises(relay.RelayError, match="there is no input 'y'; the inputs are: x"):
        module.set_input("y", given)


def test_passes_patterns_and_equality(capsys: pytest.CaptureFixture[str]) -> None:
    x = relay.var("x", shape=(2, 2))
    mod = tvm.IRModule.from_expr(relay.Function([x], relay.nn.relu(relay.exp(x))))
    seq = tvm.transform.Sequential(
        [relay.transform.InferType(), tvm.transform.PrintIR("typed"), relay.transform.FuseOps()]
    )
    with tvm.transform.PassContext(opt_level=2, instruments=[]) as context:
        assert tvm.transform.PassContext.current() is context
        fused = seq(mod)
    assert "PrintIR(typed)" in capsys.readouterr().err
    assert not structural_equal(fused, mod)
    tvm.ir.assert_structural_equal(fused, fused)
    assert is_op("nn.relu")(wildcard()).match(mod["main"].body)
    again = tvm.relay.parse(mod.astext())
    assert tvm.ir.structural_hash(again["main"]) == tvm.ir.structural_hash(
        relay.transform.InferType()(mod)["main"]
    )
    assert "relay.FuseOps.max_depth" in tvm.transform.PassContext.list_configs()


def test_the_virtual_machine_with_unknown_sizes() -> None:
    x = relay.var("x", shape=(relay.Any(), 3))
    mod = tvm.IRModule.from_expr(relay.Function([x], relay.Tuple([relay.sum(x, axis=1), x])))
    exe = relay.vm.compile(mod, target="llvm")
    machine = vm_rt.VirtualMachine(exe, tvm.cpu())
    machine.set_input("main", x=np.ones((2, 3), "float32"))
    machine.run()
    first, second = machine.get_outputs()
    np.testing.assert_array_equal(first.numpy(), [3, 3])
    assert second.shape == (2, 3)
    machine.set_one_input("main", "x", np.ones((4, 3), "float32"))
    machine.invoke_stateful("main")
    assert machine.get_outputs()[0].shape == (4,)
    assert isinstance(machine.invoke("main"), tvm.runtime.container.ADT)
    assert machine.get_input_index("x") == 0
    assert machine.benchmark(tvm.cpu(), number=1, repeat=2).mean > 0


def test_arrays_and_dlpack() -> None:
    shared = np.arange(6, dtype="float32").reshape(2, 3)
    array = tvm.nd.from_dlpack(shared)
    shared[0, 0] = 5
    assert array.numpy()[0, 0] == 5
    copy = array.copyto(tvm.cpu(0))
    target = tvm.nd.empty((2, 3), "float32")
    array.copyto(target)
    shared[0, 0] = 7
    assert copy.numpy()[0, 0] == target.numpy()[0, 0] == 5
    assert np.from_dlpack(target)[0, 0] == 5
    assert tvm.nd.array([1.0]).dtype == "float64"
    with pytest.raises(relay.RelayError, match=r"no device cuda\(0\)"):
        tvm.nd.array([1.0], tvm.cuda(0))


def test_arrays_of_other_libraries_are_inputs() -> None:
    class Foreign:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    x = relay.var("x", shape=(2,))
    mod = tvm.IRModule.from_expr(relay.Function([x], relay.add(x, x)))
    module = graph_executor.GraphModule(relay.build(mod, "llvm")["default"](tvm.cpu()))
    given = np.array([1.0, 2.0], "float32")
    module.set_input("x", Foreign(given))
    module.run()
    np.testing.assert_array_equal(np.from_dlpack(module.get_output(0)), [2, 4])
    assert tvm.nd.array(Foreign(given)).shape == (2,)
    for kind in ("graph", "vm"):
        result = relay.create_executor(kind, mod=mod, target="llvm").evaluate()(Foreign(given))
        np.testing.assert_array_equal(result.numpy(), [2, 4])


def test_a_model_of_the_testing_package() -> None:
    mod, params = relay.testing.mlp.get_workload(batch_size=1)
    lib = relay.build(mod, target="llvm", params=params)
    module = graph_executor.GraphModule(lib["default"](tvm.cpu(0)))
    module.run(data=np.zeros((1, 1, 28, 28), "float32"))
    assert module.get_output(0).shape == (1, 10)
    optimised, rest = relay.optimize(mod, "llvm", params)
    assert rest == {}
    assert len(optimised["main"].params) == 1


def test_targets() -> None:
    assert str(tvm.target.Target({"kind": "llvm", "num-cores": 2})) == "llvm -num-cores=2"
    assert tvm.target.Target("llvm -mcpu=haswell").mcpu == "haswell"
    assert tvm.target.Target.current() is None
    with tvm.target.Target("llvm -num-cores=1") as target:
        assert tvm.target.Target.current() is target
        assert tvm.target.resolve(None).cores == 1
    assert tvm.target.resolve({"cpu": "llvm -mcpu=generic"}).vector_bytes == 16
    x = relay.var("x", shape=(2,))
    mod = tvm.IRModule.from_expr(relay.Function([x], relay.exp(x)))
    for wrong in ("cuda", "llvm -mcpu=no-such-cpu", "llvm -nonsense=1", {"cpu": "llvm", "gpu": 1}):
        with pytest.raises(relay.RelayError):
            relay.build(mod, wrong)
    with pytest.raises(tvm.TVMError, match="names no kind"):
        tvm.target.Target("")
    with pytest.raises(tvm.error.TVMError, match="unknown kind of device"):
        tvm.device("toaster")
    assert tvm.device("cuda:1") == tvm.gpu(1) == tvm.device(2, 1)
    assert not tvm.runtime.enabled("cuda")
