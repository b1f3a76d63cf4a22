"""How much the functions of a model expand to, told before any of them is expanded."""

from collections.abc import Iterable, Mapping

from onnx import FunctionProto, NodeProto

from relay.frontend.onnx.session import MAX_NODES, FunctionKey, called
from relay.frontend.onnx.structure import all_nodes
from relay.support.errors import ImportModelError


def check_expansion(
    nodes: Iterable[NodeProto], functions: Mapping[FunctionKey, FunctionProto]
) -> None:
    """Raise `ImportModelError` when `functions` call each other in a circle, or expand to more

    than `MAX_NODES` nodes where `nodes` call them.
    """
    sizes = _expanded_sizes(functions) if functions else {}
    total = sum(sizes.get(called(n), 1) for n in all_nodes(nodes))
    if total > MAX_NODES:
        raise ImportModelError(
            f"the model has {total} nodes, with those that its functions expand to; "
            f"at most {MAX_NODES} are accepted"
        )


def _expanded_sizes(functions: Mapping[FunctionKey, FunctionProto]) -> dict[FunctionKey, int]:
    """How many nodes a call of each function expands to."""
    bodies = {k: [called(n) for n in all_nodes(f.node)] for k, f in functions.items()}
    sizes: dict[FunctionKey, int] = {}
    open_: set[FunctionKey] = set()
    for root in functions:
        stack = [(root, False)]
        while stack:
            key, ready = stack.pop()
            if ready:
                sizes[key] = sum(sizes.get(c, 1) for c in bodies[key])
                open_.discard(key)
            elif key in open_:
                raise ImportModelError(f"the function {key[1]!r} of the model calls itself")
            elif key not in sizes:
                open_.add(key)
                stack.append((key, True))
                stack.extend((c, False) for c in dict.fromkeys(bodies[key]) if c in functions)
    return sizes
