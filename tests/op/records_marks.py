"""Records of the operators that only mark something."""

from op.record import In, Record

RECORDS: list[Record] = [
    Record("annotation.compiler_begin", (In((2, 3)),), {"compiler": "toy"}),
    Record("annotation.compiler_end", (In((2, 3), "int32"),), {"compiler": "toy"}),
    Record("annotation.stop_fusion", (In((2, 3)),)),
    Record("annotation.checkpoint", (In((2, 3)),)),
    Record(
        "debug",
        (In((2, 3)),),
        skip={"interpreter": "it stops there; see tests/executor/test_trace.py"},
    ),
]
