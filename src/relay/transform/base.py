"""The pass manager: what a pass is, sequences of passes, and the context they run in.

A pass maps a module to a module. Passes are frozen dataclasses: their fields are their options, so
that a pass prints as what it does. A pass that changes nothing returns the module it was given.

::

    with PassContext(opt_level=3, instruments=[PassTimingInstrument()]):
        module = Sequential([SimplifyInference(), FoldConstant(), FuseOps()])(module)
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import ClassVar, Final, final

from relay.ir.expr import Function, GlobalVar
from relay.ir.module import IRModule
from relay.support.collector import paused_collector
from relay.support.errors import RelayError


@dataclass(frozen=True)
class PassInfo:
    """What the pass manager knows about a pass.

    `opt_level` is the level from which a `Sequential` runs it; `required` names the passes that a
    `Sequential` runs right before it.
    """

    name: str
    opt_level: int
    required: tuple[str, ...] = ()


class Pass:
    """A map from modules to modules. A derived class says what it does in `run`.

    Called directly a pass runs unconditionally; inside a `Sequential` the context decides.
    """

    opt_level: ClassVar[int] = 0
    required: ClassVar[tuple[str, ...]] = ()
    _by_name: ClassVar[dict[str, "type[Pass]"]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        Pass._by_name.setdefault(cls.__name__, cls)

    @property
    def info(self) -> PassInfo:
        """Name, level and required passes."""
        return PassInfo(type(self).__name__, self.opt_level, self.required)

    def run(self, module: IRModule, context: "PassContext") -> IRModule:
        """The module that this pass makes of `module`; `module` itself when nothing changes."""
        raise TypeError(f"the pass {self.info.name} does not define `run`")

    def __call__(self, module: IRModule) -> IRModule:
        """Run this pass in the current context, with the context's instruments around it."""
        context = PassContext.current()
        info = self.info
        if not context.allows(module, info):
            return module
        for instrument in context.instruments:
            instrument.run_before_pass(module, info)
        with paused_collector():
            result = self.run(module, context)
        for instrument in context.instruments:
            instrument.run_after_pass(result, info)
        return result


class FunctionPass(Pass):
    """A pass that works on one function at a time.

    Functions with the attribute ``SkipOptimization`` are left alone.
    """

    def run_function(self, func: Function, module: IRModule, context: "PassContext") -> Function:
        """The function that this pass makes of `func`; `func` itself when nothing changes."""
        raise TypeError(f"the pass {self.info.name} does not define `run_function`")

    def run(self, module: IRModule, context: "PassContext") -> IRModule:
        changed: dict[GlobalVar, Function] = {}
        for name, func in module.functions.items():
            if func.attrs.get("SkipOptimization"):
                continue
            result = self.run_function(func, module, context)
            if result is not func:
                changed[name] = result
        return with_functions(module, changed)


def with_functions(module: IRModule, changed: Mapping[GlobalVar, Function]) -> IRModule:
    """A copy of `module` with the functions of `changed`; `module` itself when there are none."""
    if not changed:
        return module
    return module.with_functions({**module.functions, **changed})


@final
@dataclass(frozen=True)
class Sequential(Pass):
    """Run `passes` one after the other, as far as the context enables them.

    A pass runs when the context does not disable it and either requires it by name or has an
    `opt_level` of at least the pass's own. The passes that it requires run right before it.
    """

    passes: tuple[Pass, ...] = ()
    name: str = "Sequential"
    level: int = 0

    def __init__(
        self, passes: Iterable[Pass] = (), name: str = "Sequential", opt_level: int = 0
    ) -> None:
        object.__setattr__(self, "passes", tuple(passes))
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "level", opt_level)

    @property
    def info(self) -> PassInfo:
        return PassInfo(self.name, self.level)

    def run(self, module: IRModule, context: "PassContext") -> IRModule:
        for step in self.passes:
            if not context.pass_enabled(step.info):
                continue
            for name in step.info.required:
                module = required_pass(name, step.info.name)(module)
            module = step(module)
        return module


def required_pass(name: str, by: str) -> Pass:
    """The pass called `name` with its default options; `RelayError` when there is none."""
    known = Pass._by_name.get(name)
    if known is None:
        raise RelayError(f"the pass {by} requires a pass named {name!r}, but there is none")
    return known()


class PassInstrument:
    """Something that watches passes. Override the hooks you need; all do nothing by default."""

    def enter_pass_ctx(self) -> None:
        """The context that carries this instrument is entered."""

    def exit_pass_ctx(self) -> None:
        """The context that carries this instrument is left."""

    def should_run(self, module: IRModule, info: PassInfo) -> bool:
        """Whether the pass may run now; any instrument can veto a pass."""
        return True

    def run_before_pass(self, module: IRModule, info: PassInfo) -> None:
        """The pass is about to run on `module`."""

    def run_after_pass(self, module: IRModule, info: PassInfo) -> None:
        """The pass has returned `module`."""


