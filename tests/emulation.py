"""Running AArch64 objects on any machine: our own loader and an emulated CPU.

`Emulator` links relocatable objects into the memory of an emulated Cortex-A53, a CPU with NEON and
nothing later. The parts of their image are protected as in a process. The C library's functions are
Python functions. Every array lies in a mapping of its own that ends with it, so that an access
behind it is an error.
"""

import math
import struct
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from relay.runtime.elf import MACHINES, Part
from relay.runtime.linker import Image

unicorn = pytest.importorskip("unicorn", reason="emulating a CPU needs the package unicorn")
arm = pytest.importorskip("unicorn.arm64_const")

_PAGE = 4096
#: Functions from outside are further from the image than a call reaches.
_IMAGE, _OUTSIDE, _STACK, _ARRAYS = 0x1000_0000, 0x2000_0000, 0x3000_0000, 0x4000_0000
_STACK_BYTES = 8 << 20
#: The instruction that functions from outside consist of.
RETURN = 0xD65F03C0

# ---------------------------------------------------------------------- running

_MATHEMATICS: dict[str, Callable[..., float]] = {
    "exp": np.exp, "log": np.log, "log2": np.log2, "log10": np.log10, "sin": np.sin,
    "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh,
    "atanh": np.arctanh, "erf": math.erf, "pow": np.power, "fmod": np.fmod,
}  # fmt: skip


_PROTECTION = {
    Part.CODE: unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC,
    Part.READ_ONLY: unicorn.UC_PROT_READ,
    Part.WRITABLE: unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE,
}


class Emulator:
    """A CPU whose memory holds linked `images`; `called` collects what they call from outside."""

    def __init__(self, images: Sequence[bytes]) -> None:
        self._image = Image(images, MACHINES["aarch64"], _PAGE)
        outside = {name: _OUTSIDE + 4 * k for k, name in enumerate(sorted(self._image.undefined))}
        self.called: set[str] = set()
        self._stubs = {address: name for name, address in outside.items()}
        self._cpu = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        self._cpu.ctl_set_cpu_model(arm.UC_CPU_ARM64_A53)
        memory = bytearray(self._image.bytes)
        self._image.write(memory, _IMAGE, outside.get)
        self._map(_IMAGE, len(memory))
        self._cpu.mem_write(_IMAGE, bytes(memory))
        for part, protection in _PROTECTION.items():
            span = self._image.parts[part]
            if span.start < span.end:
                size = -(-(span.end - span.start) // _PAGE) * _PAGE
                self._cpu.mem_protect(_IMAGE + span.start, size, protection)
        self._map(_OUTSIDE, 4 * len(outside) + 4)
        self._cpu.mem_write(_OUTSIDE, struct.pack("<I", RETURN) * len(outside))
        self._map(_STACK, _STACK_BYTES)
        self._next = _ARRAYS
        enabled = self._cpu.reg_read(arm.UC_ARM64_REG_CPACR_EL1) | 3 << 20
        self._cpu.reg_write(arm.UC_ARM64_REG_CPACR_EL1, enabled)  # floating point is not trapped
        for address in self._stubs:
            self._cpu.hook_add(unicorn.UC_HOOK_CODE, self._outside, None, address, address)

    def _map(self, address: int, size: int) -> None:
        self._cpu.mem_map(address, -(-size // _PAGE) * _PAGE)

    def reserve(self, size: int) -> int:
        """The address of `size` bytes, a multiple of 64, behind which nothing is mapped."""
        room = -(-size // 64) * 64
        pages = -(-max(1, room) // _PAGE) * _PAGE
        self._map(self._next, pages)
        address = self._next + pages - room
        self._next += pages + _PAGE
        return address

    def place(self, array: np.ndarray) -> int:
        """The address of a copy of `array`."""
        address = self.reserve(array.nbytes)
        self._cpu.mem_write(address, array.tobytes())
        return address

    def read(self, address: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """The array at `address`."""
        size = math.prod(shape) * dtype.itemsize
        return np.frombuffer(bytes(self._cpu.mem_read(address, size)), dtype).reshape(shape)

    def call(self, symbol: str, *arguments: int) -> None:
        """Call the function `symbol` with integers and addresses."""
        end = _STACK  # nothing is executed there
        for number, argument in enumerate(arguments):
            self._cpu.reg_write(arm.UC_ARM64_REG_X0 + number, argument)
        self._cpu.reg_write(arm.UC_ARM64_REG_SP, _STACK + _STACK_BYTES)
        self._cpu.reg_write(arm.UC_ARM64_REG_LR, end)
        try:
            self._cpu.emu_start(self._image.address(symbol, _IMAGE), end)
        except unicorn.UcError as error:
            at = self._cpu.reg_read(arm.UC_ARM64_REG_PC)
            word = bytes(self._cpu.mem_read(at, 4))[::-1].hex()
            raise AssertionError(f"{error} at {at:#x}, instruction {word}") from error

    # ------------------------------------------------------------------ the C library

    def _outside(self, cpu: object, address: int, size: int, data: object) -> None:
        """A function that no object defines is entered: do what it does. It returns then."""
        name = self._stubs[address]
        self.called.add(name)
        x = [self._cpu.reg_read(arm.UC_ARM64_REG_X0 + k) for k in range(3)]
        if name == "malloc":
            self._cpu.reg_write(arm.UC_ARM64_REG_X0, self.reserve(x[0]))
        elif name == "memset":
            self._cpu.mem_write(x[0], bytes([x[1] & 0xFF]) * x[2])
        elif name in ("memcpy", "memmove"):
            self._cpu.mem_write(x[0], bytes(self._cpu.mem_read(x[1], x[2])))
        elif name != "free":
            self._mathematics(name)

    def _mathematics(self, name: str) -> None:
        """A function of the C mathematics library: arguments and result are in vector registers."""
        single = name not in _MATHEMATICS
        function = _MATHEMATICS[name.removesuffix("f") if single else name]
        form, bits = ("<f", 0xFFFFFFFF) if single else ("<d", 2**64 - 1)
        values = []
        for register in (arm.UC_ARM64_REG_D0, arm.UC_ARM64_REG_D1):
            raw = (self._cpu.reg_read(register) & bits).to_bytes(struct.calcsize(form), "little")
            values.append(struct.unpack(form, raw)[0])
        count = 2 if name.startswith(("pow", "fmod")) else 1
        result = struct.pack(form, float(function(*values[:count])))
        self._cpu.reg_write(arm.UC_ARM64_REG_D0, int.from_bytes(result, "little"))


def run_graph(
    images: Sequence[bytes],
    inputs: Sequence[np.ndarray],
    constants: Sequence[np.ndarray],
    outputs: Sequence[tuple[tuple[int, ...], np.dtype]],
    arena_bytes: int,
) -> tuple[list[np.ndarray], set[str]]:
    """The outputs of the entry ``relay_main`` of `images`, and what it called from outside.

    `images` include the support code, whose pool has three threads here, of which two never come:
    the caller does their parts, too.
    """
    machine = Emulator(images)
    machine.call("relay_pool_set", 3, 10)
    results = [machine.reserve(math.prod(shape) * dtype.itemsize) for shape, dtype in outputs]
    tables = [[machine.place(a) for a in inputs], results, [machine.place(a) for a in constants]]
    addresses = [machine.place(np.array([*table, 0], np.uint64)) for table in tables]
    machine.call("relay_main", *addresses, machine.reserve(arena_bytes))
    read = [machine.read(a, *spec) for a, spec in zip(results, outputs, strict=True)]
    return read, machine.called
