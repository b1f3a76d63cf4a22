"""The targets that programs can be tested on."""

from relay.runtime.device import Device, cpu


def ctx_list() -> list[tuple[str, Device]]:
    """Every target that works on this machine, with a device for it (Relay 0.5 and 0.6)."""
    return [("llvm", cpu(0))]


enabled_targets = ctx_list
"""The same by its later name."""
