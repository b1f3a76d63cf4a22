"""`PrintIR`: show the module between two passes."""

import sys
from dataclasses import dataclass

from relay.ir.module import IRModule
from relay.transform.base import Pass, PassContext


@dataclass(frozen=True)
class PrintIR(Pass):
    """Write the module's text to standard error, after `header`, and change nothing.

    With `show_meta_data`, the text is complete: it can be parsed, constants included.
    """

    header: str = ""
    show_meta_data: bool = False

    opt_level = 0

    def run(self, module: IRModule, context: PassContext) -> IRModule:
        text = module.astext() if self.show_meta_data else str(module)
        sys.stderr.write(f"PrintIR({self.header}):\n{text}\n")
        return module
