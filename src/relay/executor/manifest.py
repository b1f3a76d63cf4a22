"""The manifest of a compiled artefact: what is in it, as JSON, and the reading of it with distrust.

::

    {"format": "relay compiled graph", "version": 1, "relay": "0.1.0",
     "model_sha256": "...",
     "target": {"triple": "x86_64-...", "cpu": "...", "features": ["avx2", ...], ...},
     "inputs": [{"name": "x", "dtype": "float32", "shape": [1, 3]}], "outputs": [...],
     "arena_bytes": 4096, "steps": 2, "kernels": ["fused_dense"],
     "objects": [{"file": "objects/fused_dense.o", "bytes": 1200, "sha256": "..."}],
     "support": {"bytes": 9000, "sha256": "..."},
     "constants": {"bytes": 128, "sha256": "...",
                   "tensors": [{"dtype": "float32", "shape": [3, 4], "offset": 0}]},
     "calls": [{"kernel": "fused_dense", "arguments": ["inputs 0", "constants 0", "outputs 0"],
                "operators": ["nn.dense"], "nodes": ["/fc/Gemm"], "dtype": "float32",
                "flops": 24, "bytes_read": 60, "bytes_written": 16}]}
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from relay import dtypes
from relay.codegen.llvm.calls import Place, Source, Step
from relay.runtime.executable import TensorSpec
from relay.runtime.memory import ALIGNMENT
from relay.runtime.work import Work
from relay.support.errors import ArtifactError
from relay.target import Target

FORMAT = "relay compiled graph"
#: Raised whenever the manifest, the entry point's signature, what kernels call or what Python calls
#: of the support code changes.
VERSION = 3
#: No tensor and no arena is larger than this many bytes.
MAX_BYTES = 1 << 40
_MAX_FLOPS = 1 << 62
_MAX_RANK = 64


@dataclass(frozen=True)
class Stored:
    """A part of the artefact: its size in bytes and the SHA-256 of its contents."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Placed:
    """A constant: its data type, its shape, and its offset in the constants in bytes."""

    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def nbytes(self) -> int:
        """Bytes of the constant."""
        return math.prod(self.shape) * dtypes.itemsize(self.dtype)


@dataclass(frozen=True)
class Manifest:
    """What an artefact says about itself. `objects` are named by their files, the entry last."""

    relay: str
    model_sha256: str
    target: Target
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    arena_bytes: int
    steps: int
    kernels: tuple[str, ...]
    objects: Mapping[str, Stored]
    support: Stored
    constants: Stored
    tensors: tuple[Placed, ...]
    calls: tuple[Step, ...]
    work: tuple[Work, ...]


def encode(manifest: Manifest) -> bytes:
    """`manifest` as JSON."""
    record = {
        "format": FORMAT,
        "version": VERSION,
        "relay": manifest.relay,
        "model_sha256": manifest.model_sha256,
        "target": dataclasses.asdict(manifest.target),
        "inputs": [dataclasses.asdict(s) for s in manifest.inputs],
        "outputs": [dataclasses.asdict(s) for s in manifest.outputs],
        "arena_bytes": manifest.arena_bytes,
        "steps": manifest.steps,
        "kernels": manifest.kernels,
        "objects": [
            {"file": file, **dataclasses.asdict(part)} for file, part in manifest.objects.items()
        ],
        "support": dataclasses.asdict(manifest.support),
        "constants": {
            **dataclasses.asdict(manifest.constants),
            "tensors": [dataclasses.asdict(t) for t in manifest.tensors],
        },
        "calls": [
            {
                "kernel": step.kernel,
                "arguments": [f"{source.place.value} {source.index}" for source in step.args],
                **dataclasses.asdict(work),
            }
            for step, work in zip(manifest.calls, manifest.work, strict=True)
        ],
    }
    return json.dumps(record, indent=1).encode()


def decode(data: bytes) -> Manifest:
    """The manifest in `data`. Raises `ArtifactError` for anything that `encode` does not write."""
    try:
        root = Record(json.loads(data), "the manifest")
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"its manifest is not JSON: {error}") from None
    if root.get("format") != FORMAT:
        raise ArtifactError(f"its manifest is not that of a {FORMAT}")
    version = root.number("version")
    if version != VERSION:
        raise ArtifactError(
            f"it has version {version} of the format, this relay reads version {VERSION}; "
            "compile the model again"
        )
    constants = root.record("constants")
    whole = stored(constants)
    return Manifest(
        relay=root.text("relay"),
        model_sha256=root.text("model_sha256"),
        target=target_of(root.record("target")),
        inputs=specs(root, "inputs"),
        outputs=specs(root, "outputs"),
        arena_bytes=root.number("arena_bytes", MAX_BYTES),
        steps=root.number("steps"),
        kernels=root.texts("kernels"),
        objects={r.text("file"): stored(r) for r in root.records("objects")},
        support=stored(root.record("support")),
        constants=whole,
        tensors=tuple(placed(r, whole.bytes) for r in constants.records("tensors")),
        calls=tuple(map(_call, root.records("calls"))),
        work=tuple(map(_work, root.records("calls"))),
    )


