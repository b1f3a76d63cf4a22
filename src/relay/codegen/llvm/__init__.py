"""Loop programs to LLVM: IR text, optimisation, objects, linking into this process.

`relay.codegen.llvm.native` is all that talks to LLVM. It is loaded when something is compiled, as
an attribute of this package, so that a process that only runs ready code does without LLVM.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay.codegen.llvm import native

__all__ = ["native"]


def __getattr__(name: str) -> object:
    if name != "native":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.native")
