"""Make ``import tvm`` work where TVM is not installed."""

import importlib.util
import sys

from relay.compat import tvm
from relay.compat.namespace import FINDER
from relay.support.errors import RelayError


def install() -> None:
    """Let ``import tvm``, ``from tvm import relay`` and so on give `relay.compat.tvm`.

    To be called once, before the first import of ``tvm``; again, it does nothing. Raises
    `RelayError` when TVM itself is installed or has been imported: one name cannot mean both.
    """
    if sys.modules.get("tvm") is tvm:
        return
    if "tvm" in sys.modules or importlib.util.find_spec("tvm") is not None:
        raise RelayError(
            "TVM is installed here, so `import tvm` already has a meaning; uninstall it, "
            "or write `import relay.compat.tvm as tvm` instead of calling install()"
        )
    FINDER.prefixes["tvm"] = FINDER.prefixes["relay.compat.tvm"]
    sys.modules["tvm"] = tvm
