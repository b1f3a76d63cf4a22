"""Native loops that do nothing but what a machine is best at: to measure what it can do at most.

Each is ``void name(ptr env, i64 chunks)``: `chunks` parts, shared out to the thread pool like the
iterations of a kernel's parallel loop. `env` points to four words: the address of the memory, the
bytes of it that belong to a part, how often a part goes through its loop, and the address of a
second memory.

- ``relay_peak_DTYPE``: `ACCUMULATORS` independent multiply-accumulates a round, from registers. A
  part uses `PEAK_BYTES` bytes.
- ``relay_read``: reads a part's memory, a round.
- ``relay_copy``: reads a part's memory and writes as much of the second one, a round.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from relay.codegen.llvm.kernel import PARALLEL_FOR
from relay.target import Target

#: Enough to hide the latency of a multiply-accumulate on two units, few enough for the registers.
ACCUMULATORS: Final = 12
_INPUTS: Final = 16
_MAX_VECTOR: Final = 64
PEAK_BYTES: Final = _MAX_VECTOR * (2 * ACCUMULATORS + _INPUTS)
READ: Final = "relay_read"
COPY: Final = "relay_copy"
#: Bytes that `READ` and `COPY` handle at a time: what a part has is a multiple of it.
STRIDE: Final = 512


@dataclass(frozen=True)
class Peak:
    """How to multiply and accumulate elements of one type on a target.

    `macs` are the multiply-accumulates of one instruction on values of the LLVM type `vector`;
    `instruction` gives its text for accumulator and factors.
    """

    vector: str
    macs: int
    instruction: Callable[[str, str, str], str]
    declaration: str = ""


def peak_symbol(dtype: str) -> str:
    """The name of the function that multiplies and accumulates factors of type `dtype`."""
    return f"relay_peak_{dtype}"


def peaks(target: Target) -> dict[str, Peak]:
    """What `target` multiplies and accumulates directly, by data type of the factors."""
    found = {
        "float32": _fma(target, "float", "f32", 32),
        "float64": _fma(target, "double", "f64", 64),
    }
    if target.has("avx512fp16"):
        found["float16"] = _fma(target, "half", "f16", 16)
    if target.has("avx512bf16"):
        found["bfloat16"] = _assembly("vdpbf16ps $2, $1, $0", "<16 x float>", 32)
    if target.has("avx512vnni"):
        found["int8"] = found["uint8"] = _assembly("vpdpbusd $2, $1, $0", "<16 x i32>", 64)
    return found


def _fma(target: Target, scalar: str, suffix: str, bits: int) -> Peak:
    lanes = target.lanes(bits)
    vector = f"<{lanes} x {scalar}>"
    fused = target.has("fma") or target.triple.startswith(("aarch64", "arm64"))
    # Where there is no fused instruction, this one intrinsic still allows two separate ones.
    name = f"llvm.{'fma' if fused else 'fmuladd'}.v{lanes}{suffix}"
    return Peak(
        vector,
        lanes,
        lambda acc, a, b: f"call {vector} @{name}({vector} {a}, {vector} {b}, {vector} {acc})",
        f"declare {vector} @{name}({vector}, {vector}, {vector})",
    )


def _assembly(template: str, vector: str, macs: int) -> Peak:
    """Inline assembly: its text is the same in all versions of LLVM, the intrinsics' is not."""
    return Peak(
        vector,
        macs,
        lambda acc, a, b: (
            f'call {vector} asm "{template}", "=v,v,v,0"'
            f"({vector} {a}, {vector} {b}, {vector} {acc})"
        ),
    )


def ceilings_text(target: Target) -> str:
    """The LLVM IR of all functions for `target`."""
    found = peaks(target)
    parts = [f'target triple = "{target.triple}"', f"declare void @{PARALLEL_FOR}(ptr, ptr, i64)"]
    parts += dict.fromkeys(p.declaration for p in found.values() if p.declaration)
    for dtype, peak in found.items():
        parts.append(_function(peak_symbol(dtype), _peak_rounds(peak)))
    parts.append(_function(READ, _stream_rounds(target, copy=False)))
    parts.append(_function(COPY, _stream_rounds(target, copy=True)))
    return "\n\n".join(parts) + "\n"


def _function(name: str, rounds: str) -> str:
    """The entry `name`, and its parallel body: for each part, `rounds` from `%base`, `%other`."""
    return f"""define void @{name}(ptr %env, i64 %chunks) nounwind {{
  call void @{PARALLEL_FOR}(ptr @{name}.parallel, ptr %env, i64 %chunks)
  ret void
}}

define internal void @{name}.parallel(ptr %env, i64 %begin, i64 %end, i64 %step) nounwind {{
entry:
  %memory = load ptr, ptr %env, align 8
  %bytes.at = getelementptr i64, ptr %env, i64 1
  %bytes = load i64, ptr %bytes.at, align 8
  %count.at = getelementptr i64, ptr %env, i64 2
  %count = load i64, ptr %count.at, align 8
  %second.at = getelementptr i64, ptr %env, i64 3
  %second = load ptr, ptr %second.at, align 8
  br label %part
part:
  %chunk = phi i64 [ %begin, %entry ], [ %chunk.next, %done ]
  %offset = mul i64 %chunk, %bytes
  %base = getelementptr i8, ptr %memory, i64 %offset
  %other = getelementptr i8, ptr %second, i64 %offset
{rounds}
done:
  %chunk.next = add i64 %chunk, %step
  %more = icmp ne i64 %chunk.next, %end
  br i1 %more, label %part, label %leave
leave:
  ret void
}}"""


