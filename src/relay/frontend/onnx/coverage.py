"""Which operators of a model cannot be imported."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from onnx import FunctionProto, NodeProto

from relay.frontend.onnx.registry import find
from relay.frontend.onnx.session import DEFAULT_DOMAINS, FunctionKey, called, versions
from relay.frontend.onnx.standard import has_standard_function
from relay.frontend.onnx.structure import all_nodes


@dataclass(frozen=True)
class Missing:
    """An operator without a converter, and the `nodes` of it, by name or else by output."""

    domain: str
    op_type: str
    opset: int
    nodes: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {len(self.nodes) - 5} more" if len(self.nodes) > 5 else ""
        return (
            f"{self.op_type} (domain {self.domain or 'ai.onnx'}, opset {self.opset}) "
            f"in {', '.join(map(repr, self.nodes[:5]))}{more}"
        )


def missing_operators(
    nodes: Iterable[NodeProto],
    opsets: Mapping[str, int],
    functions: Mapping[FunctionKey, FunctionProto],
) -> list[Missing]:
    """The operators of `nodes`, and of the functions they call, that cannot be imported."""
    lacking: dict[tuple[str, str, int], dict[str, None]] = {}
    seen: set[FunctionKey] = set()
    pending = [(iter(all_nodes(nodes)), opsets)]
    while pending:
        remaining, known = pending.pop()
        for node in remaining:
            function = functions.get(called(node))
            if function is not None:
                if called(node) not in seen:
                    seen.add(called(node))
                    inside = versions(function.opset_import)
                    pending.append((iter(all_nodes(function.node)), inside))
                continue
            domain = "" if node.domain in DEFAULT_DOMAINS else node.domain
            opset = known.get(domain, 1)
            if find(domain, node.op_type, opset) is None and not has_standard_function(
                domain, node.op_type, opset
            ):
                name = node.name or (node.output[0] if node.output else "?")
                lacking.setdefault((domain, node.op_type, opset), {})[name] = None
    return [Missing(*key, tuple(names)) for key, names in sorted(lacking.items())]
