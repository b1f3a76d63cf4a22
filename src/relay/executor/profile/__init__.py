"""Profiling: where the time of a compiled graph goes, and how far that is from the best.

``GraphModule.profile`` and ``GraphFactory.profile`` give a `Profile`.
"""

from relay.executor.profile.machine import Ceilings, measure_machine
from relay.executor.profile.profile import KernelProfile, Profile

__all__ = ["Ceilings", "KernelProfile", "Profile", "measure_machine"]
