"""What ``tvm`` gives: ``import relay.compat.tvm as tvm; from relay.compat.tvm import relay``.

The table of its modules is `relay.compat.table`.
"""

from typing import Final

from relay.compat.namespace import FINDER, Namespace
from relay.compat.table import NAMESPACES

ROOT: Final = Namespace("", NAMESPACES)
__version__: Final = "0.19.0"
"""The last version of TVM that had Relay: what scripts compare with."""

__path__: list[str] = []
FINDER.prefixes["relay.compat.tvm"] = ROOT


def __getattr__(name: str) -> object:
    return getattr(ROOT, name)


def __dir__() -> list[str]:
    return [*dir(ROOT), "__version__"]
