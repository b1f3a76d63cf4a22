"""One set of schedules for all vector widths of x86-64: results, and the instructions used."""

import re

import pytest

import relay
from kernel_programs import programs
from relay.codegen.llvm.host import host_target
from relay.codegen.llvm.jit import assembly_text
from relay.executor.build import lower_module
from relay.target import Target

PROGRAMS = programs()
SETS = {
    "sse2": ("sse2",),
    "avx2": ("avx2", "f16c", "fma"),
    "avx512": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
}
#: How an instruction in AT&T syntax shows what it needs beyond SSE2.
NEEDS = {
    "avx512f": r"%zmm|%[xy]mm(1[6-9]|2\d|3[01])\b|%k[0-7]\b",
    "avx2": r"v(p(?!ermil|erm2f128|test)\S+\s.*%ymm|perm(d|q|ps|pd)\s|p?gather|p(maskmov|broadcast"
    r"|sllv|srlv|srav)|broadcasts[sd]\s+%xmm)",
    "fma": r"vfn?m(add|sub)",
    "f16c": r"vcvt(ph2ps|ps2ph)",
    "avx": r"v|.*%ymm",
    "bmi": r"(andn|bextr|bls(i|r|msk)|bzhi|mulx|pdep|pext|rorx|s(ar|hl|hr)x|[lt]zcnt|popcnt|movbe)"
    r"[lq]?\s",
    "sse4.2": r"(pcmpgtq|pcmp[ei]str|crc32)",
    "sse4.1": r"(blend|dpp[sd]|extractps|insertps|movntdqa|mpsadbw|packusdw|pblend|pcmpeqq"
    r"|p(extr|insr)[bdq]|phmin|pm(ax|in)(sb|sd|ud|uw)|pmov[sz]x|pmuldq|pmulld|ptest|round[ps][sd])",
    "ssse3": r"(pshufb|palignr|pabs|phadd|phsub|pmaddubsw|pmulhrsw|psign)",
    "sse3": r"(addsubp|haddp|hsubp|lddqu|movddup|movs[hl]dup)",
}


def restricted(name: str) -> Target:
    """This CPU with no more than the instruction set `name`."""
    host = host_target()
    lacking = [f for f in SETS[name] if not host.has(f)]
    if lacking:
        pytest.skip(f"this CPU lacks {', '.join(lacking)}")
    return host.with_features(*SETS[name])


def instructions(assembly: str) -> list[str]:
    """The instructions of an assembly text, without labels, directives and comments."""
    lines = (line.split("#")[0].strip() for line in assembly.splitlines())
    return [line for line in lines if line and not line.startswith(".") and not line.endswith(":")]


def needed(lines: list[str]) -> dict[str, str]:
    """The instruction sets that instructions need, each with an example."""
    found: dict[str, str] = {}
    for line in lines:
        for name, pattern in NEEDS.items():
            place = re.search(pattern, line) if name == "avx512f" else re.match(pattern, line)
            if place:
                found.setdefault(name, line)
    return found


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("width", SETS)
def test_results(name: str, width: str) -> None:
    program = PROGRAMS[name]
    factory = relay.build(program.function, restricted(width))
    assert any(program.kernel in kernel for kernel in factory.kernel_names)
    program.check([output.numpy() for output in factory.create()(*program.inputs)])


@pytest.mark.parametrize("width", SETS)
def test_no_other_instructions(width: str) -> None:
    target = restricted(width)
    for name, program in PROGRAMS.items():
        lowered = lower_module(program.function, target)
        text = assembly_text([kernel.scheduled for kernel in lowered.kernels], target)
        beyond = {s: line for s, line in needed(instructions(text)).items() if not target.has(s)}
        assert not beyond, name


@pytest.mark.parametrize(
    ("width", "expected"),
    [("sse2", r"mulps\s.*%xmm"), ("avx2", r"vfmadd.*%ymm"), ("avx512", r"vfmadd.*%zmm")],
)
def test_the_widest_vectors_are_used(width: str, expected: str) -> None:
    target = restricted(width)
    lowered = lower_module(PROGRAMS["dense"].function, target)
    text = assembly_text([kernel.scheduled for kernel in lowered.kernels], target)
    products = [line for line in instructions(text) if re.match(expected, line)]
    assert len(products) > 4


def test_needed_tells_instruction_sets_apart() -> None:
    examples = {
        "mulps %xmm1, %xmm0": set(),
        "pshufb %xmm1, %xmm0": {"ssse3"},
        "vmulps %ymm1, %ymm0, %ymm0": {"avx"},
        "vpermilps $1, %ymm1, %ymm0": {"avx"},
        "vpaddd %ymm1, %ymm0, %ymm0": {"avx", "avx2"},
        "vfmadd231ps (%rax), %ymm0, %ymm1": {"avx", "fma"},
        "vmulps %xmm16, %xmm0, %xmm0": {"avx", "avx512f"},
        "vmovups %zmm0, (%rax)": {"avx", "avx512f"},
    }
    assert {line: set(needed([line])) for line in examples} == examples
