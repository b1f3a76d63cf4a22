"""Which operators, and which patterns of operators, an external compiler takes.

::

    @register_pattern_table("toy")
    def toy_patterns():
        return [("toy.conv2d_relu", is_op("nn.relu")(is_op("nn.conv2d")(wildcard(), wildcard())))]

    register_supported("nn.dense", "toy")

`relay.transform.MergeComposite` takes the table, `relay.transform.AnnotateTarget` the compiler's
name.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from relay.dataflow_pattern.patterns import DFPattern
from relay.ir.expr import Call, Expr, Op
from relay.support.errors import RelayError

Check: TypeAlias = Callable[[Expr], bool]
PatternEntry: TypeAlias = tuple[str, DFPattern] | tuple[str, DFPattern, Check]
"""Name of the composite (``compiler.name``), pattern, and what else has to hold of a match."""

PatternTable: TypeAlias = Sequence[PatternEntry]
TableMaker: TypeAlias = Callable[[], PatternTable]
Supports: TypeAlias = Callable[[Call], bool]

_TABLES: Final[dict[str, PatternTable]] = {}
_SUPPORTED: Final[dict[tuple[str, str], Supports]] = {}


def register_pattern_table(
    compiler: str, table: TableMaker | None = None
) -> Callable[[TableMaker], TableMaker]:
    """Make what `table` returns the patterns of `compiler`; a decorator without `table`."""

    def register(maker: TableMaker) -> TableMaker:
        _TABLES[compiler] = tuple(maker())
        return maker

    if table is not None:
        register(table)
    return register


def get_pattern_table(compiler: str) -> PatternTable | None:
    """The patterns registered for `compiler`; None when there are none."""
    return _TABLES.get(compiler)


def _every(_: Call) -> bool:
    return True


def register_supported(op_name: str, compiler: str, supports: Supports = _every) -> None:
    """Let `compiler` take the calls of the operator `op_name` of which `supports` holds.

    Raises `RelayError` when there is no such operator.
    """
    Op.get(op_name)
    if "." in compiler or not compiler:
        raise RelayError(f"the name of a compiler has no dots and is not empty: {compiler!r}")
    _SUPPORTED[op_name, compiler] = supports


def is_supported(call: Call, compiler: str) -> bool:
    """Whether `compiler` takes the operator call `call`."""
    if not isinstance(call.op, Op):
        return False
    supports = _SUPPORTED.get((call.op.name, compiler))
    return supports is not None and supports(call)