class Record:
    """A JSON object whose fields are asked for by the type they must have."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise ArtifactError(f"{where} is not a JSON object")
        self._fields: dict[str, object] = value
        self.where = where

    def get(self, key: str) -> object:
        """The field `key`, whatever it is."""
        if key not in self._fields:
            raise ArtifactError(f"{self.where} lacks the field {key!r}")
        return self._fields[key]

    def _wrong(self, key: str, expected: str) -> ArtifactError:
        return ArtifactError(f"the field {key!r} of {self.where} is not {expected}")

    def text(self, key: str) -> str:
        """A text."""
        value = self.get(key)
        if not isinstance(value, str):
            raise self._wrong(key, "a text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self.get(key)
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise self._wrong(key, "a list of texts")
        return tuple(value)

    def number(self, key: str, most: int = MAX_BYTES) -> int:
        """An integer from 0 to `most`."""
        value = self.get(key)
        if type(value) is not int or not 0 <= value <= most:
            raise self._wrong(key, f"an integer from 0 to {most}")
        return value

    def numbers(self, key: str, below: int) -> tuple[int, ...]:
        """A list of integers from 0 up to, but not including, `below`."""
        value = self.get(key)
        if not isinstance(value, list) or not all(type(v) is int and 0 <= v < below for v in value):
            raise self._wrong(key, f"a list of integers from 0 to {below - 1}")
        return tuple(value)

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self.get(key)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def shape(self) -> tuple[int, ...]:
        """The field ``shape``: a list of sizes."""
        value = self.get("shape")
        if (
            not isinstance(value, list)
            or len(value) > _MAX_RANK
            or not all(type(v) is int and 0 <= v <= MAX_BYTES for v in value)
        ):
            raise self._wrong("shape", "a list of sizes")
        return tuple(value)

    def dtype(self, known: Sequence[str] = dtypes.NAMES) -> str:
        """The field ``dtype``, which is one of those that are `known`."""
        value = self.text("dtype")
        if value not in known:
            raise self._wrong("dtype", "a data type")
        return value

    def record(self, key: str) -> "Record":
        """A JSON object."""
        return Record(self.get(key), key)

    def records(self, key: str) -> "list[Record]":
        """A list of JSON objects."""
        value = self.get(key)
        if not isinstance(value, list):
            raise self._wrong(key, "a list")
        return [Record(item, f"{key}[{k}]") for k, item in enumerate(value)]


def stored(record: Record) -> Stored:
    """A size and a checksum."""
    return Stored(record.number("bytes"), record.text("sha256"))


def specs(root: Record, key: str) -> tuple[TensorSpec, ...]:
    """The inputs or outputs that the field `key` lists."""
    found = []
    for record in root.records(key):
        spec = TensorSpec(record.text("name"), record.shape(), record.dtype())
        if math.prod(spec.shape) * dtypes.itemsize(spec.dtype) > MAX_BYTES:
            raise ArtifactError(f"{record.where} is declared impossibly large: {spec}")
        found.append(spec)
    return tuple(found)


def placed(record: Record, total: int) -> Placed:
    """A constant that lies within `total` bytes."""
    place = Placed(record.dtype(), record.shape(), record.number("offset"))
    if place.offset % ALIGNMENT:
        raise ArtifactError(f"{record.where} is not at a multiple of {ALIGNMENT} bytes")
    if place.offset + place.nbytes > total:
        raise ArtifactError(
            f"{record.where} goes up to byte {place.offset + place.nbytes} of the constants, "
            f"which have {total}"
        )
    return place


def _call(record: Record) -> Step:
    """A kernel call with its arguments."""
    return Step(record.text("kernel"), tuple(_source(a, record) for a in record.texts("arguments")))


def _source(text: str, record: Record) -> Source:
    place, _, index = text.partition(" ")
    if place not in _PLACES or not (index.isascii() and index.isdigit() and len(index) < 20):
        raise ArtifactError(f"{record.where} has an argument that is none: {text!r}")
    return Source(Place(place), int(index))


_PLACES = frozenset(place.value for place in Place)


def _work(record: Record) -> Work:
    """What a kernel call has to do."""
    return Work(
        record.texts("operators"),
        record.texts("nodes"),
        record.dtype(),
        record.number("flops", _MAX_FLOPS),
        record.number("bytes_read", _MAX_FLOPS),
        record.number("bytes_written", _MAX_FLOPS),
    )


def target_of(record: Record) -> Target:
    """A target."""
    return Target(
        triple=record.text("triple"),
        cpu=record.text("cpu"),
        features=record.texts("features"),
        vector_bytes=record.number("vector_bytes"),
        vector_registers=record.number("vector_registers"),
        l1_bytes=record.number("l1_bytes"),
        l2_bytes=record.number("l2_bytes"),
        cores=record.number("cores"),
    )
