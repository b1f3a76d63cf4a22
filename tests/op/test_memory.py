"""Operators that other compilers' programs have: types, what they say when they are run."""

import numpy as np
import pytest

import relay
from relay.executor.build import build
from relay.ir.expr import Function, Tuple
from relay.ir.module import IRModule
from relay.ir.types import TensorType, TupleType
from relay.op import memory, vm
from relay.op.foreign import CallLowered, MetaRef, TorchOp
from relay.support.errors import RelayError, TypeInferenceError

X = relay.var("x", shape=(2, 3))
SIZE = relay.const(np.array(24, "int64"))
SHAPE = relay.const(np.array([2, 3], "int64"))


def test_types_of_memory():
    storage = memory.alloc_storage(SIZE, SIZE, relay.cpu(), shape=SHAPE)
    assert storage.checked_type == memory.STORAGE
    assert storage.attrs.virtual_device == "cpu(0)"
    assert memory.alloc_storage(SIZE, SIZE, "cpu").checked_type == memory.STORAGE
    tensor = memory.alloc_tensor(storage, 0, SHAPE, "int8")
    assert tensor.checked_type == TensorType((2, 3), "int8")
    late = memory.alloc_tensor(
        storage, 0, relay.var("s", shape=(2,), dtype="int64"), "int8", (4, 5)
    )
    assert late.checked_type == TensorType((4, 5), "int8")
    with pytest.raises(ValueError, match="assert_shape"):
        memory.alloc_tensor(storage, 0, relay.var("s", shape=(2,), dtype="int64"))
    with pytest.raises(TypeInferenceError, match="Storage"):
        relay.infer_expr(memory.alloc_tensor(X, 0, SHAPE))


def test_memory_prints_and_parses():
    text = relay.astext(Function([], memory.alloc_storage(SIZE, SIZE, relay.cpu(), shape=SHAPE)))
    assert "memory.alloc_storage(" in text


def test_what_is_killed_is_the_empty_tuple():
    assert memory.kill(X).checked_type == TupleType([])
    program = Function([X], Tuple([X, memory.kill(X)]))
    data = np.ones((2, 3), "float32")
    for kind in ("debug", "vm"):
        found = relay.create_executor(kind, IRModule.from_expr(program)).evaluate()(data)
        np.testing.assert_array_equal(found[0].numpy(), data)
        assert len(found[1]) == 0


def test_tuples_are_taken_apart_and_put_together():
    a, b = TensorType((2,)), TensorType((3,), "int8")
    type_ = TupleType([a, TupleType([b, TupleType([])]), a])
    assert memory.flatten_tuple_type(type_) == [a, b, a]
    value = relay.Var("v", type_)
    parts = memory.from_tuple_type(type_, value)
    assert [p.checked_type for p in parts] == [a, b, a]
    assert memory.to_tuple_type(type_, parts).checked_type == type_
    assert memory.to_tuple_type(a, [X]) is X
    with pytest.raises(ValueError, match="2 tensors"):
        memory.to_tuple_type(type_, parts[:2])


def test_shapes_as_values():
    data = np.arange(6, dtype="float32").reshape(2, 3)
    shape = vm.shape_of(X)
    assert shape.checked_type == TensorType((2,), "int64")
    program = Function([X], Tuple([shape, vm.reshape_tensor(X, SHAPE, (3, 2))]))
    first, second = build(program).create()(data)
    assert first.numpy().tolist() == [2, 3]
    np.testing.assert_array_equal(second.numpy(), data.reshape(3, 2))


def test_lowered_functions_have_types_and_are_not_run():
    function = Function([X], relay.nn.relu(X))
    called = CallLowered.call(function, Tuple([X]))
    assert called.checked_type == X.checked_type
    invoked = vm.invoke_tvm_op(function, Tuple([X]), Tuple([X]))
    assert invoked.checked_type == TupleType([])
    assert vm.shape_func(function, Tuple([X]), Tuple([X]), [True]).attrs.is_inputs == (True,)
    with pytest.raises(TypeInferenceError, match="expected a function"):
        relay.infer_expr(CallLowered.call(X, Tuple([X])))
    with pytest.raises(RelayError, match="lowered"):
        relay.create_executor("vm", IRModule.from_expr(Function([X], called))).evaluate()


def test_what_belongs_to_others_says_so():
    with pytest.raises(TypeInferenceError, match="ONNX"):
        relay.infer_expr(TorchOp.call(X, serialized_function="", len=0))
    with pytest.raises(TypeInferenceError, match="metadata"):
        relay.infer_expr(MetaRef.call(node_type_key="relay.Constant", node_index=3))


def test_index_maps_are_arithmetic_only():
    for text in (
        "lambda i: __import__('os')",
        "lambda i: i ** 2",
        "lambda i: i // 0",
        "3",
        "(",
        "lambda i: i // j",
    ):
        with pytest.raises((ValueError, RelayError)):
            relay.op.meta_schedule_layout_transform(X, text)
    with pytest.raises(TypeInferenceError, match="negative"):
        relay.infer_expr(relay.op.meta_schedule_layout_transform(X, "lambda i, j: (i - 1, j)"))
