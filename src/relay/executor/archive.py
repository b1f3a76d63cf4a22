"""What files of compiled programs share: a zip archive, read with distrust.

Members are stored as they are. ``constants.bin``, the first of them, holds constants one after the
other, each at a multiple of 64 bytes of the file, so that a reader maps them into memory and uses
them in place. ``manifest.json``, the last, says what the others are; its SHA-256 is in the comment
of the archive, behind a text that says what kind of file this is.

Nothing in a file is used before its size and checksum are right. Checksums tell damage from health,
not friend from foe. While a file is in use it must not be changed in place; `replace` never does.
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
import sys
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from relay import dtypes
from relay.codegen.llvm.host import host_target
from relay.executor.manifest import Placed, Stored
from relay.runtime import processor
from relay.runtime.memory import ALIGNMENT
from relay.support.errors import ArtifactError
from relay.target import Target, is_aarch64, machine

CONSTANTS: Final = "constants.bin"
MANIFEST: Final = "manifest.json"
#: The object of the support code that the others call: threads and scratch memory.
SUPPORT: Final = "support.o"
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


def relay_version() -> str:
    """The version of relay that is installed; ``unknown`` when it runs from bare sources."""
    try:
        return importlib.metadata.version("relay-ir")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


# ---------------------------------------------------------------------- writing


class Writer:
    """An archive being written: constants first, then members, then the manifest.

    A context manager: the end of the archive is written when it ends.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._archive = zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def constants(
        self, constants: Sequence[npt.NDArray[np.generic]]
    ) -> tuple[Stored, tuple[Placed, ...]]:
        """Write the member that holds the constants."""
        info = _member(CONSTANTS)
        head = _LOCAL_HEADER.size + len(CONSTANTS) + _ZIP64_FIELD + _PADDING_HEAD
        filler = -head % ALIGNMENT
        info.extra = struct.pack("<HH", _PADDING_TAG, filler) + bytes(filler)
        tensors = []
        digest = hashlib.sha256()
        size = 0
        with self._archive.open(info, "w", force_zip64=True) as stream:

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

    def add(self, name: str, data: bytes) -> Stored:
        """Write a member."""
        self._archive.writestr(_member(name), data)
        return Stored(len(data), hashlib.sha256(data).hexdigest())

    def finish(self, manifest: bytes, kind: bytes) -> None:
        """Write the manifest of a file of some `kind`."""
        self._archive.writestr(_member(MANIFEST), manifest)
        self._archive.comment = _seal(manifest, kind)


def object_name(number: int, symbol: str) -> str:
    """The name of the member that holds object file `number`."""
    return f"objects/{number}.{re.sub(r'[^A-Za-z0-9_.]', '_', symbol)}.o"


def _seal(manifest: bytes, kind: bytes) -> bytes:
    return kind + b"; manifest sha256 " + hashlib.sha256(manifest).hexdigest().encode()


def _member(name: str) -> zipfile.ZipInfo:
    """A member without a date, so that equal programs are equal files."""
    return zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))


