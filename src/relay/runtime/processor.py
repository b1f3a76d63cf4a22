"""What the CPU says of itself, in LLVM's words for features, without asking LLVM.

On x86-64 that is what the instruction CPUID gives (and XGETBV, for the registers that the system
saves); on AArch64 it is the list in ``/proc/cpuinfo``. Features that are new or rare may lack here:
`features` are sure to be there, others may be, too.

Source: Intel's manual, volume 2A, CPUID; AMD's manual, volume 3, appendix E; the Linux kernel's
documentation of the ELF hardware capabilities of AArch64.
"""

import ctypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from relay.runtime import library
from relay.support.errors import ArtifactError
from relay.target import machine

#: ``cpuid(leaf, subleaf, out)`` and ``xgetbv(out)`` for the calling convention of Linux.
_CPUID: Final = bytes.fromhex("534989d089f889f10fa241890041895804418948084189500c5bc3")
_XGETBV: Final = bytes.fromhex("31c90f01d08907895704c3")
_EAX, _EBX, _ECX, _EDX = range(4)
_EXTENDED = 0x8000_0000
#: Leaf 1: the system has enabled XGETBV; the CPU has AVX.
_OSXSAVE, _AVX = 27, 28
#: The bits of XCR0 for what registers the system saves, by what features need.
_SAVED: Final = {"avx": 0x6, "avx512": 0xE6, "amx": 0x60000}


@dataclass(frozen=True)
class _Word:
    """Bits of a register that CPUID fills in; `needs` names registers that must be saved."""

    leaf: int
    subleaf: int
    register: int
    bits: str
    needs: str = ""


#: ``bit:feature``, by register. A feature needs what the word needs, or what its own name says:
#: those of AVX-512 and AMX begin so.
_WORDS: Final = (
    _Word(1, 0, _EDX, "8:cx8 15:cmov 23:mmx 24:fxsr 25:sse 26:sse2"),
    _Word(
        1, 0, _ECX,
        "0:sse3 1:pclmul 9:ssse3 13:cx16 19:sse4.1 20:sse4.2 20:crc32 22:movbe 23:popcnt 25:aes "
        "30:rdrnd",
    ),
    _Word(1, 0, _ECX, "12:fma 28:avx 29:f16c", "avx"),
    _Word(1, 0, _ECX, "26:xsave", "xsave"),
    _Word(
        7, 0, _EBX,
        "0:fsgsbase 2:sgx 3:bmi 8:bmi2 10:invpcid 11:rtm 16:avx512f 17:avx512dq 18:rdseed 19:adx "
        "21:avx512ifma 23:clflushopt 24:clwb 28:avx512cd 29:sha 30:avx512bw 31:avx512vl",
    ),
    _Word(7, 0, _EBX, "5:avx2", "avx"),
    _Word(
        7, 0, _ECX,
        "1:avx512vbmi 4:pku 5:waitpkg 6:avx512vbmi2 7:shstk 8:gfni 11:avx512vnni 12:avx512bitalg "
        "14:avx512vpopcntdq 22:rdpid 25:cldemote 27:movdiri 28:movdir64b 29:enqcmd",
    ),
    _Word(7, 0, _ECX, "9:vaes 10:vpclmulqdq", "avx"),
    _Word(
        7, 0, _EDX,
        "5:uintr 8:avx512vp2intersect 14:serialize 16:tsxldtrk 18:pconfig 22:amx-bf16 "
        "23:avx512fp16 24:amx-tile 25:amx-int8",
    ),
    _Word(7, 1, _EAX, "5:avx512bf16 7:cmpccxadd 21:amx-fp16 22:hreset"),
    _Word(7, 1, _EAX, "0:sha512 1:sm3 2:sm4 4:avxvnni 23:avxifma", "avx"),
    _Word(7, 1, _EDX, "14:prefetchi"),
    _Word(7, 1, _EDX, "4:avxvnniint8 5:avxneconvert 10:avxvnniint16", "avx"),
    _Word(0xD, 1, _EAX, "0:xsaveopt 1:xsavec 3:xsaves", "xsave"),
    _Word(0x14, 0, _EBX, "4:ptwrite"),
    _Word(_EXTENDED + 1, 0, _ECX, "0:sahf 5:lzcnt 6:sse4a 8:prfchw 15:lwp 21:tbm 29:mwaitx"),
    _Word(_EXTENDED + 1, 0, _ECX, "11:xop 16:fma4", "avx"),
    _Word(_EXTENDED + 1, 0, _EDX, "29:64bit"),
    _Word(_EXTENDED + 8, 0, _EBX, "0:clzero 4:rdpru 9:wbnoinvd"),
)  # fmt: skip
#: Of these leaves, bits that differ between cores or from call to call are masked.
_MASKS: Final = {(1, _EBX): 0xFFFF, (0xD, _EBX): 0, (0xD, _ECX): 0, (0xD, _EDX): 0}
#: Leaves that identify a model, besides those that tell features.
_OTHERS: Final = ((0, 0), (0x19, 0), (0x1E, 1), (0x24, 0), (_EXTENDED + 0x21, 0))

