"""Scripts as users wrote them for TVM 0.6: `relay.Module`, `relay.transform`, `relay.vm`."""

import numpy as np
import pytest

import relay.compat.tvm as tvm
from relay.compat.tvm import relay
from relay.compat.tvm.relay import transform
from relay.compat.tvm.relay.adt import TypeData
from relay.compat.tvm.relay.backend.interpreter import TensorValue, TupleValue
from relay.compat.tvm.relay.expr_functor import ExprMutator
from relay.compat.tvm.relay.op import nn
from relay.compat.tvm.relay.scope_builder import ScopeBuilder


def test_a_sequence_of_passes() -> None:
    x = relay.var("x", shape=(1, 4))
    y = relay.add(relay.exp(x), relay.exp(x))
    mod = relay.Module.from_expr(relay.Function([x], y))
    seq = relay.transform.Sequential(
        [transform.InferType(), transform.EliminateCommonSubexpr(), transform.FoldConstant()]
    )
    with relay.transform.PassContext(opt_level=3), tvm.target.create("llvm"):
        mod = seq(mod)
    body = mod["main"].body
    assert body.args[0] is body.args[1]
    assert relay.analysis.alpha_equal(mod["main"], mod["main"])
    with relay.build_config(opt_level=0, required_pass=["FoldConstant"]) as context:
        assert context.required_pass == ("FoldConstant",)


def test_passes_of_users() -> None:
    @relay.transform.module_pass(opt_level=1, name="add_identity")
    def add_identity(mod, ctx):
        x = relay.var("x", shape=(2,))
        mod = relay.Module(mod.functions)
        mod["identity"] = relay.Function([x], x)
        return mod

    class NoRelu(ExprMutator):
        def visit_call(self, call):
            new = super().visit_call(call)
            return new.args[0] if new.op == relay.op.get("nn.relu") else new

    x = relay.var("x", shape=(2,))
    mod = add_identity(relay.Module.from_expr(nn.relu(relay.tanh(x))))
    assert "identity" in mod
    mod["main"] = NoRelu().visit(mod["main"])
    assert mod["main"].body.op == relay.op.op.get("tanh")
    assert relay.op.op.OpPattern.ELEMWISE == 0


def test_executors_and_their_values() -> None:
    x = relay.var("x", shape=(2,))
    func = relay.Function([x], relay.Tuple([x, relay.add(x, x)]))
    for kind in ("debug", "graph", "vm"):
        mod = relay.Module.from_expr(func)
        intrp = relay.create_executor(kind, mod=mod, ctx=tvm.cpu(), target="llvm")
        result = intrp.evaluate()(np.array([1.0, 2.0], "float32"))
        assert isinstance(result, TupleValue)
        assert isinstance(result[1], TensorValue)
        np.testing.assert_array_equal(result[1].asnumpy(), [2, 4])


def test_the_virtual_machine_runs_a_loop() -> None:
    mod = relay.Module({})
    total = relay.GlobalVar("total")
    i = relay.var("i", shape=(), dtype="int32")
    accumulated = relay.var("accumulated", shape=(), dtype="int32")
    sb = ScopeBuilder()
    with sb.if_scope(relay.equal(i, relay.const(0, "int32"))):
        sb.ret(accumulated)
    with sb.else_scope():
        sb.ret(total(relay.subtract(i, relay.const(1, "int32")), relay.add(accumulated, i)))
    mod[total] = relay.Function([i, accumulated], sb.get())
    n = relay.var("n", shape=(), dtype="int32")
    mod["main"] = relay.Function([n], total(n, relay.const(0, "int32")))
    mod = transform.InferType()(mod)
    exe = relay.vm.compile(mod, "llvm")
    vm = relay.vm.VirtualMachine(exe)
    vm.init(tvm.cpu())
    assert vm.invoke("main", tvm.nd.array(np.array(10, "int32"))).asnumpy() == 55
    assert vm.run(np.array(4, "int32")).asnumpy() == 10

    code, lib = exe.save()
    temp = tvm.contrib.util.tempdir()
    lib.export_library(temp.relpath("lib.so"))
    loaded = relay.vm.Executable.load_exec(bytes(code), tvm.module.load(temp.relpath("lib.so")))
    again = relay.vm.VirtualMachine(loaded)
    again.init(tvm.cpu())
    assert again.run(np.array(4, "int32")).asnumpy() == 10


def test_data_types_and_the_prelude() -> None:
    mod = relay.Module()
    prelude = relay.prelude.Prelude(mod)
    numbers = prelude.nil()
    for value in (3, 2, 1):
        numbers = prelude.cons(relay.const(value), numbers)
    length = relay.create_executor(mod=mod).evaluate(prelude.length(numbers))
    assert length is not None
    box = relay.GlobalTypeVar("Box")
    of = relay.TypeVar("a")
    made = relay.Constructor("Boxed", [of], box)
    mod[box] = TypeData(box, [of], [made])
    assert relay.analysis.check_kind(box(relay.scalar_type("int32")), mod) == relay.Kind.Type
    assert relay.Kind.Shape == relay.TypeKind.ShapeVar


def test_sizes_by_name_and_numbers() -> None:
    n = tvm.var("n")
    x = relay.var("x", shape=(n, 4))
    typed = relay.testing.run_infer_type(relay.Function([x], nn.relu(x)))
    assert typed.ret_type == relay.TensorType((n, 4), "float32")
    assert tvm.convert([1, [2]]) == (1, (2,))
    assert tvm.expr.IntImm("int32", 3) == 3
    assert tvm.indexdiv(7, 2) == 3


def test_json_of_programs() -> None:
    x = relay.var("x", shape=(2,))
    mod = relay.Module.from_expr(relay.Function([x], relay.add(x, relay.const([1.0, 2.0]))))
    again = tvm.load_json(tvm.save_json(mod))
    assert tvm.ir.structural_equal(again["main"], transform.InferType()(mod)["main"])
    with pytest.raises(relay.RelayError, match="objects of TVM cannot be read"):
        tvm.load_json('{"root": 1, "nodes": []}')
    with pytest.raises(relay.RelayError, match="not JSON"):
        tvm.load_json("nonsense")
