"""Programs of the virtual machine in files, by custom ``model.rlyvm``.

The file is an archive (see `relay.executor.archive`) with the constants of the program and of its
graphs, ``objects/NUMBER.NAME.o``, the object files of graphs, each once, ``support.o``, the code
for threads that these call, ``bytecode.txt``
(`relay.executor.vm.text`), ``program.rly``, a Relay program that holds the data types, the
signatures of the global functions, the graphs that are compiled at run time and the calls on the
host, and a manifest. A constant of text is there as bytes (`relay.runtime.text`)::

    {"format": "relay virtual machine program", "version": 2, "relay": "0.1.0", "target": {...},
     "specialise": true, "bytecode": {"bytes": 300, "sha256": "..."}, "program": {...},
     "support": {"bytes": 9000, "sha256": "..."},
     "objects": [{"file": "objects/0.fused_add.o", "bytes": 1200, "sha256": "..."}],
     "constants": {"bytes": 128, "sha256": "...", "tensors": [...]},
     "values": [{"tensor": 0, "dtype": "float32", "shape": [2, 3]}],
     "graphs": [{"kernels": ["fused_add"], "objects": [0, 1], "constants": [1], "inputs": [...],
                 "outputs": [...], "arena_bytes": 0, "steps": 1, "dynamic": false}]}
"""

import dataclasses
import json
import os
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.executor.archive import (
    SUPPORT,
    Reader,
    Writer,
    mapped,
    object_name,
    relay_version,
    replace,
)
from relay.executor.manifest import (
    MAX_BYTES,
    Record,
    Stored,
    placed,
    specs,
    stored,
    target_of,
)
from relay.runtime.executable import TensorSpec
from relay.support.errors import ArtifactError
from relay.target import Target

KIND: Final = b"relay virtual machine program"
#: Raised whenever the manifest, the bytecode or what graphs call changes.
VERSION: Final = 2
_BYTECODE, _PROGRAM = "bytecode.txt", "program.rly"


@dataclass(frozen=True)
class GraphRecord:
    """A compiled graph. `objects` and `constants` are positions in those of the whole program.

    The objects are those of the `kernels`, then that of the entry point.
    """

    kernels: tuple[str, ...]
    objects: tuple[int, ...]
    constants: tuple[int, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    arena_bytes: int
    steps: int


@dataclass(frozen=True)
class ValueRecord:
    """A constant of the program itself: its position in all constants, what it is, its shape."""

    tensor: int
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ProgramArtifact:
    """A program of the virtual machine as data.

    `graphs` holds None for those that are compiled at run time, which `relay_text` defines.
    `values` are the program's own constants.
    """

    target: Target
    specialise: bool
    bytecode: str
    relay_text: str
    objects: tuple[tuple[str, bytes], ...]
    support: bytes
    constants: tuple[npt.NDArray[np.generic], ...]
    values: tuple[ValueRecord, ...]
    graphs: tuple[GraphRecord | None, ...]


def write(artifact: ProgramArtifact, path: str | os.PathLike[str]) -> None:
    """Write `artifact` to the file `path`, which is replaced as a whole or left as it was.

    Raises `ArtifactError` when `path` cannot be written.
    """
    replace(path, lambda stream: _write(artifact, stream))


def _write(artifact: ProgramArtifact, stream: BinaryIO) -> None:
    with Writer(stream) as writer:
        constants, tensors = writer.constants(artifact.constants)
        objects = []
        for number, (symbol, image) in enumerate(artifact.objects):
            name = object_name(number, symbol)
            objects.append({"file": name, **dataclasses.asdict(writer.add(name, image))})
        bytecode = writer.add(_BYTECODE, artifact.bytecode.encode())
        program = writer.add(_PROGRAM, artifact.relay_text.encode())
        record = {
            "format": KIND.decode(),
            "version": VERSION,
            "relay": relay_version(),
            "target": dataclasses.asdict(artifact.target),
            "specialise": artifact.specialise,
            "bytecode": dataclasses.asdict(bytecode),
            "program": dataclasses.asdict(program),
            "support": dataclasses.asdict(writer.add(SUPPORT, artifact.support)),
            "objects": objects,
            "constants": {
                **dataclasses.asdict(constants),
                "tensors": [dataclasses.asdict(t) for t in tensors],
            },
            "values": [dataclasses.asdict(value) for value in artifact.values],
            "graphs": [_encoded(graph) for graph in artifact.graphs],
        }
        writer.finish(json.dumps(record, indent=1).encode(), KIND)


def _encoded(graph: GraphRecord | None) -> dict[str, object]:
    return {"dynamic": True} if graph is None else {"dynamic": False, **dataclasses.asdict(graph)}


def read(path: str | os.PathLike[str]) -> ProgramArtifact:
    """The program in the file `path`; its constants are read-only maps of the file.

    Raises `ArtifactError` when there is no such file, or it is not one that `write` has written, or
    not complete any more.
    """
    with mapped(path) as data:
        return _read(Reader(data, KIND))


def _read(reader: Reader) -> ProgramArtifact:
    root = _root(reader.manifest)
    files = {r.text("file"): stored(r) for r in root.records("objects")}
    names = {_BYTECODE: "bytecode", _PROGRAM: "program", SUPPORT: "support"}
    parts = {name: stored(root.record(key)) for name, key in names.items()}
    reader.expect([*files, *parts])
    whole = root.record("constants")
    place = stored(whole)
    places = tuple(placed(r, place.bytes) for r in whole.records("tensors"))
    values = tuple(
        ValueRecord(r.number("tensor", len(places) - 1), r.dtype(dtypes.TENSOR_NAMES), r.shape())
        for r in root.records("values")
    )
    return ProgramArtifact(
        target=target_of(root.record("target")),
        specialise=root.flag("specialise"),
        bytecode=_text(reader, _BYTECODE, parts[_BYTECODE]),
        relay_text=_text(reader, _PROGRAM, parts[_PROGRAM]),
        objects=tuple((name, reader.part(name, p).tobytes()) for name, p in files.items()),
        support=reader.part(SUPPORT, parts[SUPPORT]).tobytes(),
        constants=reader.constants(place, places),
        values=values,
        graphs=tuple(_graph(r, len(files), len(places)) for r in root.records("graphs")),
    )


def _root(manifest: bytes) -> Record:
    try:
        root = Record(json.loads(manifest), "the manifest")
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"its manifest is not JSON: {error}") from None
    if root.get("format") != KIND.decode():
        raise ArtifactError(f"its manifest is not that of a {KIND.decode()}")
    version = root.number("version")
    if version != VERSION:
        raise ArtifactError(
            f"it has version {version} of the format, this relay reads version {VERSION}; "
            "compile the program again"
        )
    return root


def _text(reader: Reader, name: str, part: Stored) -> str:
    try:
        return reader.part(name, part).tobytes().decode()
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{name} is no text: {error}") from None


def _graph(record: Record, objects: int, tensors: int) -> GraphRecord | None:
    if record.flag("dynamic"):
        return None
    graph = GraphRecord(
        kernels=record.texts("kernels"),
        objects=record.numbers("objects", objects),
        constants=record.numbers("constants", tensors),
        inputs=specs(record, "inputs"),
        outputs=specs(record, "outputs"),
        arena_bytes=record.number("arena_bytes", MAX_BYTES),
        steps=record.number("steps"),
    )
    if len(graph.objects) != len(graph.kernels) + 1:
        raise ArtifactError(f"{record.where} lacks an object for a kernel or for the entry")
    return graph
