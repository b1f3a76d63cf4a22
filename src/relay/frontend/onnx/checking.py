"""What of a model cannot be imported, all of it at once."""

import os
from dataclasses import dataclass

from onnx import ModelProto

from relay.frontend.onnx.coverage import Missing, missing_operators
from relay.frontend.onnx.graph import inputs_of, opened, scope_of
from relay.frontend.onnx.session import Problem, kind
from relay.support.collector import paused_collector
from relay.support.errors import ImportModelError


@dataclass(frozen=True)
class Report:
    """What `check` finds: how many nodes matter, of how many kinds, and what is wrong with some."""

    nodes: int
    operators: int
    problems: tuple[Problem, ...]


def check(model: ModelProto | bytes | str | os.PathLike[str]) -> Report:
    """What of `model`, or the model in a file, cannot be imported.

    Nothing is compiled or run. A node that cannot be imported does not hide those after it, unless
    the types of what it makes are not known either. Raises `ImportModelError` where it is not a
    node that is at fault.
    """
    model, session = opened(model)
    graph = model.graph
    scope, used = scope_of(graph, inputs_of(graph, {}, "float32"), session)
    missing = missing_operators(used, session.opsets, session.functions)
    session.lacking = {(each.domain, each.op_type) for each in missing}
    session.problems = []
    with paused_collector():
        try:
            scope.convert([o.name for o in graph.output])
        except ImportModelError:
            if not session.problems:
                raise
    kinds = {(node.domain, node.op_type) for node in used}
    return Report(len(used), len(kinds), (*map(_lacking, missing), *session.problems))


def _lacking(missing: Missing) -> Problem:
    return Problem(
        kind(missing.domain, missing.op_type, missing.opset),
        ", ".join(missing.nodes),
        "no converter is known for it: write one (see docs/how-to/import-onnx.md), "
        "or export the model with other operators",
    )
