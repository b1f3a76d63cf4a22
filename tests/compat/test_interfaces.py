"""What the parts of `relay.compat` promise beyond what whole scripts show."""

import json
from pathlib import Path

import numpy as np
import pytest

import relay.compat.tvm as tvm
from relay.compat.tvm import relay
from relay.compat.tvm.contrib import graph_executor, utils


def doubled(name: str = "x"):
    x = relay.var(name, shape=(2,))
    return relay.Function([x], relay.add(x, x))


def test_the_graph_describes_inputs_and_outputs() -> None:
    x = relay.var("x", shape=(2, 3))
    y = relay.var("y", shape=(3,), dtype="int32")
    both = relay.Tuple([relay.exp(x), relay.add(y, y)])
    graph = json.loads(relay.build(relay.Function([x, y], both), "llvm").get_graph_json())
    assert [node["name"] for node in graph["nodes"]] == ["x", "y", "main"]
    assert graph["arg_nodes"] == [0, 1]
    assert graph["heads"] == [[2, 0, 0], [2, 1, 0]]
    assert graph["attrs"]["shape"] == ["list_shape", [[2, 3], [3], [2, 3], [3]]]
    assert graph["attrs"]["dltype"][1] == ["float32", "int32", "float32", "int32"]
    assert graph["node_row_ptr"] == [0, 1, 2, 4]


def test_a_graph_of_another_program_is_refused() -> None:
    one, two = relay.build(doubled(), "llvm"), relay.build(doubled("y"), "llvm")
    with pytest.raises(relay.RelayError, match="not of one program"):
        graph_executor.create(one.get_graph_json(), two.get_lib(), tvm.cpu())


def test_all_ways_to_give_parameters(rng: np.random.Generator) -> None:
    x, w = relay.var("x", shape=(1, 4)), relay.var("w", shape=(3, 4))
    func = relay.Function([x, w], relay.nn.dense(x, w))
    weight = rng.standard_normal((3, 4)).astype("float32")
    params = {"w": weight, "unused": weight}
    given = np.ones((1, 4), "float32")
    expected = given @ weight.T
    positional = relay.build(func, "llvm", "llvm", params)
    named = relay.build(tvm.IRModule.from_expr(func), target={"cpu": "llvm"}, params=params)
    for lib in (positional, named):
        module = graph_executor.GraphModule(lib["default"](tvm.cpu(0)))
        module["set_input"]("x", given)
        module["run"]()
        np.testing.assert_allclose(module["get_output"](0).numpy(), expected, rtol=1e-5)
        assert module.get_num_inputs() == 1
    bound = relay.build_module.bind_params_by_name(func, params)
    assert [p.name_hint for p in bound.params] == ["x"]
    module = graph_executor.GraphModule(relay.build(bound, "llvm")["default"](tvm.cpu(0)))
    module.set_input({"x": given})
    module.run()
    np.testing.assert_allclose(module.get_output(0).numpy(), expected, rtol=1e-5)
    with pytest.raises(relay.RelayError, match="no function 'walk'"):
        module["walk"]


def test_a_factory_unpacks_as_often_as_asked() -> None:
    lib = relay.build(doubled(), "llvm")
    for _ in range(2):
        graph, library, params = lib
        assert (graph, library, params) == (lib.get_graph_json(), lib.get_lib(), lib.get_params())


def test_inputs_that_are_not_set() -> None:
    module = graph_executor.GraphModule(relay.build(doubled(), "llvm")["default"](tvm.cpu(0)))
    with pytest.raises(relay.RelayError, match="has no value yet"):
        module.get_input("x")
    with pytest.raises(relay.RelayError, match="no value is given for input 'x'"):
        module.set_input("x")
    with pytest.raises(relay.RelayError, match="expects"):
        module.set_input("x", np.ones(3))
    module.run(x=[1, 2])
    out = tvm.nd.empty((2,))
    assert module.get_output(0, out) is out
    np.testing.assert_array_equal(out.numpy(), [2, 4])
    kept = module.get_output(0).numpy()
    module.run(x=[3, 4])
    np.testing.assert_array_equal(kept, [2, 4])
    with pytest.raises(relay.RelayError, match="cannot run on cuda"):
        relay.build(doubled(), "llvm")["default"](tvm.cuda(0))