def replace(path: str | os.PathLike[str], write: Callable[[BinaryIO], None]) -> None:
    """Have the file `path` written by `write`; it is replaced as a whole or left as it was.

    Raises `ArtifactError` when `path` cannot be written.
    """
    file = Path(path)
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except OSError as error:
        raise ArtifactError(f"{file} cannot be written: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


# ---------------------------------------------------------------------- reading


class Reader:
    """The members of an archive of some `kind`, as parts of a mapped file; `manifest` is one.

    Raises `ArtifactError` for what is no such archive, and what is cut off or changed.
    """

    def __init__(self, data: npt.NDArray[np.uint8], kind: bytes) -> None:
        infos, comment = _directory(data)
        if not comment.startswith(kind + b";"):
            raise ArtifactError("it is a zip archive, but not a compiled model as relay writes it")
        if len(comment) != len(_seal(b"", kind)):
            raise ArtifactError("it is cut off or damaged: the comment at its end is not complete")
        self._members = dict(_members(data, infos))
        self._count = len(infos)
        if MANIFEST not in self._members:
            raise ArtifactError(f"it lacks {MANIFEST}")
        self.manifest = self._members[MANIFEST].tobytes()
        if comment != _seal(self.manifest, kind):
            raise ArtifactError(
                f"{MANIFEST} was changed since it was written: its checksum is wrong"
            )

    def expect(self, names: Collection[str]) -> None:
        """Raise `ArtifactError` unless the members are `names`, constants and the manifest."""
        expected = {MANIFEST, CONSTANTS, *names}
        if self._members.keys() != expected or self._count != len(expected):
            odd = ", ".join(sorted(self._members.keys() ^ expected))
            odd = odd or "a member that is there twice"
            raise ArtifactError(f"its members are not those that the manifest names: {odd}")

    def part(self, name: str, expected: Stored) -> npt.NDArray[np.uint8]:
        """The member `name`, which has to be as `expected`."""
        part = self._members[name]
        if part.size != expected.bytes:
            raise ArtifactError(f"{name} has {part.size} bytes instead of {expected.bytes}")
        if hashlib.sha256(part.data).hexdigest() != expected.sha256:
            raise ArtifactError(f"{name} is damaged: its checksum is wrong")
        return part

    def constants(
        self, expected: Stored, places: Sequence[Placed]
    ) -> tuple[npt.NDArray[np.generic], ...]:
        """The constants at `places`, as read-only parts of the file."""
        whole = self.part(CONSTANTS, expected)
        return tuple(
            whole[p.offset : p.offset + p.nbytes].view(dtypes.to_numpy(p.dtype)).reshape(p.shape)
            for p in places
        )


@contextlib.contextmanager
def mapped(path: str | os.PathLike[str]) -> Iterator[npt.NDArray[np.uint8]]:
    """The bytes of the file `path`, mapped read-only; errors within name the file.

    Raises `ArtifactError` when there is no such file, or it is none that can be read.
    """
    file = Path(path)
    try:
        data = _map(file)
        try:
            yield data
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


def _directory(data: npt.NDArray[np.uint8]) -> tuple[list[zipfile.ZipInfo], bytes]:
    """What the end of the archive says: its members, and its comment."""
    try:
        with contextlib.closing(_Mapped(data)) as stream, zipfile.ZipFile(stream) as archive:
            return archive.infolist(), archive.comment
    except (*_NO_ZIP, OSError):
        known = data[:4].tobytes() == b"PK\x03\x04"
        raise ArtifactError(
            "it is cut off or damaged: the archive has no readable end"
            if known
            else "it is not a compiled model, which `relay compile` writes"
        ) from None


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


# ---------------------------------------------------------------------- use


def check_runs_here(target: Target) -> None:
    """Raise `ArtifactError` unless code for `target` runs on this machine, saying what is lacking.

    LLVM, which knows all features, is asked only where the CPU itself does not tell enough.
    """
    same = _platform(target.triple) == (machine(), sys.platform)
    if not (same and processor.features().issuperset(target.features)):
        check_host(target, host_target())


def check_host(target: Target, host: Target) -> None:
    """Raise `ArtifactError` unless code for `target` runs on `host`, saying what is lacking."""
    reason = obstacle(target, host)
    if reason is not None:
        raise ArtifactError(f"the model is compiled for {reason}. Compile it again here")


def obstacle(target: Target, host: Target) -> str | None:
    """What code for `target` needs and `host` is or lacks; None where it runs there."""
    wanted, found = _platform(target.triple), _platform(host.triple)
    if wanted != found:
        return f"{' '.join(wanted)}, this machine is {' '.join(found)}"
    missing = sorted(set(target.features) - set(host.features))
    if missing:
        return f"the CPU {target.cpu}; this one ({host.cpu}) lacks {', '.join(missing)}"
    return None


def _platform(triple: str) -> tuple[str, str]:
    """Architecture and operating system, without vendor and version."""
    parts = triple.split("-")
    system = parts[2] if len(parts) > 2 else ""
    architecture = "aarch64" if is_aarch64(triple) else parts[0]
    return architecture, re.sub(r"[0-9.]*$", "", system)
