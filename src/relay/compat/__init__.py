"""Names of TVM's Relay, from 0.5 to 0.19, that have no place elsewhere.

::

    import relay.compat.tvm as tvm
    from relay.compat.tvm import relay

runs scripts that were written for TVM. Where TVM is not installed, `install` makes ``import tvm``
itself work. What is absent, and what differs on purpose, is in ``docs/compatibility.md``.
"""

from relay.compat.install import install

__all__ = ["install"]
