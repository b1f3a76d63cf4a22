"""Running AArch64 objects on any machine: a small ELF loader and an emulated CPU.

`Emulator` links relocatable objects as a system's linker would, into the memory of an emulated
Cortex-A53, a CPU with NEON and nothing later. The C library's functions are Python functions.
Every array lies in a mapping of its own that ends with it, so that an access behind it is an error.
"""

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

unicorn = pytest.importorskip("unicorn", reason="emulating a CPU needs the package unicorn")
arm = pytest.importorskip("unicorn.arm64_const")

_PAGE = 4096
_IMAGE, _STACK, _ARRAYS = 0x1000_0000, 0x3000_0000, 0x4000_0000
_STACK_BYTES = 8 << 20
_SHN_UNDEF, _SHN_ABS, _SHN_COMMON = 0, 0xFFF1, 0xFFF2
_SHF_ALLOC, _SHT_NOBITS, _SHT_SYMTAB, _SHT_RELA = 2, 8, 2, 4
_STB_LOCAL, _EM_AARCH64 = 0, 183
_RETURN = 0xD65F03C0

#: Relocations of the ELF for the Arm 64-bit architecture, by number.
_ABS64, _ABS32, _PREL64, _PREL32 = 257, 258, 260, 261
_ADR_PREL_LO21, _ADR_PREL_PG_HI21, _ADD_ABS_LO12_NC = 274, 275, 277
_JUMP26, _CALL26, _ADR_GOT_PAGE, _LD64_GOT_LO12_NC = 282, 283, 311, 312
#: Low 12 bits of an address; the immediate of a load or store counts accesses: log2 of their size.
_LOW12 = {_ADD_ABS_LO12_NC: 0, 278: 0, 284: 1, 285: 2, 286: 3, 299: 4, _LD64_GOT_LO12_NC: 3}


@dataclass
class _Section:
    name: str
    kind: int
    flags: int
    data: bytes
    size: int
    link: int
    target: int
    align: int
    address: int = 0


@dataclass(frozen=True)
class _Symbol:
    name: str
    section: int
    value: int
    local: bool


@dataclass
class _Object:
    """A relocatable object: its sections and its symbols."""

    sections: list[_Section]
    symbols: list[_Symbol] = field(default_factory=list)

    @staticmethod
    def parse(image: bytes) -> "_Object":
        assert image[:6] == b"\x7fELF\x02\x01", "not an object of a little-endian 64-bit machine"
        machine = struct.unpack_from("<H", image, 18)[0]
        assert machine == _EM_AARCH64, f"an object for machine {machine}"
        (table,) = struct.unpack_from("<Q", image, 40)
        entry, count, names_at = struct.unpack_from("<HHH", image, 58)
        headers = [
            struct.unpack_from("<IIQQQQIIQQ", image, table + entry * k) for k in range(count)
        ]
        names = headers[names_at]
        result = _Object([])
        for name, kind, flags, _, at, size, link, target, align, _ in headers:
            data = b"" if kind == _SHT_NOBITS else image[at : at + size]
            title = _text(image, names[4] + name)
            result.sections.append(_Section(title, kind, flags, data, size, link, target, align))
        for section in result.sections:
            if section.kind == _SHT_SYMTAB:
                result.symbols = result._read_symbols(section)
        return result

    def _read_symbols(self, section: _Section) -> list[_Symbol]:
        strings = self.sections[section.link].data
        return [
            _Symbol(_text(strings, name), where, value, info >> 4 == _STB_LOCAL)
            for name, info, _, where, value, _ in struct.iter_unpack("<IBBHQQ", section.data)
        ]


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode()


# ---------------------------------------------------------------------- linking


