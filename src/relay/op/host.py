"""Operators that run on the host.

Compiled code works on memory whose size is known before it runs. What works on text, or gives as
much as its input happens to ask for, is left to the host: there the virtual machine does what the
operator's reference does.
"""

from typing import ClassVar

from relay.ir.op import Operator

ON_HOST = "it runs on the host, which the virtual machine calls"


class HostOperator(Operator):
    """Base of the operators that run on the host: their `reference` is all of their meaning."""

    host = True
    takes_text = True
    missing: ClassVar[dict[str, str]] = {"compute": ON_HOST}