def test_executors_and_runtimes_by_name() -> None:
    executor = relay.backend.Executor("graph", {"link-params": True})
    runtime = relay.backend.Runtime("cpp")
    assert executor["link-params"] is True
    lib = relay.build(doubled(), "llvm", executor=executor, runtime=runtime)
    assert lib.get_devices() == ["cpu"]
    with pytest.raises(relay.RelayError, match="not 'aot'"):
        relay.backend.Executor("aot")
    with pytest.raises(relay.RelayError, match="not 'crt'"):
        relay.backend.Runtime("crt")


def test_configurations_of_old() -> None:
    with relay.build_config(opt_level=1, add_pass={"FoldConstant"}, fallback_device=tvm.cpu(0)):
        assert tvm.transform.PassContext.current().opt_level == 1
        assert tvm.transform.PassContext.current().required_pass == ("FoldConstant",)
    with pytest.raises(relay.RelayError, match=r"no fallback cuda\(0\)"):
        relay.build_config(fallback_device=tvm.gpu(0))
    assert relay.transform.build_config is relay.build_config


def test_files_that_are_not_programs(tmp_path: Path) -> None:
    (tmp_path / "model.so").write_bytes(b"\x7fELF")
    with pytest.raises(relay.RelayError, match=r"model\.so"):
        tvm.runtime.load_module(str(tmp_path / "model.so"))
    with pytest.raises(relay.RelayError):
        relay.vm.Executable.load_exec(b"nonsense")


def test_the_compiler_of_the_virtual_machine_in_steps() -> None:
    compiler = relay.vm.VMCompiler()
    with pytest.raises(relay.RelayError, match="call lower"):
        compiler.get_exec()
    x, y = relay.var("x", shape=(2,)), relay.var("y", shape=(2,))
    mod = tvm.IRModule.from_expr(relay.Function([x, y], relay.multiply(x, y)))
    compiler.set_params({"y": np.array([2.0, 3.0], "float32")})
    compiler.lower(mod, "llvm")
    compiler.codegen()
    machine = relay.vm.VirtualMachine(compiler.get_exec(), tvm.cpu(0))
    np.testing.assert_array_equal(machine.invoke("main", np.ones(2, "float32")).numpy(), [2, 3])
    module, params = compiler.optimize(mod, "llvm")
    assert params == {}
    assert len(module["main"].params) == 1
    with pytest.raises(relay.RelayError, match="no parameter 'z'"):
        machine.set_one_input("main", "z", 1)
    with pytest.raises(relay.RelayError, match=r"no device cuda\(0\)"):
        machine.init(tvm.cuda(0))


def test_directories_for_files() -> None:
    temp = utils.tempdir()
    path = Path(temp.relpath("a.txt"))
    path.write_text("a")
    assert temp.listdir() == ["a.txt"]
    assert str(path.parent) == temp.path == temp.temp_dir
    temp.remove()
    assert not path.parent.exists()


def test_small_things() -> None:
    two = tvm.tir.IntImm("int64", 2)
    assert (two, two.value, two.dtype) == (2, 2, "int64")
    assert relay.TensorType((two, tvm.tir.Any())) == relay.TensorType((2, relay.Any()))
    assert tvm.const(3, "int32") == 3
    assert tvm.indexmod(7, 4) == 3
    value = relay.backend.interpreter.Value.from_scalar(2)
    assert (value.dtype, value.shape) == ("int32", ())
    pair = tvm.runtime.container.tuple_object([value, value])
    assert (pair.tag, len(pair), pair.fields) == (0, 2, (value, value))
    assert relay.vm.Tensor([1]).shape == (1,)
    tvm.cpu(0).sync()
    with pytest.raises(AssertionError):
        tvm.testing.assert_allclose([1.0], [1.0, 1.0])
    with pytest.raises(AssertionError, match="not equal"):
        relay.analysis.assert_alpha_equal(relay.const(1), relay.const(2))
    with pytest.raises(AssertionError, match="not equal"):
        relay.analysis.assert_graph_equal(relay.const(1), relay.const(2))
    with pytest.raises(relay.RelayError, match="only modules and expressions"):
        tvm.save_json(relay.TensorType(()))
