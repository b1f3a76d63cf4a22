"""Algebraic data types by the name that Relay's users know the module by."""

from relay.ir.adt import Constructor, TypeData
from relay.ir.match import Clause, Match, unmatched_cases
from relay.ir.patterns import (
    Pattern,
    PatternConstructor,
    PatternTuple,
    PatternVar,
    PatternWildcard,
)

__all__ = [
    "Clause",
    "Constructor",
    "Match",
    "Pattern",
    "PatternConstructor",
    "PatternTuple",
    "PatternVar",
    "PatternWildcard",
    "TypeData",
    "unmatched_cases",
]
