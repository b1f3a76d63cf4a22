"""Compiled artefacts: a graph's machine code and constants in one file, by custom ``model.rly``.

The file is a zip archive whose members are stored as they are:

- ``constants.bin``: the constants one after the other, each at a multiple of 64 bytes of the file,
  so that a reader maps them into memory and uses them in place;
- ``objects/NUMBER.NAME.o``: an object file for each kernel, and one for the entry point;
- ``manifest.json``: see `relay.executor.manifest`. Its SHA-256 is the comment of the archive.

Nothing in the file is used before its size and checksum are right. Checksums tell damage from
health, not friend from foe: an artefact holds machine code, so load only what you would run.
While a loaded artefact is in use its file must not be changed in place; `write` never does.
"""

import contextlib
import hashlib
import importlib.metadata
import io
import mmap
import os
import re
import secrets
import stat
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.codegen.llvm.entry import SYMBOL
from relay.executor.manifest import Manifest, Placed, Stored, decode, encode
from relay.runtime.executable import TensorSpec
from relay.runtime.memory import ALIGNMENT
from relay.support.errors import ArtifactError
from relay.target import Target

_CONSTANTS = "constants.bin"
_MANIFEST = "manifest.json"
_SEAL = b"relay compiled graph; manifest sha256 "
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
#: The tag of a field of a zip member's header that only fills space, and what it takes at least.
_PADDING_TAG, _PADDING_HEAD = 0xD935, 4
#: What `zipfile` adds to the header of a member that may outgrow 4 GiB.
_ZIP64_FIELD = 20
#: How `zipfile` fails on what is no zip archive, or a damaged one.
_NO_ZIP = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    struct.error,
    NotImplementedError,
    ValueError,
    OverflowError,
    EOFError,
    RuntimeError,
    LookupError,
)


