"""Models on the command line: options that several commands share, and loading."""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from relay.cli.progress import Stages
from relay.cli.timing import PassTimes
from relay.executor.graph import GraphFactory, load
from relay.runtime.threads import set_num_threads
from relay.support.errors import InputError

_Command = TypeVar("_Command", bound=Callable[..., Any])


def model_argument(command: _Command) -> _Command:
    """The argument MODEL."""
    return click.argument("model", type=click.Path(path_type=Path))(command)


def shape_option(command: _Command) -> _Command:
    """The option ``--shape``, which may be given several times."""
    return click.option(
        "--shape",
        "shapes",
        multiple=True,
        metavar="NAME=SIZES",
        callback=_parse_shapes,
        help="Sizes of an input, such as x=1,3,224,224, where the model leaves them open. "
        "May be given several times.",
    )(command)


def input_option(command: _Command) -> _Command:
    """The option ``--input``."""
    return click.option(
        "--input",
        "input_file",
        type=click.Path(path_type=Path),
        metavar="FILE.npz",
        help="Inputs by name. Inputs that it lacks get random data.",
    )(command)


def seed_option(command: _Command) -> _Command:
    """The option ``--seed``."""
    return click.option(
        "--seed", type=click.IntRange(0), default=0, show_default=True, help="For random data."
    )(command)


def level_option(command: _Command) -> _Command:
    """The option ``--opt-level``."""
    return click.option(
        "--opt-level",
        type=click.IntRange(0, 3),
        default=3,
        show_default=True,
        help="How much the compiler does: 0 no fusion, 1 fusion, 2 constants folded, 3 everything.",
    )(command)


def threads_option(command: _Command) -> _Command:
    """The option ``--threads``."""
    return click.option(
        "--threads", type=int, metavar="N", help="Threads to use. Default: the usable cores."
    )(command)


def use_threads(threads: int | None) -> None:
    """Use so many threads; None leaves the default. Raises `InputError` for a bad number."""
    if threads is not None:
        set_num_threads(threads)


def _parse_shapes(
    _context: click.Context, _parameter: click.Parameter, values: Sequence[str]
) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for value in values:
        name, sign, sizes = value.rpartition("=")
        dims = [d.strip() for d in sizes.split(",")] if sizes.strip() else []
        if not sign or not name or not all(d.isascii() and d.isdigit() for d in dims):
            raise InputError(f"--shape expects NAME=SIZES such as x=1,3,224,224, not {value!r}")
        if any(len(d) > 12 for d in dims):
            raise InputError(f"--shape {value}: the sizes are impossibly large")
        if name in shapes:
            raise InputError(f"--shape gives the sizes of {name!r} twice")
        shapes[name] = tuple(map(int, dims))
    return shapes


def is_artifact(path: Path) -> bool:
    """Whether `path` names a compiled model."""
    return path.suffix == ".rly"


def open_model(
    path: Path,
    shapes: dict[str, tuple[int, ...]],
    opt_level: int,
    stages: Stages,
    times: PassTimes | None = None,
) -> GraphFactory:
    """The model in the file `path`, compiled at `opt_level` unless it is compiled already.

    Only a model that is not compiled yet makes this load the compiler; `times`, if given, watch it.
    """
    if is_artifact(path):
        if shapes:
            raise InputError("--shape does not work on a compiled model: its shapes are fixed")
        if times is not None and times.wanted:
            raise InputError("--time-passes needs a model that is not compiled yet")
        with stages.stage("load", f"loading {path.name}"):
            return load(path)
    compiling = importlib.import_module("relay.cli.compiling")
    instruments = compiling.instruments(times)
    factory = compiling.compile_model(path, shapes, opt_level, stages, instruments)
    assert isinstance(factory, GraphFactory)
    if times is not None:
        times.show(stages, factory)
    return factory
