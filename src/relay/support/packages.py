"""Packages that are needed for one thing only, and are loaded when it is asked for."""

import importlib
from types import ModuleType

from relay.support.errors import UnsupportedError


def optional_package(module: str, package: str, extra: str, purpose: str) -> ModuleType:
    """`module` of `package`, which `purpose` needs.

    Raises `UnsupportedError`, which names the `extra` of relay-ir that installs it, without it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise UnsupportedError(
            f"{purpose} needs the package {package}; install it with: pip install relay-ir[{extra}]"
        ) from None
