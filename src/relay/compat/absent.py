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
            "tvm.relay.transform.infer_layout_utils",
            ".add_argument",
            ".add_type_rel",
            ".get_attr",
            ".reset_attr",
            ".set_attrs_type_key",
            ".set_num_inputs",
            ".set_support_level",
            ".support_level",
        ),
        "an operator is one class with all that belongs to it, and does not change",
        "`relay.ir.op.operator`; see how-to/add-an-operator.md",
    ),
    Absent(
        "Lowering of quantised operators",
        (
            "tvm.relay.qnn.op.canonicalizations",
            "tvm.relay.qnn.op.layout_conversions",
            "tvm.relay.qnn.op.legalizations",
            "tvm.relay.qnn.op.register*",
        ),
        "an operator tells itself what it expands into",
        "`relay.transform.ExpandOps`, or `expand` of the operator's class",
    ),
    Absent(
        "Quantisation of models",
        (
            "tvm.relay.quantize*",
            "tvm.relay.analysis.list_fake_quantized_op_freqs",
            "tvm.relay.transform.FakeQuantizationToInteger",
        ),
        "not in this version",
    ),
    Absent(
        "Sparse tensors",
        (
            "tvm.relay.data_dep_optimization.bsr*",
            ".indptr",
            ".todense",
        ),
        "not in this version",
    ),
    Absent(
        "Several devices in one program",
        (
            "tvm.relay.transform.ManifestLifetimes",
            "tvm.relay.transform.PlanDevices",
            "tvm.relay.transform.RewriteAnnotatedOps",
            "tvm.target.VirtualDevice",
            "tvm.target.make_compilation_config",
            ".device_type_int",
            ".memory_scope",
            ".virtual_device",
            ".virtual_device_",
            ".virtual_device_id",
        ),
        "a program runs on one device, and the compiler alone plans its memory",
    ),
    Absent(
        "Compilation of single operators",
        (
            "tvm.relay.backend.compile_engine",
            "tvm.relay.backend.te_compiler",
            ".compute_version",
        ),
        "kernels are made by `relay.build`, all at once",
    ),
    Absent(
        "Diagnostics",
        ("tvm.ir.diagnostics", "._render", ".diagnostics", ".messages", ".source_name"),
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
    Absent(
        "The virtual machine's own constants and kernels",
        (
            ".get_late_bound_consts",
            ".invoke_with_outputs",
            ".load_late_bound_consts",
            ".load_late_bound_consts_from_map",
            ".move_late_bound_consts",
            ".primitive_ops",
        ),
        "a program is saved whole, and gives results in memory of their own",
    ),
    Absent(
        "Smaller things",
        ("tvm.relay.testing._np_randn_from_type",),
        "not in this version",
    ),
    Absent(
        "Attributes of the programs' own objects",
        (
            ".x",
            ".y",
            ".c",
            ".d",
            ".e",
            ".tt",
            ".one",
            ".two",
            ".three",
            ".gamma",
            ".int32",
            ".float32",
            ".register",
            ".run_function_test",
            ".fake_identity_func_relay",
            ".fake_identity_func_numpy",
            ".dequantize_numpy",
            ".helper_test_fake_quantize_unary_op",
            ".exception",
            ".execption",
            ".transform",
            ".op_list",
            ".vid",
            ".hof",
            ".visited_gv",
            ".has_func",
            ".events",
            ".rets",
            ".new_func",
            ".new_mod",
            ".err",
            ".readouterr",
            ".forward_shape",
            ".backward_shape",
            ".assert_message",
            ".matches",
            ".mirror",
            ".test_any_dense",
            ".tuple",
            ".inp",
            ".node_type_key",
            ".node_index",
            "._op_name",
            ".ops",
            ".skip_pass_name",
            ".run_before_count",
            ".run_after_count",
            ".__clear",
            ".get_counts",
            ".counts",
            ".lineno",
            ".col_offset",
            ".detach",
        ),
        "the programs from which the list is made define them",
    ),
)
"""The groups, in the order of the documentation."""


def reason(name: str) -> str:
    """Why `name` (``"tvm.relay.x"``) is absent, and what to use instead; empty when unknown."""
    for group in ABSENT:
        if group.covers(name):
            return group.reason + (f"; use {group.instead}" if group.instead else "")
    return ""
