"""`tvm.target`: what to compile for, in TVM's words (``"llvm -mcpu=skylake-avx512"``).

A target here is a `relay.target.Target`, a record of numbers; `resolve` makes one of TVM's.
"""

import json
import shlex
import threading
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Final, TypeAlias

from relay.codegen.llvm.host import host_target
from relay.executor.build import resolve_target
from relay.support.errors import RelayError, UnsupportedError
from relay.target import Target as Machine

TargetLike: TypeAlias = "Target | Machine | str | Mapping[object, object] | None"

#: Options that tell TVM which schedules to take; here they follow from the machine.
_IGNORED: Final = frozenset({"keys", "device", "model", "libs", "tag", "link-params"})
_SSE: Final = "sse2 sse3 ssse3 sse4.1 sse4.2 popcnt cx16".split()
_AVX2: Final = [*_SSE, *"avx avx2 fma f16c bmi bmi2 lzcnt movbe".split()]
_AVX512: Final = [*_AVX2, *"avx512f avx512bw avx512cd avx512dq avx512vl".split()]
_FEATURES: Final = {
    "x86-64": ["sse2"],
    "generic": ["sse2"],
    "x86-64-v3": _AVX2,
    "core-avx2": _AVX2,
    "haswell": _AVX2,
    "broadwell": _AVX2,
    "skylake": _AVX2,
    "znver1": _AVX2,
    "znver2": _AVX2,
    "znver3": _AVX2,
    "x86-64-v4": _AVX512,
    "skylake-avx512": _AVX512,
    "cascadelake": [*_AVX512, "avx512vnni"],
    "icelake-server": [*_AVX512, "avx512vnni"],
}
"""Name of a CPU -> the instructions of it that are used, where the machine has them."""


class _Stack(threading.local):
    def __init__(self) -> None:
        self.targets: list[Target] = []


class TargetKind:
    """The kind of a target: its `name`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name


class Target:
    """A target in TVM's words: a kind (``llvm``) and options; also a context manager.

    `target` is a string, or a mapping with ``"kind"`` and options. `host` is accepted: all targets
    here are their own host. Raises `RelayError` when `target` names no kind.
    """

    kind: TargetKind
    attrs: dict[str, object]
    _entered: Final = _Stack()

    def __init__(self, target: "TargetLike", host: "TargetLike" = None) -> None:
        if isinstance(target, Target):
            self.kind, self.attrs = target.kind, dict(target.attrs)
        elif isinstance(target, Mapping):
            options = {str(key): value for key, value in target.items()}
            self.kind = TargetKind(str(options.pop("kind", "")))
            self.attrs = options
        elif isinstance(target, str) and target.strip().startswith("{"):
            parsed = Target(json.loads(target))
            self.kind, self.attrs = parsed.kind, parsed.attrs
        elif isinstance(target, str):
            self.kind, self.attrs = _parsed(target)
        else:
            raise RelayError(f'expected a target such as "llvm", found {target!r}')
        if not self.kind.name:
            raise RelayError(f"the target {target!r} names no kind; try 'llvm'")
        self.host = None if host is None else Target(host)

    @property
    def mcpu(self) -> str:
        """The name of the CPU, or empty."""
        return str(self.attrs.get("mcpu", ""))

    @property
    def target_name(self) -> str:
        """The kind's name (TVM until 0.6)."""
        return self.kind.name

    @property
    def keys(self) -> list[str]:
        """What describes the target in short."""
        return ["cpu"] if self.kind.name == "llvm" else [self.kind.name, "gpu"]

    def with_host(self, host: "TargetLike") -> "Target":
        """This target with another host."""
        return Target(self, host)

    @staticmethod
    def current(allow_none: bool = True) -> "Target | None":
        """The innermost target entered with ``with``; `RelayError` where one is wanted in vain."""
        entered = Target._entered.targets
        if not entered and not allow_none:
            raise RelayError("no target is entered here: use `with tvm.target.Target(..):`")
        return entered[-1] if entered else None

    def __enter__(self) -> "Target":
        Target._entered.targets.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        Target._entered.targets.pop()

    def __str__(self) -> str:
        options = [f"-{name}={value}" for name, value in self.attrs.items()]
        return " ".join([self.kind.name, *options])

    def __repr__(self) -> str:
        return str(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Target) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def _parsed(text: str) -> tuple[TargetKind, dict[str, object]]:
    words = shlex.split(text)
    options: dict[str, object] = {}
    for word in words[1:]:
        name, _, value = word.lstrip("-").partition("=")
        options[name] = value or True
    return TargetKind(words[0] if words else ""), options