def pass_instrument(declaration: type) -> type[PassInstrument]:
    """Class decorator: make any class with some of the hooks of `PassInstrument` an instrument."""
    if issubclass(declaration, PassInstrument):
        return declaration
    return type(declaration.__name__, (declaration, PassInstrument), {})


CONFIG_KEYS: Final[dict[str, type]] = {
    "relay.FuseOps.max_depth": int,
    "relay.ToMixedPrecision.keep_orig_output_dtype": bool,
}
"""The configuration keys that passes read, and the type of their values."""


class _Current(threading.local):
    """The contexts entered in this thread, innermost last."""

    def __init__(self) -> None:
        self.stack: list[PassContext] = []
        self.default: PassContext | None = None


@final
@dataclass(frozen=True, eq=False)
class PassContext:
    """The conditions under which passes run; a context manager, current per thread.

    `opt_level`: a `Sequential` runs the passes of at most this level. `required_pass` and
    `disabled_pass` name passes to run whatever their level, or never. `instruments` watch the
    passes. `config` sets the keys of `CONFIG_KEYS`; raises `RelayError` for other keys.
    """

    opt_level: int = 2
    required_pass: Sequence[str] | None = None
    disabled_pass: Sequence[str] | None = None
    instruments: Sequence[PassInstrument] = ()
    config: Mapping[str, object] = field(default_factory=dict)

    _current: ClassVar[_Current] = _Current()

    def __init__(
        self,
        opt_level: int = 2,
        required_pass: Sequence[str] | None = None,
        disabled_pass: Sequence[str] | None = None,
        instruments: Sequence[PassInstrument] | None = None,
        config: Mapping[str, object] | None = None,
    ) -> None:
        for key, value in (config or {}).items():
            if key not in CONFIG_KEYS:
                known = ", ".join(sorted(CONFIG_KEYS))
                raise RelayError(f"no pass reads the configuration key {key!r}; known are {known}")
            if not isinstance(value, CONFIG_KEYS[key]):
                expected = CONFIG_KEYS[key].__name__
                raise RelayError(f"{key} must be of type {expected}, found {value!r}")
        put = object.__setattr__
        put(self, "opt_level", opt_level)
        put(self, "required_pass", tuple(required_pass or ()))
        put(self, "disabled_pass", tuple(disabled_pass or ()))
        put(self, "instruments", tuple(instruments or ()))
        put(self, "config", dict(config or {}))

    @staticmethod
    def current() -> "PassContext":
        """The innermost context of this thread; a default one outside of any `with`."""
        current = PassContext._current
        if current.stack:
            return current.stack[-1]
        if current.default is None:
            current.default = PassContext()
        return current.default

    @staticmethod
    def entered() -> bool:
        """Whether this thread is inside of a ``with PassContext(...)``."""
        return bool(PassContext._current.stack)

    @staticmethod
    def list_configs() -> dict[str, dict[str, str]]:
        """The configuration keys that passes read, and the type of each (Relay's form)."""
        return {key: {"type": kind.__name__} for key, kind in CONFIG_KEYS.items()}

    def __enter__(self) -> "PassContext":
        for instrument in self.instruments:
            instrument.enter_pass_ctx()
        PassContext._current.stack.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        PassContext._current.stack.pop()
        for instrument in self.instruments:
            instrument.exit_pass_ctx()

    def override_instruments(self, instruments: Sequence[PassInstrument] | None) -> None:
        """Let `instruments` watch from here on, in place of those that this context has.

        It is left for the old ones and entered for the new ones; None stands for no instruments.
        """
        for instrument in self.instruments:
            instrument.exit_pass_ctx()
        object.__setattr__(self, "instruments", tuple(instruments or ()))
        for instrument in self.instruments:
            instrument.enter_pass_ctx()

    def pass_enabled(self, info: PassInfo) -> bool:
        """Whether a `Sequential` runs the pass in this context."""
        if info.name in (self.disabled_pass or ()):
            return False
        return info.name in (self.required_pass or ()) or self.opt_level >= info.opt_level

    def allows(self, module: IRModule, info: PassInfo) -> bool:
        """Whether no instrument vetoes the pass; a required pass cannot be vetoed."""
        if info.name in (self.required_pass or ()):
            return True
        return all(instrument.should_run(module, info) for instrument in self.instruments)


def build_config(
    opt_level: int = 2,
    required_pass: Sequence[str] | None = None,
    disabled_pass: Sequence[str] | None = None,
) -> PassContext:
    """A `PassContext`, by an older name of Relay's."""
    return PassContext(opt_level, required_pass, disabled_pass)
