"""Instruments: what watches passes run. Given to `PassContext(instruments=[...])`."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from relay.ir.expr import Expr, GlobalVar
from relay.ir.module import IRModule
from relay.ir.types import FuncType, Type
from relay.ir.visit import post_order
from relay.ir.well_formed import check_well_formed
from relay.support.errors import InternalError, RelayError
from relay.transform.base import PassInfo, PassInstrument


@dataclass
class PassTiming:
    """One run of one pass: `seconds`, of which those of the passes inside it are `inner`.

    `depth` counts the passes around it. `started` is on the scale of `time.perf_counter`.
    """

    name: str
    depth: int
    started: float
    seconds: float = 0.0
    inner: float = 0.0


class PassTimingInstrument(PassInstrument):
    """Measures how long each pass takes; `render` tells."""

    def __init__(self) -> None:
        self._done: list[PassTiming] = []
        self._open: list[PassTiming] = []

    def passes(self) -> list[PassTiming]:
        """The passes that ran, in order; an outer one comes before those inside it."""
        return list(self._done)

    def enter_pass_ctx(self) -> None:
        self._done.clear()
        self._open.clear()

    def run_before_pass(self, module: IRModule, info: PassInfo) -> None:
        timing = PassTiming(info.name, len(self._open), time.perf_counter())
        self._done.append(timing)
        self._open.append(timing)

    def run_after_pass(self, module: IRModule, info: PassInfo) -> None:
        timing = self._open.pop()
        timing.seconds = time.perf_counter() - timing.started
        if self._open:
            self._open[-1].inner += timing.seconds

    def render(self) -> str:
        """A table of the passes in order of running: time [ms], own time [ms], share of all."""
        total = sum(t.seconds for t in self._done if t.depth == 0)
        rows = [f"{'pass':<44} {'time ms':>10} {'own ms':>10} {'share':>7}"]
        for timing in self._done:
            label = "  " * timing.depth + timing.name
            share = timing.seconds / total if total else 0.0
            own = timing.seconds - timing.inner
            rows.append(f"{label:<44} {timing.seconds * 1e3:10.2f} {own * 1e3:10.2f} {share:7.1%}")
        rows.append(f"{'total':<44} {total * 1e3:10.2f}")
        return "\n".join(rows) + "\n"


class _Printer(PassInstrument):
    """Base of the instruments that print modules, to standard error by default.

    `passes` restricts them to the passes of these names.
    """

    def __init__(self, passes: Sequence[str] | None = None, stream: TextIO | None = None) -> None:
        self._passes = None if passes is None else frozenset(passes)
        self._stream = stream

    def _print(self, when: str, module: IRModule, info: PassInfo) -> None:
        if self._passes is None or info.name in self._passes:
            text = module.astext(show_meta_data=False)
            (self._stream or sys.stderr).write(f"// {when} {info.name}\n{text}\n")


class PrintBeforeAll(_Printer):
    """Prints the module before every pass."""

    def run_before_pass(self, module: IRModule, info: PassInfo) -> None:
        self._print("before", module, info)


class PrintAfterAll(_Printer):
    """Prints the module after every pass."""

    def run_after_pass(self, module: IRModule, info: PassInfo) -> None:
        self._print("after", module, info)


class PassPrintingInstrument(_Printer):
    """Prints the module before the passes of some names, and after those of others."""

    def __init__(
        self,
        print_before_pass_names: Sequence[str] = (),
        print_after_pass_names: Sequence[str] = (),
        stream: TextIO | None = None,
    ) -> None:
        super().__init__(None, stream)
        self._before = frozenset(print_before_pass_names)
        self._after = frozenset(print_after_pass_names)

    def run_before_pass(self, module: IRModule, info: PassInfo) -> None:
        if info.name in self._before:
            self._print("before", module, info)

    def run_after_pass(self, module: IRModule, info: PassInfo) -> None:
        if info.name in self._after:
            self._print("after", module, info)


class PrintChanged(_Printer):
    """Prints the module after every pass that changed it, once per change."""

    def __init__(self, passes: Sequence[str] | None = None, stream: TextIO | None = None) -> None:
        super().__init__(passes, stream)
        self._latest: IRModule | None = None

    def enter_pass_ctx(self) -> None:
        self._latest = None

    def run_before_pass(self, module: IRModule, info: PassInfo) -> None:
        if self._latest is None:
            self._latest = module

    def run_after_pass(self, module: IRModule, info: PassInfo) -> None:
        # A sequence returns what its last pass returned, which has been printed by then.
        if module is not self._latest:
            self._latest = module
            self._print("changed by", module, info)


class VerifyInstrument(PassInstrument):
    """Checks the module after every pass that changed it, and names the guilty pass.

    The types of the whole module are derived anew, every function must be well formed, and a
    function that is still there must keep its type. Raises `InternalError` where that fails.
    """

    def __init__(self) -> None:
        self._open: list[IRModule] = []

    def enter_pass_ctx(self) -> None:
        self._open.clear()

    def run_before_pass(self, module: IRModule, info: PassInfo) -> None:
        self._open.append(module)

    def run_after_pass(self, module: IRModule, info: PassInfo) -> None:
        before = self._open.pop()
        if module is before:
            return
        try:
            for func in module.functions.values():
                verify_types(func)
            check_well_formed(module)
        except RelayError as error:
            text = module.astext(show_meta_data=False)
            raise InternalError(
                f"the pass {info.name} made a wrong program: {error}\n{text}"
            ) from error
        old, new = _signatures(before), _signatures(module)
        for name in sorted(old.keys() & new.keys()):
            if old[name] != new[name]:
                raise InternalError(
                    f"the pass {info.name} changed the type of @{name} "
                    f"from {old[name]} to {new[name]}"
                )


def verify_types(root: Expr) -> None:
    """Derive the type of every node below `root` anew; `InternalError` where it is another one."""
    for node in post_order(root):
        kept = node.checked_type
        found = node.derive_type()
        if found != kept:
            raise InternalError(f"a {type(node).__name__} of type {found} carries the type {kept}")


def _signatures(module: IRModule) -> dict[str, Type]:
    """The types of the functions that have one that can be compared, by name."""
    found: dict[str, Type] = {}
    for name, func in module.functions.items():
        type_ = _type_or_none(name, func)
        if isinstance(type_, FuncType) and not type_.type_params:
            found[name.name_hint] = type_
    return found


def _type_or_none(name: GlobalVar, func: Expr) -> Type | None:
    """The type of `func`, or None where it lacks annotations: the pass may be what adds them."""
    try:
        return func.checked_type
    except RelayError:
        return name.type_annotation
