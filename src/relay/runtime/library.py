"""Machine code in this process: relocatable objects, loaded without a compiler.

Code is written while its memory is writable and runs when it is executable; it is never both.
`load` is for Linux on the architectures of `relay.runtime.elf.MACHINES`, as `is_supported` tells.
"""

import ctypes
import mmap
import os
import sys
import weakref
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from relay.runtime.elf import MACHINES, Part
from relay.runtime.linker import Image, Span
from relay.support.errors import ArtifactError
from relay.target import machine

_MAP_FAILED = (1 << 64) - 1
#: How a part of an image is protected once it is written; variables stay as they are.
_PROTECTION: Final = {
    Part.CODE: mmap.PROT_READ | mmap.PROT_EXEC,
    Part.READ_ONLY: mmap.PROT_READ,
}


class Library:
    """Linked code: addresses by symbol. The code lives as long as this object.

    `memory` is whatever keeps it there.
    """

    def __init__(self, memory: object, addresses: Mapping[str, int]) -> None:
        self._memory = memory
        self.addresses = addresses

    def __getitem__(self, symbol: str) -> int:
        return self.addresses[symbol]


@cache
def is_supported() -> bool:
    """Whether `load` knows this platform."""
    # A Python of 32 bits may run on a 64-bit system.
    return sys.platform == "linux" and machine() in MACHINES and sys.maxsize > 2**32


def load(
    objects: Sequence[bytes], symbols: Sequence[str], imports: Mapping[str, int] | None = None
) -> Library:
    """Load object files into this process and find the addresses of `symbols`.

    What they refer to and do not define is looked up in `imports`, then in this process and the C
    mathematics library. Raises `ArtifactError` for objects that are damaged or need more than that,
    and where the system refuses to make memory executable.
    """
    imports = imports or {}
    image = Image(objects, MACHINES[machine()], mmap.PAGESIZE)
    memory = _Memory(image.bytes)
    image.write(memory.view(), memory.address, lambda name: imports.get(name) or _find(name))
    for part, protection in _PROTECTION.items():
        memory.protect(image.parts[part], protection)
    return Library(memory, {name: image.address(name, memory.address) for name in symbols})


def load_bytes(code: bytes) -> Library:
    """Load machine code that refers to nothing; its beginning is the symbol ``code``."""
    memory = _Memory(len(code))
    memory.view()[: len(code)] = code
    memory.protect(Span(0, len(code)), _PROTECTION[Part.CODE])
    return Library(memory, {"code": memory.address})


class _Memory:
    """Zeros at `address`, writable at first; given back with this object.

    Not when the process ends: threads may still be running in it.
    """

    def __init__(self, size: int) -> None:
        process = _process()
        # Private: after a fork, each process has variables of its own.
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        writable = mmap.PROT_READ | mmap.PROT_WRITE
        address = process.mmap(None, size, writable, flags, -1, 0)
        if address is None or address == _MAP_FAILED:
            raise MemoryError(f"no {size} bytes of memory for code: {_reason()}")
        self.address: int = address
        self._size = size
        weakref.finalize(self, process.munmap, address, size).atexit = False

    def view(self) -> memoryview:
        """The bytes, to be written."""
        return memoryview((ctypes.c_ubyte * self._size).from_address(self.address)).cast("B")

    def protect(self, span: Span, protection: int) -> None:
        """Allow just `protection` for some pages; `ArtifactError` where the system refuses it."""
        size = span.end - span.start
        start = self.address + span.start
        if size and _process().mprotect(start, size, protection):
            raise ArtifactError(
                f"this system does not let a process run code that it has written ({_reason()}). "
                "Compiled models need that: look at its rules for executable memory (SELinux's "
                "execmem, PaX's MPROTECT, systemd's MemoryDenyWriteExecute)"
            )
        if size and protection & mmap.PROT_EXEC:
            _forget_instructions(start, size)


def _reason() -> str:
    return os.strerror(ctypes.get_errno())


def _forget_instructions(address: int, size: int) -> None:
    """Have the processor read instructions anew where it does not see to that itself (AArch64).

    Linux does so for pages that become executable for the first time, as these do. The compilers'
    run-time library does it by the book, where it is there.
    """
    if machine() == "x86_64":
        return
    try:
        clear = ctypes.CDLL("libgcc_s.so.1").__clear_cache
    except (OSError, AttributeError):
        return
    clear(ctypes.c_void_p(address), ctypes.c_void_p(address + size))


@cache
def _process() -> ctypes.CDLL:
    """All that this process has loaded for everybody: its C library above all."""
    process = ctypes.CDLL(None, use_errno=True)
    size, address, number = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int
    process.mmap.argtypes = [address, size, number, number, number, ctypes.c_long]
    process.mmap.restype = address
    process.munmap.argtypes = [address, size]
    process.mprotect.argtypes = [address, size, number]
    return process


@cache
def _mathematics() -> ctypes.CDLL | None:
    """The C mathematics library, where it is one of its own."""
    try:
        return ctypes.CDLL("libm.so.6")
    except OSError:
        return None


def _find(name: str) -> int | None:
    """The address of a function of the C library."""
    for library in (_process(), _mathematics()):
        function = getattr(library, name, None)
        if function is not None:
            return ctypes.cast(function, ctypes.c_void_p).value
    return None
