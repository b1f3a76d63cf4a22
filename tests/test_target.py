"""Targets: what follows from a CPU's instruction sets."""

import pytest

from relay.codegen.llvm.host import host_target
from relay.support.errors import RelayError
from relay.target import for_cpu


@pytest.mark.parametrize(
    ("triple", "features", "vector_bytes", "vector_registers", "lanes"),
    [
        ("x86_64-unknown-linux-gnu", ("sse2",), 16, 16, 4),
        ("x86_64-unknown-linux-gnu", ("avx",), 32, 16, 8),
        ("x86_64-unknown-linux-gnu", ("avx2", "fma"), 32, 16, 8),
        ("x86_64-unknown-linux-gnu", ("avx512f",), 64, 32, 16),
        ("x86_64-unknown-linux-gnu", ("avx512vnni",), 64, 32, 16),
        ("aarch64-unknown-linux-gnu", ("neon",), 16, 32, 4),
        ("aarch64-unknown-linux-gnu", (), 16, 32, 4),
        ("arm64-apple-macosx14.0.0", ("neon", "fullfp16"), 16, 32, 4),
        ("riscv64-unknown-linux-gnu", (), 16, 16, 4),
    ],
)
def test_vectors(
    triple: str, features: tuple[str, ...], vector_bytes: int, vector_registers: int, lanes: int
) -> None:
    target = for_cpu(triple, features=features)
    assert (target.vector_bytes, target.vector_registers) == (vector_bytes, vector_registers)
    assert target.lanes(32) == lanes
    assert target.features[: len(features)] == features


def test_what_features_imply() -> None:
    target = for_cpu("x86_64-unknown-linux-gnu", features=("avx512bw",))
    assert set(target.features) == {"avx512bw", "avx512f", "avx2", "avx", "fma", "f16c"}
    assert for_cpu("x86_64-unknown-linux-gnu", features=("fma",)).features == ("fma", "avx")
    assert for_cpu("aarch64-unknown-linux-gnu", features=("neon",)).features == ("neon",)


def test_the_oldest_cpu_is_the_default() -> None:
    assert for_cpu("x86_64-unknown-linux-gnu").cpu == "x86-64"
    assert for_cpu("aarch64-unknown-linux-gnu").cpu == "generic"
    assert for_cpu("aarch64-unknown-linux-gnu", "neoverse-n1").cpu == "neoverse-n1"


def test_sizes() -> None:
    target = for_cpu("aarch64-unknown-linux-gnu", l1_bytes=65536, l2_bytes=1 << 20, cores=4)
    assert (target.l1_bytes, target.l2_bytes, target.cores) == (65536, 1 << 20, 4)


def test_features_that_the_cpu_lacks() -> None:
    with pytest.raises(RelayError, match="this CPU lacks warp-drive"):
        host_target().with_features("warp-drive")


def test_a_restricted_target_keeps_the_sizes() -> None:
    host = host_target()
    narrow = host.with_features()
    assert narrow.features == ()
    assert narrow.vector_bytes == 16
    assert (narrow.l1_bytes, narrow.l2_bytes, narrow.cores) == (
        host.l1_bytes,
        host.l2_bytes,
        host.cores,
    )
