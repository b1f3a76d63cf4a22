"""Names that programs use of TVM's Relay and that are not here, each group with the reason.

This is what errors tell, what ``docs/compatibility.md`` lists, and what ``tools/api_names.py``
counts as known to be absent. A name that ends in ``*`` stands for all that begin so.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Absent:
    """Names that are absent for one `reason`; `instead` says what to use, if there is anything."""

    group: str
    names: tuple[str, ...]
    reason: str
    instead: str = ""

    def covers(self, name: str) -> bool:
        """Whether the group has `name`, or something that `name` is inside of."""
        for known in self.names:
            if known.endswith("*"):
                if name.startswith(known[:-1]):
                    return True
            elif name == known or name.startswith(f"{known}."):
                return True
        return False


ABSENT: Final = (
    Absent(
        "Registries of functions",
        (
            "tvm.get_env_func",
            "tvm.get_global_func",
            "tvm.register_func",
            "tvm.ir.EnvFunc",
            "tvm.ir.make_node",
            "tvm.make",
            "tvm.script",
            "tvm.round",
            "tvm.expr.Cast",
        ),
        "there is no second language whose functions and objects are found by name",
        "Python functions and classes",
    ),
    Absent(
        "Registration of operators",
        (
            "tvm.ir.register_op_attr",
            "tvm.relay.op.op.register*",
            "tvm.relay.op.register*",
            "tvm.relay.testing.temp_op_attr",
        ),
        "an operator is one class with all that belongs to it, and does not change",
        "`relay.ir.op.operator`; see how-to/add-an-operator.md",
    ),
    Absent(
        "Compilation of single operators",
        (
            "tvm.relay.backend.compile_engine",
            "tvm.relay.backend.te_compiler",
        ),
        "kernels are made by `relay.build`, all at once",
    ),
    Absent(
        "Diagnostics",
        ("tvm.ir.diagnostics",),
        "errors carry their text and place themselves",
        "`str(error)` and `error.span`",
    ),
    Absent(
        "Tuning and measuring on other machines",
        (
            "tvm.auto_scheduler",
            "tvm.autotvm",
            "tvm.meta_schedule",
            "tvm.relay.collage",
            "tvm.rpc",
        ),
        "schedules follow from the loops and the target; there is nothing to search",
    ),
    Absent(
        "Tensor expressions and TIR",
        ("tvm.build", "tvm.lower", "tvm.te", "tvm.tir", "tvm.topi"),
        "tensor expressions and loops are other languages here",
        "`relay.te`, `relay.loop` and `relay.schedule`",
    ),
)
"""The groups, in the order of the documentation."""


def reason(name: str) -> str:
    """Why `name` (``"tvm.relay.x"``) is absent, and what to use instead; empty when unknown."""
    for group in ABSENT:
        if group.covers(name):
            return group.reason + (f"; use {group.instead}" if group.instead else "")
    return ""
