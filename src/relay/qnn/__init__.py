"""The dialect of quantised values: `relay.qnn.op` and `relay.qnn.transform`."""

from relay.op import qnn as op
from relay.qnn import transform

__all__ = ["op", "transform"]
