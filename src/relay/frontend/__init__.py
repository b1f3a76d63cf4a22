"""Importers: models of other frameworks become Relay modules.

>>> from relay import frontend
>>> module, params = frontend.from_onnx("model.onnx")  # doctest: +SKIP

Each importer is loaded when it is first used, so that `import relay` needs none of the frameworks.
"""

import importlib
from typing import TYPE_CHECKING

from relay.support.errors import ImportModelError

if TYPE_CHECKING:
    from relay.frontend.onnx import from_onnx

#: Public function -> the framework whose importer it is: a module here, and a package it needs.
_LAZY = {"from_onnx": "onnx"}

__all__ = ["from_onnx"]


def __getattr__(name: str) -> object:
    framework = _LAZY.get(name, name)
    if framework not in _LAZY.values():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.{framework}")
    except ModuleNotFoundError as error:
        if error.name != framework:
            raise
        raise ImportModelError(
            f"{name} needs the package {framework!r}, which is not installed; "
            f"install it with: pip install relay-ir[{framework}]"
        ) from None
    return getattr(module, name) if name in _LAZY else module


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_LAZY.values()})
