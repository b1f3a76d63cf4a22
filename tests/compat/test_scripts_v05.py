"""Scripts as users wrote them for TVM 0.5: passes on expressions, the triple, `graph_runtime`."""

from pathlib import Path

import numpy as np

import relay.compat.tvm as tvm
from relay.compat.tvm import relay
from relay.compat.tvm.contrib import graph_runtime
from relay.compat.tvm.relay import ir_pass


def small_network():
    data = relay.var("data", shape=(1, 3, 8, 8))
    weight = relay.var("weight", shape=(4, 3, 3, 3))
    net = relay.nn.conv2d(data, weight, kernel_size=(3, 3), channels=4, padding=(1, 1))
    net = relay.nn.relu(net)
    net = relay.nn.global_avg_pool2d(net)
    net = relay.nn.batch_flatten(net)
    return relay.Function(relay.ir_pass.free_vars(net), net)


def test_passes_on_expressions() -> None:
    x = relay.var("x", shape=(2, 2))
    y = relay.add(x, relay.multiply(relay.const(2.0), relay.const(3.0)))
    func = ir_pass.infer_type(relay.Function([x], y))
    assert func.checked_type == relay.FuncType([relay.TensorType((2, 2))], relay.TensorType((2, 2)))
    folded = ir_pass.fold_constant(func)
    expected = ir_pass.infer_type(relay.Function([x], relay.add(x, relay.const(6.0))))
    assert ir_pass.alpha_equal(folded, expected)
    assert ir_pass.graph_equal(folded.body, expected.body)
    assert not ir_pass.alpha_equal(folded, func)
    assert ir_pass.structural_hash(folded) == ir_pass.structural_hash(expected)
    fused = ir_pass.fuse_ops(folded, opt_level=2)
    assert isinstance(fused.body.op, relay.Function)
    assert ir_pass.well_formed(fused)


def test_a_pass_sees_the_functions_of_a_module() -> None:
    mod = relay.Module({})
    double = relay.GlobalVar("double")
    x = relay.var("x", shape=(2,))
    mod[double] = relay.Function([x], relay.add(x, x))
    y = relay.var("y", shape=(2,))
    called = ir_pass.infer_type(relay.Function([y], double(y)), mod=mod)
    assert called.ret_type == relay.TensorType((2,))


def test_build_gives_a_triple_for_the_graph_runtime(rng: np.random.Generator) -> None:
    func = small_network()
    weight = rng.standard_normal((4, 3, 3, 3)).astype("float32")
    data = rng.standard_normal((1, 3, 8, 8)).astype("float32")
    params = {"weight": tvm.nd.array(weight, ctx=tvm.cpu(0))}
    with relay.build_config(opt_level=3):
        graph, lib, params = relay.build(func, "llvm", params=params)
    ctx = tvm.context("llvm", 0)
    module = graph_runtime.create(graph, lib, ctx)
    module.set_input("data", tvm.nd.array(data.astype("float64")))
    module.set_input(**params)
    module.run()
    out = module.get_output(0, tvm.nd.empty((1, 4)))
    expected = relay.create_executor("debug", ctx=ctx).evaluate(func)(data, weight)
    tvm.testing.assert_allclose(out.asnumpy(), expected.asnumpy(), rtol=1e-5, atol=1e-6)
    timer = module.module.time_evaluator("run", ctx, number=2, repeat=3)
    assert len(timer().results) == 3
    assert timer().mean > 0


def test_compiled_programs_go_through_files(rng: np.random.Generator) -> None:
    data = rng.standard_normal((1, 3, 8, 8)).astype("float32")
    weight = rng.standard_normal((4, 3, 3, 3)).astype("float32")
    graph, lib, params = relay.build(small_network(), target="llvm")
    temp = tvm.contrib.util.tempdir()
    lib.export_library(temp.relpath("deploy.so"))
    with open(temp.relpath("deploy.json"), "w") as stream:
        stream.write(graph)
    with open(temp.relpath("deploy.params"), "wb") as stream:
        stream.write(relay.save_param_dict({**params, "weight": tvm.nd.array(weight)}))

    loaded = tvm.module.load(temp.relpath("deploy.so"))
    text = Path(temp.relpath("deploy.json")).read_text()
    module = graph_runtime.create(text, loaded, tvm.cpu(0))
    module.load_params(bytearray(Path(temp.relpath("deploy.params")).read_bytes()))
    module.run(data=data)
    assert module.get_num_outputs() == 1
    direct = graph_runtime.create(graph, lib, tvm.cpu(0))
    direct.run(data=data, weight=weight)
    np.testing.assert_array_equal(module.get_output(0).asnumpy(), direct.get_output(0).asnumpy())
