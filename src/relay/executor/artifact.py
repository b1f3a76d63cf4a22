"""Compiled artefacts: a graph's machine code and constants in one file, by custom ``model.rly``.

The file is an archive (see `relay.executor.archive`) with constants, ``objects/NUMBER.NAME.o``, an
object file for each kernel and one for the entry point, ``support.o``, the code for threads that
they call, and a manifest (`relay.executor.manifest`).
An artefact holds machine code, so load only what you would run.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from relay.codegen.llvm.calls import SYMBOL, Place, Step
from relay.executor.archive import (
    SUPPORT,
    Reader,
    Writer,
    check_runs_here,
    mapped,
    object_name,
    obstacle,
    relay_version,
    replace,
)
from relay.executor.manifest import Manifest, decode, encode
from relay.runtime.executable import TensorSpec
from relay.runtime.work import Work
from relay.support.errors import ArtifactError
from relay.target import Target

__all__ = ["Artifact", "check_runs_here", "obstacle", "read", "relay_version", "write"]

KIND: Final = b"relay compiled graph"


@dataclass(frozen=True)
class Artifact:
    """A compiled graph as data.

    `objects` are object files by symbol: the kernels in order, then the entry point. `support` is
    that of the support code. `model_sha256` is the digest of the model's file, or empty. `steps`
    counts the kernel calls of a run; `calls` lists them, and `work` says what each has to do.
    """

    target: Target
    objects: Mapping[str, bytes]
    support: bytes
    constants: tuple[npt.NDArray[np.generic], ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    arena_bytes: int
    steps: int
    model_sha256: str = ""
    calls: tuple[Step, ...] = ()
    work: tuple[Work, ...] = ()


def write(artifact: Artifact, path: str | os.PathLike[str]) -> None:
    """Write `artifact` to the file `path`, which is replaced as a whole or left as it was.

    The same artefact gives the same bytes. Raises `ArtifactError` when `path` cannot be written.
    """
    replace(path, lambda stream: _write(artifact, stream))


def _write(artifact: Artifact, stream: BinaryIO) -> None:
    with Writer(stream) as writer:
        constants, tensors = writer.constants(artifact.constants)
        objects = {}
        for number, (symbol, image) in enumerate(artifact.objects.items()):
            name = object_name(number, symbol)
            objects[name] = writer.add(name, image)
        manifest = Manifest(
            relay=relay_version(),
            model_sha256=artifact.model_sha256,
            target=artifact.target,
            inputs=artifact.inputs,
            outputs=artifact.outputs,
            arena_bytes=artifact.arena_bytes,
            steps=artifact.steps,
            kernels=tuple(artifact.objects)[:-1],
            objects=objects,
            support=writer.add(SUPPORT, artifact.support),
            constants=constants,
            tensors=tensors,
            calls=artifact.calls,
            work=artifact.work,
        )
        writer.finish(encode(manifest), KIND)


def read(path: str | os.PathLike[str]) -> Artifact:
    """The artefact in the file `path`; its constants are read-only maps of the file.

    Raises `ArtifactError` when there is no such file, or it is not one that `write` has written, or
    not complete any more.
    """
    with mapped(path) as data:
        return _read(Reader(data, KIND))


def _read(reader: Reader) -> Artifact:
    manifest = decode(reader.manifest)
    reader.expect([*manifest.objects, SUPPORT])
    if len(manifest.objects) != len({*manifest.kernels, SYMBOL}):
        raise ArtifactError("it does not have an object for each kernel and one for the entry")
    _check_calls(manifest)
    constants = reader.constants(manifest.constants, manifest.tensors)
    images = [reader.part(name, part).tobytes() for name, part in manifest.objects.items()]
    return Artifact(
        target=manifest.target,
        objects=dict(zip([*manifest.kernels, SYMBOL], images, strict=True)),
        support=reader.part(SUPPORT, manifest.support).tobytes(),
        constants=constants,
        inputs=manifest.inputs,
        outputs=manifest.outputs,
        arena_bytes=manifest.arena_bytes,
        steps=manifest.steps,
        model_sha256=manifest.model_sha256,
        calls=manifest.calls,
        work=manifest.work,
    )


def _check_calls(manifest: Manifest) -> None:
    """Raise `ArtifactError` unless the calls are of the kernels and have arguments that exist."""
    below = {
        Place.INPUT: len(manifest.inputs),
        Place.OUTPUT: len(manifest.outputs),
        Place.CONSTANT: len(manifest.tensors),
        Place.ARENA: manifest.arena_bytes + 1,
    }
    for number, call in enumerate(manifest.calls):
        if call.kernel not in manifest.kernels or not call.kernel.isidentifier():
            raise ArtifactError(f"call {number} is of {call.kernel!r}, which is no kernel of it")
        for source in call.args:
            if source.index >= below[source.place]:
                raise ArtifactError(
                    f"call {number} takes an argument from {source.place.value} {source.index}, "
                    "which is not there"
                )
