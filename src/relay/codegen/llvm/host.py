"""The machine this process runs on, as a target."""

import json
from functools import cache

from relay.codegen import llvm
from relay.codegen.llvm.objects import cache_read, cache_write, llvm_version, text_key
from relay.runtime import processor
from relay.target import Target, from_cpu


@cache
def host_target() -> Target:
    """The target for this machine's CPU, in LLVM's words.

    What LLVM says of a CPU is kept in the cache, under all that the CPU says of itself.
    """
    identity = processor.identity()
    if identity is None:
        return from_cpu(*llvm.native.describe_host())
    key = text_key(repr(("host", llvm_version(), identity)))
    described = _decode(cache_read(key))
    if described is None:
        described = llvm.native.describe_host()
        cache_write(key, json.dumps(described).encode())
    return from_cpu(*described)


def _decode(data: bytes | None) -> tuple[str, str, tuple[str, ...]] | None:
    """What is kept of a CPU; None where that is nothing, or nothing of use."""
    try:
        triple, name, features = json.loads(data or b"")
    except (ValueError, TypeError, RecursionError):
        return None
    if not isinstance(features, list) or not all(
        isinstance(text, str) for text in (triple, name, *features)
    ):
        return None
    return triple, name, tuple(features)
