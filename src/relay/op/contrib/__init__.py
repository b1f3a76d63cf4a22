"""What external compilers support: patterns of operators, and single operators."""

from relay.op.contrib import register
from relay.op.contrib.register import (
    get_pattern_table,
    is_supported,
    register_pattern_table,
    register_supported,
)

__all__ = [
    "get_pattern_table",
    "is_supported",
    "register",
    "register_pattern_table",
    "register_supported",
]
