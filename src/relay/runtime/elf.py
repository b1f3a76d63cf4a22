"""Relocatable ELF objects, read with distrust: sections, symbols and relocations.

Read are the objects that LLVM writes for x86-64 and AArch64 Linux: 64-bit, little-endian, type
``ET_REL``. Every offset, size and number of the file is checked before it is used; what is wrong or
not understood raises `ArtifactError`, which says what and where. What the relocations mean is in
`relay.runtime.relocations`, where sections come to lie in `relay.runtime.linker`.

Source: System V ABI, chapters 4 and 5, and its supplements for x86-64 and AArch64.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from relay.support.errors import ArtifactError

#: `e_machine` of the architectures, by the names that operating systems give them.
MACHINES: Final = {"x86_64": 62, "aarch64": 183}
#: No section needs to lie at a multiple of more bytes than this, the smallest page.
MAX_ALIGNMENT: Final = 4096
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")
_IDENTITY = b"\x7fELF\x02\x01\x01"
_ET_REL = 1
_NULL, _PROGBITS, _SYMTAB, _RELA, _NOBITS, _REL, _NOTE = 0, 1, 2, 4, 8, 9, 7
_X86_64_UNWIND = 0x70000001
_WRITE, _ALLOC, _EXECINSTR, _COMPRESSED, _TLS = 1, 2, 4, 0x800, 0x400
_UNDEFINED, _RESERVED, _ABSOLUTE = 0, 0xFF00, 0xFFF1
_LOCAL, _GLOBAL, _WEAK = 0, 1, 2
#: Nothing, data, code, a section, a file: types of symbols whose value is plain.
_PLAIN_TYPES = range(5)


class Part(Enum):
    """What may be done with a section's memory."""

    CODE = "code"
    READ_ONLY = "read-only data"
    WRITABLE = "writable data"


class Relocation(NamedTuple):
    """The place `offset` in a section is to be filled in with symbol number `symbol` + `addend`."""

    offset: int
    kind: int
    symbol: int
    addend: int


@dataclass(frozen=True)
class Section:
    """A section that gets memory; `data` is empty and `size` is not where it starts as zeros."""

    name: str
    part: Part
    data: bytes | memoryview
    size: int
    alignment: int
    relocations: tuple[Relocation, ...]


class Symbol(NamedTuple):
    """`value` bytes into the section `section`; an address where that is None.

    `defined` is false where another object has it, `shared` is whether other objects may ask for
    it. What lies in sections without memory is no use to anybody: it is not `placed`.
    """

    name: str
    section: int | None
    value: int
    defined: bool
    shared: bool
    placed: bool


@dataclass(frozen=True)
class ElfObject:
    """An object: sections with memory by their number, and all symbols in order."""

    machine: int
    sections: dict[int, Section]
    symbols: tuple[Symbol, ...]


@dataclass(frozen=True)
class _Header:
    """A section's entry in the table of sections."""

    name: str
    kind: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry: int


def read(image: bytes, machine: int) -> ElfObject:
    """The object file `image`, which has to be for `machine` (see `MACHINES`).

    Raises `ArtifactError` for what is none, is for another machine, is damaged, or has what our
    code generator does not write (thread-local variables, constructors, common symbols).
    """
    return _Reader(image, machine).read()


def _damaged(what: str) -> ArtifactError:
    return ArtifactError(f"the object file is damaged: {what}")


def _unknown(what: str) -> ArtifactError:
    return ArtifactError(f"the object file cannot be loaded: {what}")


