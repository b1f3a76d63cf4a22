"""Records of the operators that only mark something."""

from op.record import In, Record

RECORDS: list[Record] = [
    Record("annotation.compiler_begin", (In((2, 3)),), {"compiler": "toy"}),
    Record("annotation.compiler_end", (In((2, 3), "int32"),), {"compiler": "toy"}),
]