def resolve(target: TargetLike) -> Machine:
    """The machine that `target` means; None is the current target, or this machine's CPU.

    `-mcpu` restricts the instructions to those of the named CPU, `-mattr` adds and removes some,
    `-num-cores` sets the number of cores. Raises `RelayError` for what this machine lacks and
    `UnsupportedError` for other kinds of machines, and for several at once.
    """
    if target is None:
        target = Target.current()
    if target is None or isinstance(target, Machine):
        return resolve_target(target)
    if isinstance(target, Mapping) and "kind" not in target:
        if len(target) != 1:
            raise UnsupportedError("one program runs on one device; pass one target, not several")
        (target,) = target.values()  # type: ignore[assignment]
        return resolve(target)
    described = target if isinstance(target, Target) else Target(target)
    if described.kind.name not in ("llvm", "cpu"):
        return resolve_target(str(described))
    machine = _restricted(host_target(), described.mcpu)
    features = set(machine.features)
    attributes = described.attrs.get("mattr", "")
    words = attributes if isinstance(attributes, list | tuple) else str(attributes).split(",")
    for word in filter(None, (str(w).strip() for w in words)):
        (features.discard if word.startswith("-") else features.add)(word.lstrip("+-"))
    if features != set(machine.features):
        machine = host_target().with_features(*sorted(features))
    cores = described.attrs.get("num-cores")
    if cores is not None:
        machine = replace(machine, cores=int(str(cores)))
    triple = str(described.attrs.get("mtriple", machine.triple))
    if triple.split("-")[0] != machine.triple.split("-")[0]:
        raise UnsupportedError(f"this machine is {machine.triple}; it cannot compile for {triple}")
    unknown = set(described.attrs) - _IGNORED - {"mcpu", "mattr", "mtriple", "num-cores"}
    if unknown:
        raise UnsupportedError(f"unknown options of the target llvm: {', '.join(sorted(unknown))}")
    return machine


def _restricted(host: Machine, name: str) -> Machine:
    if name in ("", "native", host.cpu):
        return host
    if name not in _FEATURES:
        raise UnsupportedError(
            f"-mcpu={name} is not known here; expected native or {', '.join(_FEATURES)}"
        )
    missing = [f for f in _FEATURES[name] if not host.has(f)]
    if missing:
        raise RelayError(f"-mcpu={name}: this CPU lacks {', '.join(missing)}")
    return host.with_features(*_FEATURES[name])


def create(target: TargetLike) -> Target:
    """`Target` by its name until TVM 0.7."""
    return Target(target)


def _kind(name: str) -> "Target":
    return Target(name)


def cuda(model: str = "unknown", options: object = None) -> Target:
    """A GPU of NVIDIA."""
    return _kind("cuda")


def rocm(model: str = "unknown", options: object = None) -> Target:
    """A GPU of AMD."""
    return _kind("rocm")


def mali(model: str = "unknown", options: object = None) -> Target:
    """A GPU of Arm, through OpenCL."""
    return _kind("opencl -device=mali")


def arm_cpu(model: str = "unknown", options: object = None) -> Target:
    """A CPU of Arm."""
    return _kind("llvm -device=arm_cpu")


__all__ = [
    "Target",
    "TargetKind",
    "arm_cpu",
    "create",
    "cuda",
    "mali",
    "resolve",
    "rocm",
]