#: Linux's names of AArch64's capabilities, all of which a feature needs.
_CAPABILITIES: Final = {
    "neon": "asimd",
    "fp-armv8": "fp",
    "crc": "crc32",
    "lse": "atomics",
    "rand": "rng",
    "sm4": "sm4",
    "sha3": "sha3",
    "sve": "sve",
    "sve2": "sve2",
    "aes": "aes pmull",
    "sha2": "sha1 sha2",
}
_INFORMATION: Final = Path("/proc/cpuinfo")


@cache
def identity() -> str | None:
    """A text that is the same only for CPUs that are; None where the system tells too little."""
    if not library.is_supported():
        return None
    try:
        return _x86_identity() if machine() == "x86_64" else _information()
    except (ArtifactError, OSError):
        return None


@cache
def features() -> frozenset[str]:
    """Features that this CPU is sure to have; none where the system tells too little."""
    if identity() is None:
        return frozenset()
    if machine() == "x86_64":
        return _x86_features()
    return listed_features(_information())


# ---------------------------------------------------------------------- x86-64


@cache
def _x86_words() -> dict[tuple[int, int], tuple[int, ...]]:
    """What CPUID gives, by leaf and subleaf: the registers EAX, EBX, ECX and EDX."""
    code = library.load_bytes(_CPUID)
    word = ctypes.c_uint32
    call = ctypes.CFUNCTYPE(None, word, word, ctypes.c_void_p)(code["code"])
    out = (word * 4)()

    def ask(leaf: int, subleaf: int) -> tuple[int, ...]:
        call(leaf, subleaf, ctypes.addressof(out))
        return tuple(out)

    last = {start: ask(start, 0)[_EAX] for start in (0, _EXTENDED)}
    leaves = sorted({*_OTHERS, *((w.leaf, w.subleaf) for w in _WORDS)})
    return {
        (leaf, subleaf): ask(leaf, subleaf)
        for leaf, subleaf in leaves
        if leaf <= last[leaf & _EXTENDED]
    }


@cache
def _x86_saved() -> int:
    """XCR0: what registers the system saves."""
    if not _x86_words()[1, 0][_ECX] >> _OSXSAVE & 1:
        return 0
    code = library.load_bytes(_XGETBV)
    out = (ctypes.c_uint32 * 2)()
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(code["code"])(ctypes.addressof(out))
    return out[0] | out[1] << 32


def _x86_identity() -> str:
    words = [
        (leaf, subleaf, *(w & _MASKS.get((leaf, k), 0xFFFF_FFFF) for k, w in enumerate(registers)))
        for (leaf, subleaf), registers in _x86_words().items()
    ]
    return repr((words, _x86_saved()))


def _x86_features() -> frozenset[str]:
    words, saved = _x86_words(), _x86_saved()
    basic = words[1, 0][_ECX]
    vectors = basic >> _AVX & 1
    usable = {"": True, "xsave": bool(basic >> _OSXSAVE & 1)}
    for name, bits in _SAVED.items():
        usable[name] = saved & bits == bits and bool(vectors or name == "amx")
    found = set()
    for word in _WORDS:
        registers = words.get((word.leaf, word.subleaf), (0, 0, 0, 0))
        for item in word.bits.split():
            bit, _, feature = item.partition(":")
            own = next((name for name in ("avx512", "amx") if feature.startswith(name)), word.needs)
            if registers[word.register] >> int(bit) & 1 and usable[own]:
                found.add(feature)
    return frozenset(found)


# ---------------------------------------------------------------------- AArch64


def _information() -> str:
    """What ``/proc/cpuinfo`` says of each processor, without what changes."""
    kept = ("CPU", "Features", "Hardware", "model name")
    lines = _INFORMATION.read_text().splitlines()
    return "\n".join(line for line in lines if line.startswith(kept))


def listed_features(information: str) -> frozenset[str]:
    """The features in ``/proc/cpuinfo`` of an AArch64 system: those that all processors have."""
    lists = [
        set(line.partition(":")[2].split())
        for line in information.splitlines()
        if line.startswith("Features")
    ]
    common = set.intersection(*lists) if lists else set()
    return frozenset(
        name for name, needed in _CAPABILITIES.items() if common.issuperset(needed.split())
    )
