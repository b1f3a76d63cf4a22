"""Which converter turns which ONNX operator, from which version of its operator set on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from relay.frontend.onnx.node import Node, Result
from relay.frontend.onnx.session import DEFAULT_DOMAINS

Convert: TypeAlias = Callable[[Node], Result]
_Function = TypeVar("_Function", bound=Convert)


@dataclass(frozen=True)
class Converter:
    """What turns an operator into Relay, from version `since` of its domain on.

    `values` are the inputs of which it needs the values: see `onnx_op`.
    """

    convert: Convert
    since: int
    values: tuple[int, ...] | None


_CONVERTERS: dict[tuple[str, str], list[Converter]] = {}


def onnx_op(
    domain: str, *op_types: str, since: int = 1, values: tuple[int, ...] | None = None
) -> Callable[[_Function], _Function]:
    """Decorator: the function converts `op_types`, from version `since` of `domain` on.

    A converter takes a `Node` and gives the expression of its output, or one for each output, None
    for one that is not made. Of two converters for the same versions the later one counts.

    A node that needs what only a run tells is converted then, for the values of its inputs in
    `values`. Without them, these are the inputs after the first that are lists of whole numbers,
    such as axes and sizes.
    """

    def declare(convert: _Function) -> _Function:
        for op_type in op_types:
            key = ("" if domain in DEFAULT_DOMAINS else domain, op_type)
            versions = _CONVERTERS.setdefault(key, [])
            versions.append(Converter(convert, since, values))
            versions.sort(key=lambda version: version.since)
        return convert

    return declare


def find(domain: str, op_type: str, opset: int) -> Converter | None:
    """The converter of `op_type` as version `opset` of `domain` defines it, or None."""
    key = ("" if domain in DEFAULT_DOMAINS else domain, op_type)
    found = [c for c in _CONVERTERS.get(key, ()) if c.since <= opset]
    return found[-1] if found else None


def supported_operators() -> list[str]:
    """The names of the ONNX operators that can be imported, sorted."""
    return sorted(f"{domain}.{name}" if domain else name for domain, name in _CONVERTERS)