class _Linker:
    """Gives sections and symbols their addresses and applies relocations."""

    def __init__(self, images: Sequence[bytes]) -> None:
        self.objects = [_Object.parse(image) for image in images]
        self.symbols: dict[str, int] = {}
        self.stubs: dict[int, str] = {}
        self._got: dict[int, int] = {}
        self._end = _IMAGE
        for one in self.objects:
            for section in one.sections:
                if section.flags & _SHF_ALLOC:
                    section.address = self._reserve(section.size, max(1, section.align))
        for one in self.objects:
            for symbol in one.symbols:
                if symbol.section not in (_SHN_UNDEF, _SHN_ABS) and not symbol.local:
                    assert symbol.section != _SHN_COMMON
                    assert symbol.name not in self.symbols, f"{symbol.name} is defined twice"
                    address = one.sections[symbol.section].address + symbol.value
                    self.symbols[symbol.name] = address
        undefined = {s.name for one in self.objects for s in one.symbols if not s.section}
        for name in sorted(undefined - set(self.symbols) - {""}):
            address = self.symbols[name] = self._reserve(4, 4)
            self.stubs[address] = name

    def _reserve(self, size: int, align: int) -> int:
        address = -(-self._end // align) * align
        self._end = address + size
        return address

    def link(self) -> bytes:
        """The whole image, to be put at `_IMAGE`."""
        memory = bytearray(1 << 20)

        def put(address: int, data: bytes) -> None:
            missing = address - _IMAGE + len(data) - len(memory)
            if missing > 0:
                memory.extend(bytes(missing + (1 << 20)))
            memory[address - _IMAGE : address - _IMAGE + len(data)] = data

        for address in self.stubs:
            put(address, struct.pack("<I", _RETURN))
        for one in self.objects:
            for section in one.sections:
                if section.flags & _SHF_ALLOC:
                    put(section.address, section.data)
            for section in one.sections:
                if section.kind == _SHT_RELA and one.sections[section.target].flags & _SHF_ALLOC:
                    self._relocate(one, section, memory)
        for target, slot in self._got.items():
            put(slot, struct.pack("<Q", target))
        return bytes(memory[: self._end - _IMAGE])

    def _address(self, one: _Object, symbol: _Symbol) -> int:
        if symbol.section == _SHN_ABS:
            return symbol.value
        if symbol.section == _SHN_UNDEF:
            return self.symbols[symbol.name]
        return one.sections[symbol.section].address + symbol.value

    def _relocate(self, one: _Object, table: _Section, memory: bytearray) -> None:
        base = one.sections[table.target].address
        for offset, info, addend in struct.iter_unpack("<QQq", table.data):
            place, kind = base + offset, info & 0xFFFFFFFF
            target = self._address(one, one.symbols[info >> 32]) + addend
            if kind in (_ADR_GOT_PAGE, _LD64_GOT_LO12_NC):
                target = self._slot(target)
            at = place - _IMAGE
            if kind in (_ABS64, _PREL64):
                value = target - (place if kind == _PREL64 else 0)
                struct.pack_into("<Q", memory, at, value % 2**64)
            elif kind in (_ABS32, _PREL32):
                value = target - (place if kind == _PREL32 else 0)
                struct.pack_into("<I", memory, at, value % 2**32)
            else:
                (word,) = struct.unpack_from("<I", memory, at)
                struct.pack_into("<I", memory, at, word | _immediate(kind, target, place))

    def _slot(self, target: int) -> int:
        """The entry of `target` in the table of addresses."""
        if target not in self._got:
            self._got[target] = self._reserve(8, 8)
        return self._got[target]


def _immediate(kind: int, target: int, place: int) -> int:
    """The bits of an instruction at `place` that refer to `target`."""
    if kind in (_CALL26, _JUMP26):
        distance = target - place
        assert distance % 4 == 0
        assert -(2**27) <= distance < 2**27
        return (distance >> 2) & 0x3FFFFFF
    if kind in (_ADR_PREL_LO21, _ADR_PREL_PG_HI21, _ADR_GOT_PAGE):
        distance = target - place
        if kind != _ADR_PREL_LO21:
            distance = (target >> 12) - (place >> 12)
        assert -(2**20) <= distance < 2**20
        return (distance & 3) << 29 | ((distance >> 2) & 0x7FFFF) << 5
    if kind in _LOW12:
        low = target & 0xFFF
        assert low % (1 << _LOW12[kind]) == 0, f"{target:#x} is not aligned for its access"
        return (low >> _LOW12[kind]) << 10
    raise AssertionError(f"unknown relocation {kind}")


# ---------------------------------------------------------------------- running

_MATHEMATICS: dict[str, Callable[..., float]] = {
    "exp": np.exp, "log": np.log, "log2": np.log2, "log10": np.log10, "sin": np.sin,
    "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh,
    "atanh": np.arctanh, "erf": math.erf, "pow": np.power, "fmod": np.fmod,
}  # fmt: skip


class Emulator:
    """A CPU whose memory holds linked `images`; `called` collects what they call from outside."""

    def __init__(self, images: Sequence[bytes]) -> None:
        linker = _Linker(images)
        self.symbols: Mapping[str, int] = linker.symbols
        self.called: set[str] = set()
        self._stubs = linker.stubs
        self._cpu = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        self._cpu.ctl_set_cpu_model(arm.UC_CPU_ARM64_A53)
        image = linker.link()
        self._map(_IMAGE, len(image))
        self._cpu.mem_write(_IMAGE, image)
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
            self._cpu.emu_start(self.symbols[symbol], end)
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
