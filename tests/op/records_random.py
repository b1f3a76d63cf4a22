"""Records of random numbers, of marks, and of what the virtual machine and memory are named by."""

import numpy as np

from op.record import In, Record

_BIT = 1 << 63


def key(*words: int) -> In:
    """A key of ten words."""
    filled = [*words, *[0] * (10 - len(words))]
    return In(values=np.array(filled, "uint64"), dtype="uint64", shape=(10,))


_KEY = key(7, 1, 2, 3, 5 << 60, 0, 0, 11, _BIT >> 4)
_ONE, _TWO = In(values=-1.5), In(values=2.5)
_WEIGHTS = In(values=[[0.0, 1.0, 2.0, 0.0, 7.0], [1.0, -1.0, np.nan, 1.0, 1.0]], shape=(2, 5))

RECORDS: list[Record] = [
    Record("random.threefry_generate", (_KEY,), {"out_shape": (3, 7)}),
    Record("random.threefry_generate", (_KEY,), {"out_shape": ()}, note="scalar"),
    Record("random.threefry_generate", (_KEY,), {"out_shape": (2, 0)}, note="empty"),
    Record("random.threefry_generate", (_KEY,), {"out_shape": (5000,)}, note="long"),
    Record("random.threefry_split", (_KEY,)),
    Record("random.threefry_split", (key(7, 1, 2, 3, 0, 9),), note="full"),
    Record("random.threefry_split", (key(7, 1, 2, 3, 0, 0, 0, 0, 1, 0),), note="second-word"),
    Record("random.uniform", (_KEY, _ONE, _TWO), {"out_shape": (4, 5), "out_dtype": "float32"}),
    Record(
        "random.uniform",
        (_KEY, In(values=0.0, dtype="float64"), In(values=1.0, dtype="float64")),
        {"out_shape": (6,), "out_dtype": "float64"},
        note="float64",
    ),
    Record("random.normal", (_KEY, _ONE, _TWO), {"out_shape": (4, 5), "out_dtype": "float32"}),
    Record("random.multinomial", (_KEY, _WEIGHTS), {"num_samples": 9}),
    Record("random.multinomial", (_KEY, In((3,), low=0, high=1)), note="one"),
    Record("annotation.bitpack_start", (In((2, 3), "int32"),)),
    Record("annotation.bitpack_end", (In((2, 3), "int32"),)),
    Record("annotation.cast_hint", (In((2, 3)),), {"dtype": "int8"}),
    Record(
        "relay.op.annotation.simulated_quantize",
        (In((4, 5)), In(values=0.13), In(values=-7.0), In(values=7.0)),
        {"kind": 2},
    ),
    Record(
        "relay.op.annotation.simulated_quantize",
        (In((4, 5)), In(values=0.13), In(values=-7.0), In(values=7.0)),
        {"kind": 0, "rounding": "floor"},
        note="identity",
    ),
    Record("on_device", (In((2, 3)),), {"virtual_device": "cpu(0)"}),
    Record("device_copy", (In((2, 3)),), {"dst_virtual_device": "cpu(0)"}),
    Record("vm.shape_of", (In((2, 3)),)),
    Record(
        "vm.reshape_tensor",
        (In((2, 6)), In(values=[3, 4], dtype="int64", shape=(2,))),
        {"newshape": (3, -1)},
    ),
]

EXEMPT: dict[str, str] = {
    "annotation.with_funcid": "its argument is a function; see test_random.py",
    "memory.alloc_storage": "the compiler plans memory; see test_memory.py",
    "memory.alloc_tensor": "the compiler plans memory; see test_memory.py",
    "memory.kill": "its result is the empty tuple; see test_memory.py",
    "vm.invoke_tvm_op": "it runs a kernel of another compiler; see test_memory.py",
    "call_lowered": "it runs a function of another compiler; see test_memory.py",
    "torch_op": "only PyTorch knows what it does; see test_memory.py",
    "parser.MetaRef": "no program has it after it was read; see test_memory.py",
}
