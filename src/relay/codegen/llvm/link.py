"""LLVM IR to objects, which the cache keeps, and objects into this process."""

import threading
from collections.abc import Mapping, Sequence

from relay.codegen import llvm
from relay.codegen.llvm.host import host_target
from relay.codegen.llvm.objects import cache_key, cache_read, cache_write
from relay.codegen.llvm.support import KERNEL_SYMBOLS, SYMBOLS, support_text
from relay.runtime import library
from relay.runtime.library import Library
from relay.runtime.threads import Pool, install
from relay.support.timing import stage
from relay.target import Target


def object_code(text: str, target: Target) -> bytes:
    """The object file for a module of LLVM IR text."""
    with stage("LLVM"):
        return llvm.native.object_code(text, target)


def compile_text(text: str, target: Target) -> bytes:
    """The object for a module of LLVM IR text, from the cache where it is there."""
    key = cache_key(text, target)
    image = cache_read(key)
    if image is None:
        image = object_code(text, target)
        cache_write(key, image)
    return image


def support_object(target: Target) -> bytes:
    """The object of the support code for `target`: threads and scratch memory."""
    return compile_text(support_text(target), target)


def link(
    objects: Sequence[bytes],
    symbols: Sequence[str],
    imports: Mapping[str, int] | None = None,
    support: bytes | None = None,
) -> Library:
    """Link objects into this process and find the addresses of `symbols`.

    `imports` are the addresses of what kernels call, by default those of the support code. Where
    this process has none yet, that is the object `support`, or compiled here. Raises `RelayError`
    or `RuntimeError` for objects that cannot be linked.
    """
    if imports is None:
        addresses = thread_pool(support).addresses
        imports = {name: addresses[name] for name in KERNEL_SYMBOLS}
    return _load(objects, symbols, imports)


def _load(objects: Sequence[bytes], symbols: Sequence[str], imports: Mapping[str, int]) -> Library:
    if library.is_supported():
        return library.load(objects, symbols, imports)
    return llvm.native.load(objects, symbols, imports)


class _State:
    """The process's thread pool, and the code that threads may run until its very end."""

    lock = threading.Lock()
    pool: Pool | None = None
    code: Library | None = None


def thread_pool(support: bytes | None = None) -> Pool:
    """The process's thread pool, from the object `support`, or compiled for this machine."""
    with _State.lock:
        if _State.pool is None:
            image = support_object(host_target()) if support is None else support
            _State.code = _load([image], SYMBOLS, {})
            _State.pool = install(_State.code.addresses)
        return _State.pool
