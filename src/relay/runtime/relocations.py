"""What the relocations of x86-64 and AArch64 mean, as data.

S is the symbol's address, A the addend, P the address of the place that is filled in. Source: the
supplements of the System V ABI for the two architectures, sections on relocation.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from relay.runtime.elf import MACHINES

_MASK = (1 << 64) - 1
_PAGE_BITS = 12


class Via(Enum):
    """What a place refers to: the symbol itself, code that goes there, or a word with its address.

    A `CALL` may go through a trampoline where the symbol is too far away.
    """

    DIRECT = "direct"
    CALL = "call"
    SLOT = "slot"


class Value(Enum):
    """What is put there: S + A, S + A - P, the same between pages, or S + A within its page."""

    ABSOLUTE = "absolute"
    DISTANCE = "distance"
    PAGES = "pages"
    LOW = "low"


@dataclass(frozen=True)
class Form:
    """A kind of relocation: `bits` of the value shifted right by `shift` go into a place.

    `width` is the size of the place in bytes. `pieces` are, for an instruction, how many bits of
    the value go where, from the lowest on; without them the place is a plain integer. `signed` is
    the range that is checked: None where bits may be lost, as in a part of an address. `exact`
    tells that the bits shifted out have to be zeros.
    """

    via: Via
    value: Value
    width: int
    bits: int
    signed: bool | None = True
    shift: int = 0
    pieces: tuple[tuple[int, int], ...] = ()
    exact: bool = True

    def compute(self, target: int, place: int) -> int:
        """The value for S + A = `target` and P = `place`."""
        match self.value:
            case Value.ABSOLUTE:
                return target
            case Value.DISTANCE:
                return target - place
            case Value.PAGES:
                return ((target >> _PAGE_BITS) - (place >> _PAGE_BITS)) << _PAGE_BITS
            case Value.LOW:
                return target & ((1 << _PAGE_BITS) - 1)

    def fits(self, value: int) -> bool:
        """Whether `value` can be put into the place."""
        if self.exact and value & ((1 << self.shift) - 1):
            return False
        if self.signed is None:
            return True
        found = value >> self.shift
        if self.signed:
            return -(1 << (self.bits - 1)) <= found < 1 << (self.bits - 1)
        return 0 <= found < 1 << self.bits

    def put(self, old: int, value: int) -> int:
        """The contents of the place, which were `old`, with `value` in it."""
        found = (value & _MASK) >> self.shift
        if not self.pieces:
            return found & ((1 << 8 * self.width) - 1)
        for count, position in self.pieces:
            mask = (1 << count) - 1
            old = old & ~(mask << position) | (found & mask) << position
            found >>= count
        return old


def _data(value: Value, width: int, signed: bool | None, via: Via = Via.DIRECT) -> Form:
    return Form(via, value, width, 8 * width, signed)


def _code(
    value: Value, shift: int, *pieces: tuple[int, int], via: Via = Via.DIRECT, checked: bool = True
) -> Form:
    bits = sum(count for count, _ in pieces)
    return Form(via, value, 4, bits, True if checked else None, shift, pieces)


def _wide(part: int, checked: bool) -> Form:
    """16 bits of an address, for an instruction that moves them."""
    signed = False if checked else None
    return Form(Via.DIRECT, Value.ABSOLUTE, 4, 16, signed, 16 * part, ((16, 5),), exact=False)


def _low(shift: int, via: Via = Via.DIRECT) -> Form:
    """The low bits of an address, for a load or store of `1 << shift` bytes, or an addition."""
    return _code(Value.LOW, shift, (_PAGE_BITS, 10), via=via, checked=False)


_ADDRESS = ((2, 29), (19, 5))

X86_64: Final = {
    1: _data(Value.ABSOLUTE, 8, None),  # 64
    2: _data(Value.DISTANCE, 4, True),  # PC32
    4: _data(Value.DISTANCE, 4, True, Via.CALL),  # PLT32
    9: _data(Value.DISTANCE, 4, True, Via.SLOT),  # GOTPCREL
    10: _data(Value.ABSOLUTE, 4, False),  # 32
    11: _data(Value.ABSOLUTE, 4, True),  # 32S
    24: _data(Value.DISTANCE, 8, None),  # PC64
    41: _data(Value.DISTANCE, 4, True, Via.SLOT),  # GOTPCRELX
    42: _data(Value.DISTANCE, 4, True, Via.SLOT),  # REX_GOTPCRELX
}

AARCH64: Final = {
    257: _data(Value.ABSOLUTE, 8, None),  # ABS64
    258: _data(Value.ABSOLUTE, 4, False),  # ABS32
    260: _data(Value.DISTANCE, 8, None),  # PREL64
    261: _data(Value.DISTANCE, 4, True),  # PREL32
    263: _wide(0, True),  # MOVW_UABS_G0
    264: _wide(0, False),
    265: _wide(1, True),
    266: _wide(1, False),
    267: _wide(2, True),
    268: _wide(2, False),
    269: _wide(3, False),  # MOVW_UABS_G3
    273: _code(Value.DISTANCE, 2, (19, 5)),  # LD_PREL_LO19
    274: _code(Value.DISTANCE, 0, *_ADDRESS),  # ADR_PREL_LO21
    275: _code(Value.PAGES, _PAGE_BITS, *_ADDRESS),  # ADR_PREL_PG_HI21
    276: _code(Value.PAGES, _PAGE_BITS, *_ADDRESS, checked=False),
    277: _low(0),  # ADD_ABS_LO12_NC
    278: _low(0),  # LDST8_ABS_LO12_NC
    279: _code(Value.DISTANCE, 2, (14, 5)),  # TSTBR14
    280: _code(Value.DISTANCE, 2, (19, 5)),  # CONDBR19
    282: _code(Value.DISTANCE, 2, (26, 0), via=Via.CALL),  # JUMP26
    283: _code(Value.DISTANCE, 2, (26, 0), via=Via.CALL),  # CALL26
    284: _low(1),  # LDST16_ABS_LO12_NC
    285: _low(2),
    286: _low(3),
    299: _low(4),  # LDST128_ABS_LO12_NC
    311: _code(Value.PAGES, _PAGE_BITS, *_ADDRESS, via=Via.SLOT),  # ADR_GOT_PAGE
    312: _low(3, Via.SLOT),  # LD64_GOT_LO12_NC
}


@dataclass(frozen=True)
class Architecture:
    """How code of a machine refers to other code: relocations by number, and how to jump far.

    A trampoline is `jump` followed by 64 bits, the address of its target.
    """

    name: str
    forms: dict[int, Form]
    jump: bytes

    @property
    def trampoline_bytes(self) -> int:
        """The size of a trampoline."""
        return len(self.jump) + 8


#: By ELF's number of the machine. The jumps are ``jmp [rip + 2]`` over a filler that keeps the
#: address aligned, and ``ldr x16, #8; br x16``.
ARCHITECTURES: Final = {
    MACHINES["x86_64"]: Architecture("x86-64", X86_64, bytes.fromhex("ff25020000006690")),
    MACHINES["aarch64"]: Architecture("AArch64", AARCH64, bytes.fromhex("5000005800021fd6")),
}
