"""Which converter turns which ONNX operator, from which version of its operator set on."""

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from relay.frontend.onnx.node import Node, Result
from relay.frontend.onnx.session import DEFAULT_DOMAINS

Converter: TypeAlias = Callable[[Node], Result]
_Declared = TypeVar("_Declared", bound=Converter)

_CONVERTERS: dict[tuple[str, str], list[tuple[int, Converter]]] = {}


def onnx_op(domain: str, *op_types: str, since: int = 1) -> Callable[[_Declared], _Declared]:
    """Decorator: the function converts `op_types`, from version `since` of `domain` on.

    A converter takes a `Node` and gives the expression of its output, or one for each output, None
    for one that is not made. Of two converters for the same versions the later one counts.
    """

    def declare(converter: _Declared) -> _Declared:
        for op_type in op_types:
            key = ("" if domain in DEFAULT_DOMAINS else domain, op_type)
            versions = _CONVERTERS.setdefault(key, [])
            versions.append((since, converter))
            versions.sort(key=lambda version: version[0])
        return converter

    return declare


def find(domain: str, op_type: str, opset: int) -> Converter | None:
    """The converter of `op_type` as version `opset` of `domain` defines it, or None."""
    key = ("" if domain in DEFAULT_DOMAINS else domain, op_type)
    found = [c for since, c in _CONVERTERS.get(key, ()) if since <= opset]
    return found[-1] if found else None


def supported_operators() -> list[str]:
    """The names of the ONNX operators that can be imported, sorted."""
    return sorted(f"{domain}.{name}" if domain else name for domain, name in _CONVERTERS)
