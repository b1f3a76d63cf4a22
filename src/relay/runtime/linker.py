"""Objects to an image of memory: where their sections lie, and what their relocations refer to.

All objects of a program share one image. It has three parts that start at a page each: code, which
ends with trampolines to what is far away; constants, which end with a table of addresses; and
variables. Nothing here touches memory of this process: `Image.write` fills in a buffer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay.runtime.elf import ElfObject, Part, Section, Symbol
from relay.runtime.elf import read as read_object
from relay.runtime.relocations import ARCHITECTURES, Architecture, Form, Via
from relay.support.errors import ArtifactError

#: No image is larger, so that calls within one always reach (128 MiB on AArch64).
MAX_BYTES = 1 << 27
_WORD = 8

Resolve = Callable[[str], int | None]


@dataclass(frozen=True)
class Span:
    """Bytes `start` to `end` of an image."""

    start: int
    end: int


class Image:
    """Objects laid out one after the other, ready to be written for an address.

    `bytes` is the size of the image, `parts` where each of its parts lies: at multiples of `page`.
    Raises `ArtifactError` for damaged objects, symbols that are defined twice, and images larger
    than `MAX_BYTES`.
    """

    def __init__(self, images: Sequence[bytes], machine: int, page: int) -> None:
        self._architecture: Architecture = ARCHITECTURES[machine]
        self._objects = [read_object(image, machine) for image in images]
        self._check_forms()
        #: The names that have to come from elsewhere.
        self.undefined = self._undefined()
        #: Where a trampoline or a word of the table stands, by what it belongs to.
        self._trampolines: dict[str, int] = {}
        self._slots: dict[tuple[int, int] | str, int] = {}
        self._places: list[dict[int, int]] = [{} for _ in self._objects]
        self.parts: dict[Part, Span] = {}
        self.bytes = 0
        for part in Part:
            start = _up(self.bytes, page)
            end = self._place_part(part, start)
            self.parts[part] = Span(start, end)
            self.bytes = end
        self.bytes = _up(max(1, self.bytes), page)
        self._defined = self._definitions()

    # ------------------------------------------------------------------ layout

    def _check_forms(self) -> None:
        """Raise `ArtifactError` for relocations that are unknown or reach beyond their section."""
        forms = self._architecture.forms
        for one in self._objects:
            for section in one.sections.values():
                for relocation in section.relocations:
                    form = forms.get(relocation.kind)
                    if form is None:
                        raise ArtifactError(
                            f"the object file cannot be loaded: {section.name} has a relocation "
                            f"of kind {relocation.kind}, unknown for {self._architecture.name}"
                        )
                    if relocation.offset + form.width > section.size:
                        raise ArtifactError(
                            f"the object file is damaged: a relocation goes beyond {section.name}"
                        )

    def _undefined(self) -> frozenset[str]:
        symbols = [s for one in self._objects for s in one.symbols]
        wanted = {s.name for s in symbols if not s.defined and s.name}
        return frozenset(wanted - {s.name for s in symbols if _is_offered(s)})

    def _place_part(self, part: Part, start: int) -> int:
        """Give all sections of a part their places from `start` on; where they end."""
        end = start
        for one, places in zip(self._objects, self._places, strict=True):
            for number, section in one.sections.items():
                if section.part is part:
                    places[number] = _up(end, section.alignment)
                    end = places[number] + section.size
                    if end > MAX_BYTES:
                        raise ArtifactError(
                            f"the object file is damaged or too large: {section.name} goes up to "
                            f"byte {end} of an image of at most {MAX_BYTES}"
                        )
        if part is Part.CODE:
            return self._place_trampolines(_up(end, 2 * _WORD))
        return self._place_slots(_up(end, _WORD)) if part is Part.READ_ONLY else end

    def _place_trampolines(self, end: int) -> int:
        for _, symbol, _ in self._uses(Via.CALL):
            external = not symbol.defined and symbol.name in self.undefined
            if external and symbol.name not in self._trampolines:
                self._trampolines[symbol.name] = end
                end += self._architecture.trampoline_bytes
        return end

    def _place_slots(self, end: int) -> int:
        for number, symbol, position in self._uses(Via.SLOT):
            key = self._slot_key(number, symbol, position)
            if key not in self._slots:
                self._slots[key] = end
                end += _WORD
        return end

    def _uses(self, via: Via) -> list[tuple[int, Symbol, int]]:
        """What relocations of one way refer to: object, symbol, and the symbol's number."""
        forms = self._architecture.forms
        return [
            (number, one.symbols[relocation.symbol], relocation.symbol)
            for number, one in enumerate(self._objects)
            for section in one.sections.values()
            for relocation in section.relocations
            if forms[relocation.kind].via is via
        ]

    def _slot_key(self, number: int, symbol: Symbol, position: int) -> tuple[int, int] | str:
        return symbol.name if symbol.shared else (number, position)

    def _definitions(self) -> dict[str, tuple[int | None, int]]:
        """Symbols that other objects may ask for: section's place in the image, or None; value."""
        found: dict[str, tuple[int | None, int]] = {}
        for one, places in zip(self._objects, self._places, strict=True):
            for symbol in one.symbols:
                if _is_offered(symbol):
                    if symbol.name in found:
                        raise ArtifactError(f"two object files define the symbol {symbol.name!r}")
                    place = None if symbol.section is None else places[symbol.section]
                    found[symbol.name] = (place, symbol.value)
        return found

    # ------------------------------------------------------------------ addresses

    def address(self, name: str, base: int) -> int:
        """The address of the symbol `name` of an image at `base`.

        Raises `ArtifactError` where no object defines it.
        """
        if name not in self._defined:
            raise ArtifactError(f"no object file defines the symbol {name!r}")
        place, value = self._defined[name]
        return value if place is None else base + place + value

    # ------------------------------------------------------------------ contents

    def write(self, memory: "bytearray | memoryview", base: int, resolve: Resolve) -> None:
        """Write the image, which is to run at the address `base`, to `memory`, which is all zeros.

        `resolve` tells the addresses of `undefined` symbols, None where there is none. Raises
        `ArtifactError` for symbols that are not found and for distances that do not fit.
        """
        if len(memory) < self.bytes:
            raise ValueError(f"an image of {self.bytes} bytes does not fit into {len(memory)}")
        external = self._resolved(resolve)
        for name, place in self._trampolines.items():
            jump = self._architecture.jump + external[name].to_bytes(_WORD, "little")
            memory[place : place + len(jump)] = jump
        for number, (one, places) in enumerate(zip(self._objects, self._places, strict=True)):
            addresses = [self._symbol_address(s, places, base, external) for s in one.symbols]
            for index, section in one.sections.items():
                at = places[index]
                memory[at : at + len(section.data)] = bytes(section.data)
                if section.relocations:
                    self._relocate(number, section, at, memory, base, addresses)

    def _resolved(self, resolve: Resolve) -> dict[str, int]:
        found = {name: resolve(name) for name in sorted(self.undefined)}
        missing = [name for name, address in found.items() if address is None]
        if missing:
            raise ArtifactError(
                f"the code calls {', '.join(missing)}, which this process does not have"
            )
        return {name: address for name, address in found.items() if address is not None}

    def _symbol_address(
        self, symbol: Symbol, places: dict[int, int], base: int, external: dict[str, int]
    ) -> int | None:
        """The address of an object's symbol; None for those that nothing may refer to."""
        if symbol.section is not None:
            place = places.get(symbol.section)
            return None if place is None else base + place + symbol.value
        if symbol.defined:
            return symbol.value
        if symbol.name in self._defined:
            return self.address(symbol.name, base)
        return external.get(symbol.name)

    def _relocate(
        self,
        number: int,
        section: Section,
        at: int,
        memory: "bytearray | memoryview",
        base: int,
        addresses: Sequence[int | None],
    ) -> None:
        one: ElfObject = self._objects[number]
        forms = self._architecture.forms
        for relocation in section.relocations:
            form = forms[relocation.kind]
            symbol, address = one.symbols[relocation.symbol], addresses[relocation.symbol]
            if address is None:
                raise ArtifactError(
                    f"the object file is damaged: {section.name} refers to "
                    f"{symbol.name or 'nothing'!r}, which has no memory"
                )
            if form.via is Via.SLOT:
                slot = self._slots[self._slot_key(number, symbol, relocation.symbol)]
                memory[slot : slot + _WORD] = (address & (1 << 64) - 1).to_bytes(_WORD, "little")
                address = base + slot
            offset = at + relocation.offset
            value = form.compute(address + relocation.addend, base + offset)
            far = form.via is Via.CALL and not symbol.defined and not form.fits(value)
            if far and symbol.name in self._trampolines:
                address = base + self._trampolines[symbol.name]
                value = form.compute(address + relocation.addend, base + offset)
            if not form.fits(value):
                raise _misfit(section, symbol, form, value)
            old = int.from_bytes(memory[offset : offset + form.width], "little")
            new = form.put(old, value).to_bytes(form.width, "little")
            memory[offset : offset + form.width] = new


def _is_offered(symbol: Symbol) -> bool:
    """Whether other objects can refer to a symbol."""
    return symbol.defined and symbol.shared and symbol.placed


def _misfit(section: Section, symbol: Symbol, form: Form, value: int) -> ArtifactError:
    return ArtifactError(
        f"the object file cannot be loaded: {section.name} refers to {symbol.name or 'a section'!r}"
        f" with {value:#x}, which does not fit into {form.bits} bits of multiples of "
        f"{1 << form.shift}"
    )


def _up(offset: int, alignment: int) -> int:
    """The next multiple of `alignment`."""
    return -(-offset // alignment) * alignment
