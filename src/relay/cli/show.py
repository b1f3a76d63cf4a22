"""``relay show``: a model at the stages of its compilation, as text."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import click

from relay.cli.compiling import import_model
from relay.cli.models import (
    is_artifact,
    level_option,
    model_argument,
    shape_option,
)
from relay.cli.progress import Stages
from relay.codegen.llvm.jit import assembly_text, llvm_text
from relay.drawing import draw
from relay.executor.build import lower_module
from relay.ir.module import IRModule
from relay.loop.printer import text
from relay.lower.compile import Lowered
from relay.lower.kernel import Kernel
from relay.support.errors import InputError
from relay.target import Target
from relay.transform.base import PassContext

_WHOLE: Final = ("relay", "fused")
"""The stages at which a model is one program. At the others it is kernels."""


def _schedule(kernel: Kernel) -> str:
    return f"# @{kernel.name}\n{kernel.schedule}"


_STAGES: Final[dict[str, Callable[[Sequence[Kernel], Target], str]]] = {
    "loop": lambda kernels, _: "\n\n".join(text(k.loops) for k in kernels),
    "schedule": lambda kernels, _: "\n\n".join(map(_schedule, kernels)),
    "scheduled": lambda kernels, _: "\n\n".join(text(k.scheduled) for k in kernels),
    "llvm": lambda kernels, target: llvm_text([k.scheduled for k in kernels], target),
    "asm": lambda kernels, target: assembly_text([k.scheduled for k in kernels], target),
}


@click.command("show")
@model_argument
@click.option(
    "--stage",
    type=click.Choice([*_WHOLE, *_STAGES]),
    default="fused",
    show_default=True,
    help="relay: as imported. fused: after all graph passes. Then, kernel by kernel, loop: as "
    "built; schedule: what is done to it; scheduled: the result; llvm: LLVM IR; asm: assembly.",
)
@click.option(
    "--draw",
    "picture",
    metavar="FILE.svg",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a drawing instead of printing text; at the stages relay and fused.",
)
@click.option("--kernel", metavar="NAME", help="Only this kernel.")
@shape_option
@level_option
def command(
    model: Path,
    stage: str,
    picture: Path | None,
    kernel: str | None,
    shapes: dict[str, tuple[int, ...]],
    opt_level: int,
) -> None:
    """Print MODEL, an ONNX file, at a stage of its compilation. Weights are left out."""
    if is_artifact(model):
        raise InputError(f"{model} is compiled already; relay show needs the ONNX file")
    if kernel is not None and stage in _WHOLE:
        raise InputError(
            f"--kernel does not go with --stage {stage}; it needs one of {', '.join(_STAGES)}"
        )
    if picture is not None and stage not in _WHOLE:
        raise InputError(f"--draw goes with --stage {' and '.join(_WHOLE)}, not with {stage}")
    stages = Stages()
    module = import_model(model, shapes, stages)
    if stage == "relay":
        _show(module, picture)
        return
    with stages.stage("lower", f"compiling {model.name}"), PassContext(opt_level=opt_level):
        lowered = lower_module(module)
        if stage == "fused":
            _show(lowered.fused, picture)
            return
        kernels = lowered.kernels if kernel is None else [_kernel(lowered, kernel)]
        click.echo(_STAGES[stage](kernels, lowered.target))


def _show(module: IRModule, picture: Path | None) -> None:
    """Print `module`, or draw it into the file `picture`."""
    if picture is None:
        click.echo(module.astext(show_meta_data=False))
    else:
        draw(module).save(picture)


def _kernel(lowered: Lowered, name: str) -> Kernel:
    for kernel in lowered.kernels:
        if kernel.name == name:
            return kernel
    present = "".join(f"\n  {k.name}" for k in lowered.kernels)
    raise InputError(f"there is no kernel {name!r}; the kernels are:{present}")
