"""Loop programs: grammar, printing, parsing, checking, reference meaning, simplification."""

from relay.loop.equal import equal
from relay.loop.interp import run
from relay.loop.parser import parse
from relay.loop.printer import text
from relay.loop.verify import VerifyError, verify

__all__ = ["VerifyError", "equal", "parse", "run", "text", "verify"]