class _Reader:
    def __init__(self, image: bytes, machine: int) -> None:
        self._image = memoryview(image)
        self._machine = machine
        self._headers: list[_Header] = []

    def read(self) -> ElfObject:
        self._read_headers()
        kept = {k: part for k, h in enumerate(self._headers) if (part := self._part(h)) is not None}
        tables = [h for h in self._headers if h.kind == _SYMTAB]
        if len(tables) > 1:
            raise _damaged(f"it has {len(tables)} tables of symbols instead of one")
        symbols = tuple(self._symbols(tables[0], kept)) if tables else ()
        relocations: dict[int, list[Relocation]] = {k: [] for k in kept}
        for header in self._headers:
            if header.kind in (_RELA, _REL) and header.info in kept:
                if header.kind == _REL:
                    raise _unknown(f"{header.name} has relocations without addends")
                target = self._headers[header.info]
                relocations[header.info] += self._relocations(header, target, len(symbols))
        sections = {
            k: self._section(self._headers[k], part, tuple(relocations[k]))
            for k, part in kept.items()
        }
        return ElfObject(self._machine, sections, symbols)

    def _read_headers(self) -> None:
        image = self._image
        if len(image) < _HEADER.size:
            raise _damaged(f"it ends after {len(image)} bytes, in its header")
        fields = _HEADER.unpack_from(image)
        identity, kind, machine, version = fields[:4]
        table, entry, count, names = fields[6], fields[11], fields[12], fields[13]
        if identity[: len(_IDENTITY)] != _IDENTITY or version != 1:
            raise _damaged("it does not begin like a 64-bit little-endian ELF file")
        if kind != _ET_REL:
            raise _damaged(f"its type is {kind} instead of {_ET_REL}, relocatable")
        if machine != self._machine:
            raise ArtifactError(
                f"the object file is for machine {machine} instead of {self._machine}"
            )
        if entry != _SECTION.size or not 0 < names < count < _RESERVED:
            raise _damaged("its header has no usable table of sections")
        if table + count * entry > len(image):
            raise _damaged("its table of sections goes beyond its end")
        raw = [_SECTION.unpack_from(image, table + entry * k) for k in range(count)]
        # Names come from a section that has to be checked first.
        unnamed = [_Header(f"section {k}", *r[1:3], *r[4:]) for k, r in enumerate(raw)]
        for header in unnamed:
            self._check(header, count)
        strings = self._strings(unnamed[names])
        self._headers = [
            _Header(_text(strings, r[0]), *r[1:3], *r[4:]) if h.kind != _NULL else h
            for r, h in zip(raw, unnamed, strict=True)
        ]

    def _check(self, header: _Header, count: int) -> None:
        """Raise `ArtifactError` unless a section lies in the file and refers to others."""
        if header.kind in (_NULL, _NOBITS):
            return
        if header.offset + header.size > len(self._image):
            raise _damaged(
                f"{header.name} goes up to byte {header.offset + header.size} of {len(self._image)}"
            )
        if header.kind in (_SYMTAB, _RELA, _REL):
            known = header.link < count and (header.kind == _SYMTAB or header.info < count)
            if not known:
                raise _damaged(f"{header.name} refers to a section that does not exist")

    def _data(self, header: _Header) -> memoryview:
        if header.kind in (_NULL, _NOBITS):
            raise _damaged(f"{header.name} has no contents")
        return self._image[header.offset : header.offset + header.size]

    def _strings(self, header: _Header) -> bytes:
        return bytes(self._data(header))

    def _part(self, header: _Header) -> Part | None:
        """What memory a section needs, or None."""
        if header.kind == _NULL or not header.flags & _ALLOC:
            return None
        if header.kind in (_NOTE, _X86_64_UNWIND) or header.name == ".eh_frame":
            return None  # for debuggers and exceptions; our code has neither
        if header.kind not in (_PROGBITS, _NOBITS) or header.flags & (_COMPRESSED | _TLS):
            raise _unknown(
                f"{header.name} is of type {header.kind:#x} with flags {header.flags:#x}"
            )
        alignment = max(1, header.alignment)
        if alignment & (alignment - 1) or alignment > MAX_ALIGNMENT:
            raise _damaged(f"{header.name} is to lie at a multiple of {header.alignment} bytes")
        if not header.flags & _EXECINSTR:
            return Part.WRITABLE if header.flags & _WRITE else Part.READ_ONLY
        if header.flags & _WRITE or header.kind == _NOBITS:
            raise _unknown(f"{header.name} is code that is written at run time")
        return Part.CODE

    def _section(self, header: _Header, part: Part, relocations: tuple[Relocation, ...]) -> Section:
        data = b"" if header.kind == _NOBITS else self._data(header)
        if header.kind == _NOBITS and relocations:
            raise _damaged(f"{header.name} has relocations, but no contents")
        alignment = max(1, header.alignment)
        return Section(header.name, part, data, header.size, alignment, relocations)

    def _symbols(self, header: _Header, kept: dict[int, Part]) -> Iterator[Symbol]:
        data = self._data(header)
        if header.entry != _SYMBOL.size or len(data) % _SYMBOL.size:
            raise _damaged(f"{header.name} is no table of symbols")
        strings = self._strings(self._headers[header.link])
        for at, info, _, index, value, _ in _SYMBOL.iter_unpack(data):
            name = _text(strings, at)
            binding = info >> 4
            if binding not in (_LOCAL, _GLOBAL, _WEAK) or info & 15 not in _PLAIN_TYPES:
                raise _unknown(f"the symbol {name!r} is of kind {info:#x}")
            shared = binding != _LOCAL
            if index in (_UNDEFINED, _ABSOLUTE):
                yield Symbol(name, None, value, index == _ABSOLUTE, shared, index == _ABSOLUTE)
                continue
            if index >= _RESERVED:
                raise _unknown(f"the symbol {name!r} is in the special section {index:#x}")
            if index >= len(self._headers):
                raise _damaged(f"the symbol {name!r} is in section {index}, which does not exist")
            if value > self._headers[index].size:
                raise _damaged(f"the symbol {name!r} lies outside of its section")
            yield Symbol(name, index, value, True, shared, index in kept)

    def _relocations(self, header: _Header, target: _Header, symbols: int) -> Iterator[Relocation]:
        data = self._data(header)
        if header.entry != _RELOCATION.size or len(data) % _RELOCATION.size:
            raise _damaged(f"{header.name} is no table of relocations")
        for offset, info, addend in _RELOCATION.iter_unpack(data):
            if offset >= target.size:
                raise _damaged(f"{header.name} changes byte {offset} of {target.size}")
            if info >> 32 >= symbols:
                raise _damaged(f"{header.name} uses symbol {info >> 32} of {symbols}")
            yield Relocation(offset, info & 0xFFFFFFFF, info >> 32, addend)


def _text(strings: bytes, at: int) -> str:
    """The text that starts at byte `at` of a table of strings."""
    end = strings.find(b"\0", at)
    if end < 0:
        raise _damaged(f"a name at byte {at} of {len(strings)} has no end")
    try:
        return strings[at:end].decode()
    except UnicodeDecodeError:
        raise _damaged(f"the name at byte {at} of its names is no text") from None
