"""Passes on operators of quantised values, by the names that Relay's users know."""

from relay.transform.expand_ops import ExpandOps
from relay.transform.legalize import Legalize


def CanonicalizeOps() -> ExpandOps:  # noqa: N802 - Relay's name
    """The pass that puts integer arithmetic in the place of all operators on quantised values."""
    return ExpandOps("qnn.")


__all__ = ["CanonicalizeOps", "Legalize"]