def _peak_rounds(peak: Peak) -> str:
    vector, lines = peak.vector, list[str]()
    for k in range(ACCUMULATORS):
        lines += [
            f"  %s{k}.at = getelementptr i8, ptr %base, i64 {_MAX_VECTOR * k}",
            f"  %s{k} = load {vector}, ptr %s{k}.at, align 64",
            f"  %f{k}.at = getelementptr i8, ptr %base, i64 {_MAX_VECTOR * (ACCUMULATORS + k)}",
            f"  %f{k} = load {vector}, ptr %f{k}.at, align 64",
        ]
    lines += [
        f"  %inputs = getelementptr i8, ptr %base, i64 {_MAX_VECTOR * 2 * ACCUMULATORS}",
        "  br label %round",
        "round:",
        "  %k = phi i64 [ 0, %part ], [ %k.next, %round ]",
    ]
    for k in range(ACCUMULATORS):
        lines.append(f"  %a{k} = phi {vector} [ %s{k}, %part ], [ %n{k}, %round ]")
    lines += [
        f"  %slot = and i64 %k, {_INPUTS - 1}",
        f"  %input.bytes = mul i64 %slot, {_MAX_VECTOR}",
        "  %input.at = getelementptr i8, ptr %inputs, i64 %input.bytes",
        f"  %x = load {vector}, ptr %input.at, align 64",
    ]
    for k in range(ACCUMULATORS):
        lines.append(f"  %n{k} = {peak.instruction(f'%a{k}', '%x', f'%f{k}')}")
    lines += [
        "  %k.next = add i64 %k, 1",
        "  %again = icmp slt i64 %k.next, %count",
        "  br i1 %again, label %round, label %finish",
        "finish:",
    ]
    for k in range(ACCUMULATORS):
        lines.append(f"  store {vector} %n{k}, ptr %s{k}.at, align 64")
    return "\n".join([*lines, "  br label %done"])


def _stream_rounds(target: Target, copy: bool) -> str:
    """Rounds over the part's memory, in vectors.

    What is read is changed by a value from memory, so that a copy does not become a call of the C
    library's.
    """
    size = target.vector_bytes
    vector, count = f"<{size // 8} x i64>", STRIDE // size
    # A read may use this many sums at once: what hides the latency and fits all register files.
    sums = min(count, 8)
    lines = [
        f"  %key = load {vector}, ptr %other, align {size}",
        "  br label %round",
        "round:",
        "  %k = phi i64 [ 0, %part ], [ %k.next, %round.end ]",
        "  br label %sweep",
        "sweep:",
        "  %at = phi i64 [ 0, %round ], [ %at.next, %sweep ]",
    ]
    if not copy:
        for j in range(sums):
            lines.append(f"  %a{j} = phi {vector} [ %key, %round ], [ %n{j}, %sweep ]")
    last = [f"%a{j}" for j in range(sums)]
    for j in range(count):
        lines += [
            f"  %at{j} = add i64 %at, {j * size}",
            f"  %from{j} = getelementptr i8, ptr %base, i64 %at{j}",
            f"  %x{j} = load {vector}, ptr %from{j}, align {size}",
        ]
        if copy:
            lines += [
                f"  %y{j} = xor {vector} %x{j}, %key",
                f"  %to{j} = getelementptr i8, ptr %other, i64 %at{j}",
                f"  store {vector} %y{j}, ptr %to{j}, align {size}",
            ]
        else:
            value = f"%n{j}" if j + sums >= count else f"%m{j}"
            value = value.replace(f"%n{j}", f"%n{j % sums}")
            lines.append(f"  {value} = xor {vector} {last[j % sums]}, %x{j}")
            last[j % sums] = value
    lines += [
        f"  %at.next = add i64 %at, {STRIDE}",
        "  %further = icmp slt i64 %at.next, %bytes",
        "  br i1 %further, label %sweep, label %round.end",
        "round.end:",
    ]
    if not copy:
        total = "%n0"
        for j in range(1, sums):
            lines.append(f"  %t{j} = xor {vector} {total}, %n{j}")
            total = f"%t{j}"
        lines.append(f"  store {vector} {total}, ptr %other, align {size}")
    lines += [
        "  %k.next = add i64 %k, 1",
        "  %again = icmp slt i64 %k.next, %count",
        "  br i1 %again, label %round, label %done",
    ]
    return "\n".join(lines)