@dataclass(frozen=True)
class Artifact:
    """A compiled graph as data.

    `objects` are object files by symbol: the kernels in order, then the entry point. `model_sha256`
    is the digest of the model's file, or empty. `steps` counts the kernel calls of a run.
    """

    target: Target
    objects: Mapping[str, bytes]
    constants: tuple[npt.NDArray[np.generic], ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    arena_bytes: int
    steps: int
    model_sha256: str = ""


# ---------------------------------------------------------------------- writing


def write(artifact: Artifact, path: str | os.PathLike[str]) -> None:
    """Write `artifact` to the file `path`, which is replaced as a whole or left as it was.

    The same artefact gives the same bytes. Raises `ArtifactError` when `path` cannot be written.
    """
    file = Path(path)
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as stream:
            _write(artifact, stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except OSError as error:
        raise ArtifactError(f"{file} cannot be written: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write(artifact: Artifact, stream: BinaryIO) -> None:
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        constants, tensors = _write_constants(artifact.constants, archive)
        objects = {}
        for number, (name, image) in enumerate(artifact.objects.items()):
            file = f"objects/{number}.{re.sub(r'[^A-Za-z0-9_.]', '_', name)}.o"
            archive.writestr(_member(file), image)
            objects[file] = Stored(len(image), hashlib.sha256(image).hexdigest())
        manifest = encode(
            Manifest(
                relay=relay_version(),
                model_sha256=artifact.model_sha256,
                target=artifact.target,
                inputs=artifact.inputs,
                outputs=artifact.outputs,
                arena_bytes=artifact.arena_bytes,
                steps=artifact.steps,
                kernels=tuple(artifact.objects)[:-1],
                objects=objects,
                constants=constants,
                tensors=tensors,
            )
        )
        archive.writestr(_member(_MANIFEST), manifest)
        archive.comment = _seal(manifest)


def relay_version() -> str:
    """The version of relay that is installed; ``unknown`` when it runs from bare sources."""
    try:
        return importlib.metadata.version("relay-ir")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _seal(manifest: bytes) -> bytes:
    return _SEAL + hashlib.sha256(manifest).hexdigest().encode()


def _member(name: str) -> zipfile.ZipInfo:
    """A member without a date, so that equal artefacts are equal files."""
    return zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))


def _write_constants(
    constants: tuple[npt.NDArray[np.generic], ...], archive: zipfile.ZipFile
) -> tuple[Stored, tuple[Placed, ...]]:
    """Write the member that holds the constants; it comes first in the archive."""
    info = _member(_CONSTANTS)
    head = _LOCAL_HEADER.size + len(_CONSTANTS) + _ZIP64_FIELD + _PADDING_HEAD
    filler = -head % ALIGNMENT
    info.extra = struct.pack("<HH", _PADDING_TAG, filler) + bytes(filler)
    tensors = []
    digest = hashlib.sha256()
    size = 0
    with archive.open(info, "w", force_zip64=True) as stream:

        def put(data: "bytes | memoryview") -> None:
            nonlocal size
            stream.write(data)
            digest.update(data)
            size += len(data)

        for array in constants:
            put(bytes(-size % ALIGNMENT))
            tensors.append(Placed(dtypes.from_numpy(array.dtype), array.shape, size))
            put(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return Stored(size, digest.hexdigest()), tuple(tensors)


# ---------------------------------------------------------------------- reading


def read(path: str | os.PathLike[str]) -> Artifact:
    """The artefact in the file `path`; its constants are read-only maps of the file.

    Raises `ArtifactError` when there is no such file, or it is not one that `write` has written, or
    not complete any more.
    """
    file = Path(path)
    try:
        mapped = _map(file)
        try:
            return _read(mapped)
        except ArtifactError as error:
            raise ArtifactError(f"{file} cannot be used: {error.message}") from None
    except OSError as error:
        raise ArtifactError(f"{file} cannot be read: {error.strerror or error}") from None


def _map(file: Path) -> npt.NDArray[np.uint8]:
    """The bytes of `file`, mapped read-only."""
    try:
        status = file.stat()
    except FileNotFoundError:
        raise ArtifactError(f"no such file: {file}") from None
    except ValueError as error:
        raise ArtifactError(f"{str(file)!r} is no file name: {error}") from None
    if stat.S_ISDIR(status.st_mode):
        raise ArtifactError(f"{file} is a folder; expected a compiled model")
    if not stat.S_ISREG(status.st_mode):
        raise ArtifactError(f"{file} is not a regular file; expected a compiled model")
    if not status.st_size:
        raise ArtifactError(f"{file} is empty; expected a compiled model")
    with file.open("rb") as stream:
        return np.frombuffer(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)


class _Mapped(io.RawIOBase):
    """Mapped bytes as a file for `zipfile`, so that all is read from one version of the file."""

    def __init__(self, data: npt.NDArray[np.uint8]) -> None:
        self._data = data
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._data.size}[whence]
        if start + offset < 0:
            raise OSError("position before the start of the file")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._data.size if size < 0 else self._at + size
        data = self._data[self._at : end].tobytes()
        self._at += len(data)
        return data


def _read(data: npt.NDArray[np.uint8]) -> Artifact:
    try:
        with contextlib.closing(_Mapped(data)) as stream, zipfile.ZipFile(stream) as archive:
            infos, comment = archive.infolist(), archive.comment
    except (*_NO_ZIP, OSError):
        known = data[:4].tobytes() == b"PK\x03\x04"
        raise ArtifactError(
            "it is cut off or damaged: the archive has no readable end"
            if known
            else "it is not a compiled model, which `relay compile` writes"
        ) from None
    if not comment.startswith(_SEAL):
        raise ArtifactError("it is a zip archive, but not a compiled model as relay writes it")
    if len(comment) != len(_seal(b"")):
        raise ArtifactError("it is cut off or damaged: the comment at its end is not complete")
    members = dict(_members(data, infos))
    if _MANIFEST not in members:
        raise ArtifactError(f"it lacks {_MANIFEST}")
    text = members[_MANIFEST].tobytes()
    if comment != _seal(text):
        raise ArtifactError(f"{_MANIFEST} was changed since it was written: its checksum is wrong")
    manifest = decode(text)
    names = {_MANIFEST, _CONSTANTS, *manifest.objects}
    if members.keys() != names or len(infos) != len(names):
        odd = ", ".join(sorted(members.keys() ^ names)) or "a member that is there twice"
        raise ArtifactError(f"its members are not those that the manifest names: {odd}")
    if len(manifest.objects) != len({*manifest.kernels, SYMBOL}):
        raise ArtifactError("it does not have an object for each kernel and one for the entry")
    constants = _checked(members, _CONSTANTS, manifest.constants)
    images = [_checked(members, f, part).tobytes() for f, part in manifest.objects.items()]
    return Artifact(
        target=manifest.target,
        objects=dict(zip([*manifest.kernels, SYMBOL], images, strict=True)),
        constants=tuple(_tensor(constants, place) for place in manifest.tensors),
        inputs=manifest.inputs,
        outputs=manifest.outputs,
        arena_bytes=manifest.arena_bytes,
        steps=manifest.steps,
        model_sha256=manifest.model_sha256,
    )


def _members(
    data: npt.NDArray[np.uint8], infos: list[zipfile.ZipInfo]
) -> Iterator[tuple[str, npt.NDArray[np.uint8]]]:
    """The members of the archive by name, as parts of the mapped file."""
    for info in infos:
        name, at = info.filename, info.header_offset
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise ArtifactError(f"{name!r} is compressed or encrypted: the archive was packed anew")
        if not 0 <= at <= data.size - _LOCAL_HEADER.size:
            raise ArtifactError(f"{name!r} does not lie inside the file: it is cut off or damaged")
        header = _LOCAL_HEADER.unpack(data[at : at + _LOCAL_HEADER.size].tobytes())
        start = at + _LOCAL_HEADER.size + header[-2] + header[-1]
        if header[0] != b"PK\x03\x04" or info.file_size != info.compress_size:
            raise ArtifactError(f"{name!r} has a damaged header")
        if start + info.file_size > data.size:
            raise ArtifactError(
                f"{name!r} goes up to byte {start + info.file_size} of a file of {data.size} bytes"
            )
        yield name, data[start : start + info.file_size]


def _checked(
    members: Mapping[str, npt.NDArray[np.uint8]], name: str, expected: Stored
) -> npt.NDArray[np.uint8]:
    part = members[name]
    if part.size != expected.bytes:
        raise ArtifactError(f"{name} has {part.size} bytes instead of {expected.bytes}")
    if hashlib.sha256(part.data).hexdigest() != expected.sha256:
        raise ArtifactError(f"{name} is damaged: its checksum is wrong")
    return part


def _tensor(constants: npt.NDArray[np.uint8], place: Placed) -> npt.NDArray[np.generic]:
    part = constants[place.offset : place.offset + place.nbytes]
    return part.view(dtypes.to_numpy(place.dtype)).reshape(place.shape)


# ---------------------------------------------------------------------- use


def check_host(target: Target, host: Target) -> None:
    """Raise `ArtifactError` unless code for `target` runs on `host`, saying what is lacking."""
    wanted, found = _platform(target.triple), _platform(host.triple)
    if wanted != found:
        raise ArtifactError(
            f"the model is compiled for {' '.join(wanted)}, this machine is {' '.join(found)}; "
            "compile it again here"
        )
    missing = sorted(set(target.features) - set(host.features))
    if missing:
        raise ArtifactError(
            f"the model is compiled for the CPU {target.cpu}; this one ({host.cpu}) lacks "
            f"{', '.join(missing)}. Compile it again here"
        )


def _platform(triple: str) -> tuple[str, str]:
    """Architecture and operating system, without vendor and version."""
    parts = triple.split("-")
    system = parts[2] if len(parts) > 2 else ""
    return parts[0], re.sub(r"[0-9.]*$", "", system)
