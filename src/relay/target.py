"""What a program is compiled for: a machine described by numbers.

Code generation and schedules read only this record, never a CPU's name.
"""

import functools
import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path

from relay.support.errors import RelayError

#: Bytes of a vector register, by the feature that brings it; the first one present counts.
_VECTOR_BYTES = (("avx512f", 64), ("avx", 32))
_SMALLEST_VECTOR_BYTES = 16
#: What LLVM takes for granted with a feature, as far as schedules and code generation ask for it.
_IMPLIED = {
    "avx512f": ("avx2", "f16c", "fma"),
    "avx2": ("avx",),
    "f16c": ("avx",),
    "fma": ("avx",),
}
_L1_BYTES, _L2_BYTES = 32 * 1024, 512 * 1024


@dataclass(frozen=True)
class Target:
    """A CPU: LLVM's `triple`, `cpu` and `features`, and the sizes that schedules depend on.

    Sizes are bytes; `vector_bytes` is the widest vector register and `vector_registers` their
    number; caches are those of one core. `for_cpu` fills in what follows from the features.
    """

    triple: str
    cpu: str
    features: tuple[str, ...]
    vector_bytes: int = _SMALLEST_VECTOR_BYTES
    vector_registers: int = 16
    l1_bytes: int = _L1_BYTES
    l2_bytes: int = _L2_BYTES
    cores: int = 1

    def lanes(self, dtype_bits: int) -> int:
        """Elements of `dtype_bits` bits in one vector register."""
        return max(1, self.vector_bytes * 8 // dtype_bits)

    def has(self, feature: str) -> bool:
        """Whether the CPU has an LLVM feature, such as ``avx512f``."""
        return feature in self.features

    @property
    def multiplies_pairs(self) -> bool:
        """Whether one instruction adds the products of two pairs of ``bfloat16`` in each lane."""
        return self.has("avx512bf16") and self.has("avx512vl")

    def with_features(self, *features: str) -> "Target":
        """This target restricted to `features`, and to what these imply.

        The code then runs on every CPU of the architecture that has them. Raises `RelayError` for
        a feature that this CPU lacks.
        """
        unknown = set(features) - set(self.features)
        if unknown:
            raise RelayError(f"this CPU lacks {', '.join(sorted(unknown))}")
        chosen = _with_implied(features)
        vector_bytes, registers = _vector_unit(chosen, self.triple)
        return replace(
            self,
            cpu=_oldest_cpu(self.triple),
            features=chosen,
            vector_bytes=vector_bytes,
            vector_registers=registers,
        )


def for_cpu(
    triple: str,
    cpu: str = "",
    features: tuple[str, ...] = (),
    *,
    l1_bytes: int = _L1_BYTES,
    l2_bytes: int = _L2_BYTES,
    cores: int = 1,
) -> Target:
    """The target for a CPU in LLVM's words, which need not be that of this machine. ::

        for_cpu("aarch64-unknown-linux-gnu", "neoverse-n1", ("neon",), l1_bytes=64 * 1024, cores=4)

    Without `cpu` the code runs on every CPU of the architecture that has `features`. These name
    the instruction sets that schedules may count on: the vectors are as wide as they say, whatever
    else `cpu` has. Sizes of caches are bytes for one core.
    """
    chosen = _with_implied(features)
    vector_bytes, registers = _vector_unit(chosen, triple)
    return Target(
        triple=triple,
        cpu=cpu or _oldest_cpu(triple),
        features=chosen,
        vector_bytes=vector_bytes,
        vector_registers=registers,
        l1_bytes=l1_bytes,
        l2_bytes=l2_bytes,
        cores=cores,
    )


def is_aarch64(triple: str) -> bool:
    """Whether `triple` is of the 64-bit Arm architecture, which has two names."""
    return triple.startswith(("aarch64", "arm64"))


def _oldest_cpu(triple: str) -> str:
    """LLVM's name for what all CPUs of the architecture have in common."""
    return "x86-64" if triple.startswith("x86_64") else "generic"


def _with_implied(features: tuple[str, ...]) -> tuple[str, ...]:
    """`features` followed by those that they imply."""
    found = dict.fromkeys(features)
    pending = list(features)
    while pending:
        name = pending.pop()
        base = "avx512f" if name.startswith("avx512") else name
        for implied in (base, *_IMPLIED.get(base, ())):
            if implied not in found:
                found[implied] = None
                pending.append(implied)
    return tuple(found)


def _vector_unit(features: tuple[str, ...], triple: str) -> tuple[int, int]:
    """Width in bytes and number of the vector registers."""
    width = next((size for name, size in _VECTOR_BYTES if name in features), _SMALLEST_VECTOR_BYTES)
    registers = 32 if "avx512f" in features or is_aarch64(triple) else 16
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
    """The target for this machine's CPU, as LLVM names it; the operating system tells its sizes."""
    return for_cpu(
        triple,
        cpu,
        features,
        l1_bytes=_cache_bytes(1, _L1_BYTES),
        l2_bytes=_cache_bytes(2, _L2_BYTES),
        cores=usable_cores(),
    )


@functools.cache
def machine() -> str:
    """The architecture's name as the operating system gives it (``x86_64``, ``arm64``)."""
    return platform.machine()
