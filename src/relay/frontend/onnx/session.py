"""What all graphs of one import share, and what one graph's conversion is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from onnx import FunctionProto, ModelProto, NodeProto

from relay.frontend.onnx.sizes import Extent
from relay.ir.expr import Expr, Var
from relay.ir.op import Array
from relay.runtime.ndarray import NDArray
from relay.support.errors import ImportModelError

#: Domain, name and overload of a function that a model defines.
FunctionKey: TypeAlias = tuple[str, str, str]

#: Names that mean the default domain.
DEFAULT_DOMAINS = ("", "ai.onnx")
#: A model may have this many nodes, those of the functions it calls counted at every call.
MAX_NODES = 1_000_000
#: Graphs may be this deep in each other: bodies of loops, branches, functions that are called.
MAX_DEPTH = 40
_MAX_VERSION = 2**31 - 1


class Allowance:
    """How many bytes an import may still spend on values that it computes itself.

    It grows with the weights of the model, so that a small file cannot fill the memory.
    """

    _AT_FIRST = 1 << 28
    _FOR_EACH_BYTE = 8
    #: A folded value may have this many bytes, or as many as the constants it is made of.
    _MAX_FOLDED = 1 << 20

    def __init__(self) -> None:
        self._left = self._AT_FIRST

    def earn(self, size: int) -> None:
        """The model carries `size` bytes more."""
        self._left += self._FOR_EACH_BYTE * size

    def spend(self, size: int) -> bool:
        """Take `size` bytes; False, and nothing taken, where there are not as many left."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def folds(self, size: int, given: int) -> bool:
        """Whether `size` bytes may be computed while importing, from `given` bytes of constants."""
        return size <= max(self._MAX_FOLDED, given) and self.spend(size)


class Boundless(Allowance):
    """Everything is computed at once: what evaluates a node rather than imports it."""

    def spend(self, size: int) -> bool:
        """Always."""
        return True

    def folds(self, size: int, given: int) -> bool:
        """Always."""
        return True


@dataclass(frozen=True)
class Problem:
    """What is wrong with one node of a model: `operator` names its kind, `where` the node."""

    operator: str
    where: str
    reason: str


def kind(domain: str, op_type: str, opset: int) -> str:
    """How messages name an operator."""
    return f"{domain}.{op_type} ({opset})" if domain else f"{op_type} ({opset})"


@dataclass
class Session:
    """One import: its weights, its parameters, what it may spend, the functions of the model."""

    opsets: Mapping[str, int]
    """The version of each operator set, by domain; the default domain is ``""``."""
    functions: Mapping[FunctionKey, FunctionProto] = field(default_factory=dict)
    weights: dict[str, NDArray] = field(default_factory=dict)
    """Initializers whose data the model lacks, because they stay in a file."""
    freeze: bool = True
    source_name: str = "model"
    allowance: Allowance = field(default_factory=Allowance)
    parameters: dict[Var, NDArray] = field(default_factory=dict)
    nodes: int = 0
    problems: list[Problem] | None = None
    """What is wrong with single nodes, where the import goes on after them; else None."""
    lacking: set[tuple[str, str]] = field(default_factory=set)
    """Domains and names of operators that are known to have no converter."""
    symbols: dict[Expr, Array] = field(default_factory=dict)
    """Vectors of sizes that are not all known, as arrays of `Extent`."""
    extents: dict[Expr, tuple[Extent, ...]] = field(default_factory=dict)
    """Shapes of which more is known than types can say."""

    def count(self, nodes: int) -> None:
        """`nodes` more are converted. Raises `ImportModelError` where that is too much."""
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise ImportModelError(
                f"the model has more than {MAX_NODES} nodes, "
                "with those that its functions expand to"
            )


def functions_of(model: ModelProto) -> dict[FunctionKey, FunctionProto]:
    """The functions that `model` defines."""
    return {(f.domain, f.name, getattr(f, "overload", "")): f for f in model.functions}


def called(node: NodeProto) -> FunctionKey:
    """The function that `node` calls, if the model has it."""
    return node.domain, node.op_type, getattr(node, "overload", "")


def versions(imports: Sequence[object]) -> dict[str, int]:
    """Operator sets by domain; the default domain is ``""``.

    Raises `ImportModelError` on a version that is none.
    """
    found: dict[str, int] = {}
    for each in imports:
        domain: str = getattr(each, "domain", "")
        version = int(getattr(each, "version", 1))
        if not 0 <= version <= _MAX_VERSION:
            raise ImportModelError(
                f"the model asks for version {version} of the operators of "
                f"{domain or 'ai.onnx'!r}, which cannot be: it is damaged"
            )
        found["" if domain in DEFAULT_DOMAINS else domain] = version
    return found
