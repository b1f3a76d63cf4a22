"""What the CPU says of itself is what LLVM says of it."""

import pytest

from relay.codegen import llvm
from relay.codegen.llvm import host
from relay.runtime import library, processor
from relay.target import from_cpu

TWO = """processor	: 0
BogoMIPS	: 243.75
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics asimdrdm
CPU implementer	: 0x41
CPU part	: 0xd0c

processor	: 1
Features	: fp asimd evtstrm aes pmull sha1 crc32 atomics sve
CPU part	: 0xd0c
"""

supported = pytest.mark.skipif(not library.is_supported(), reason="LLVM is asked here")


@supported
def test_features_are_those_of_llvm() -> None:
    assert processor.features() == set(llvm.native.describe_host()[2])


@supported
def test_the_identity_stays_the_same() -> None:
    first = processor.identity()
    processor.identity.cache_clear()
    assert first is not None
    assert processor.identity() == first


def test_the_host_that_is_kept_is_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    host.host_target()
    described = from_cpu(*llvm.native.describe_host())
    host.host_target.cache_clear()
    assert host.host_target() == described
    monkeypatch.setattr(processor, "identity", lambda: None)
    host.host_target.cache_clear()
    assert host.host_target() == described


@pytest.mark.parametrize(
    "data",
    [None, b"", b"[]", b"{}", b"[1, 2, []]", b'["a", "b", "c"]', b'["a", "b", [1]]', b"[" * 9999],
)
def test_a_description_that_is_none(data: bytes | None) -> None:
    assert host._decode(data) is None


def test_features_that_all_processors_list() -> None:
    assert processor.listed_features(TWO) == {"fp-armv8", "neon", "aes", "crc", "lse"}
    assert processor.listed_features("") == set()
