"""What a program is compiled for: a machine described by numbers.

Code generation and schedules read only this record, never a CPU's name.
"""

import functools
import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path

from relay.support.errors import RelayError

_VECTOR_BYTES = (("avx512f", 64), ("avx", 32), ("sse2", 16), ("neon", 16), ("fp-armv8", 16))


@dataclass(frozen=True)
class Target:
    """A CPU: LLVM's `triple`, `cpu` and `features`, and the sizes that schedules depend on.

    Sizes are bytes; `vector_bytes` is the widest vector register and `vector_registers` their
    number; caches are those of one core.
    """

    triple: str
    cpu: str
    features: tuple[str, ...]
    vector_bytes: int = 16
    vector_registers: int = 16
    l1_bytes: int = 32 * 1024
    l2_bytes: int = 512 * 1024
    cores: int = 1

    def lanes(self, dtype_bits: int) -> int:
        """Elements of `dtype_bits` bits in one vector register."""
        return max(1, self.vector_bytes * 8 // dtype_bits)

    def has(self, feature: str) -> bool:
        """Whether the CPU has an LLVM feature, such as ``avx512f``."""
        return feature in self.features

    def with_features(self, *features: str) -> "Target":
        """This target restricted to `features` (to try narrower instruction sets)."""
        unknown = set(features) - set(self.features)
        if unknown:
            raise RelayError(f"this CPU lacks {', '.join(sorted(unknown))}")
        vector_bytes, registers = _vector_unit(features, self.triple)
        return replace(
            self,
            cpu="generic" if not self.triple.startswith("x86_64") else "x86-64",
            features=tuple(features),
            vector_bytes=vector_bytes,
            vector_registers=registers,
        )


def _vector_unit(features: tuple[str, ...], triple: str) -> tuple[int, int]:
    """Width in bytes and number of the vector registers."""
    width = next((size for name, size in _VECTOR_BYTES if name in features), 16)
    registers = 32 if "avx512vl" in features or triple.startswith(("aarch64", "arm64")) else 16
    return width, registers


def usable_cores() -> int:
    """Cores this process may use: the affinity mask, bounded by the cgroup's CPU quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else (os.cpu_count() or 1)
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    if quota == "max":
        return cores
    return max(1, min(cores, int(quota) // int(period)))


def _cache_bytes(level: int, default: int) -> int:
    """Size of a core's data cache of `level` as the operating system tells it."""
    for index in range(8):
        folder = Path(f"/sys/devices/system/cpu/cpu0/cache/index{index}")
        try:
            if (folder / "type").read_text().strip() == "Instruction":
                continue
            if int((folder / "level").read_text()) == level:
                text = (folder / "size").read_text().strip()
                return int(text.rstrip("KM")) * {"K": 1024, "M": 1024 * 1024}.get(text[-1], 1)
        except (OSError, ValueError):
            break
    return default


def from_cpu(triple: str, cpu: str, features: tuple[str, ...]) -> Target:
    """The target for a CPU that LLVM describes, with sizes read from the operating system."""
    vector_bytes, registers = _vector_unit(features, triple)
    return Target(
        triple=triple,
        cpu=cpu,
        features=features,
        vector_bytes=vector_bytes,
        vector_registers=registers,
        l1_bytes=_cache_bytes(1, 32 * 1024),
        l2_bytes=_cache_bytes(2, 512 * 1024),
        cores=usable_cores(),
    )


@functools.cache
def machine() -> str:
    """The architecture's name as the operating system gives it (``x86_64``, ``arm64``)."""
    return platform.machine()
