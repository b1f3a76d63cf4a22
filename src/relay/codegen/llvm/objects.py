"""The cache of object code on disk.

A file ``<shard>/<key>.o`` in ``${XDG_CACHE_HOME:-~/.cache}/relay/objects`` (``%LOCALAPPDATA%`` on
Windows) holds one object, and whatever its writer puts before it. A shard is a folder with the keys
that begin with the same two digits. The key is the SHA-256 of: the layout
version of this cache, the version of llvmlite, a digest of the code generator's own sources, the
target's triple, CPU, vector width and features, and the text that determines the code: LLVM IR, or
what `relay.lower.record` says of a fused function. A file starts with the digest of its contents; a
file that does not match is ignored and written anew. Files are written under a temporary name and
renamed. When a shard outgrows its part of the bound, the files in it used longest ago go first:
only one shard is looked at every now and then, for a full cache has some 100,000 files.

``RELAY_CACHE=off`` in the environment turns the cache off.
"""

import contextlib
import hashlib
import importlib.metadata
import os
import tempfile
from functools import cache
from pathlib import Path

from relay.target import Target

#: Bytes that the cache may take on disk, and a little more until a shard is looked at.
BOUND = 1 << 30
_SHARDS = 256
_LAYOUT = 3
_DIGEST_BYTES = 32
_SWEEP_EVERY = 64
#: What a file takes at least on most file systems.
_BLOCK = 4096


class _Counter:
    """Files written by this process."""

    written = 0


def directory(kind: str = "objects") -> Path | None:
    """Where objects, or what else is called `kind`, are kept; None where the cache is off."""
    if os.environ.get("RELAY_CACHE", "").lower() in ("off", "0", "no"):
        return None
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".cache") / "relay" / kind


def source_digest(folder: Path, without: frozenset[str] = frozenset()) -> bytes:
    """A digest of the names and contents of all Python sources in `folder`, at any depth.

    Folders directly in it that are called as `without` says do not count.
    """
    digest = hashlib.sha256()
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(
            {*folders} - {"__pycache__", *(without if place == str(folder) else ())}
        )
        for name in sorted(files):
            if name.endswith((".py", ".pyc")):
                path = os.path.join(place, name)
                with open(path, "rb", buffering=0) as file:
                    content = file.read()
                head = f"{os.path.relpath(path, folder)} {len(content)}\n"
                digest.update(head.encode() + content)
    return digest.digest()


@cache
def llvm_version() -> str:
    """The version of llvmlite that is installed, which brings LLVM; it need not be loaded."""
    return importlib.metadata.version("llvmlite")


@cache
def _generator_digest() -> bytes:
    """A digest of the code generator's sources: other code, other objects."""
    return source_digest(Path(__file__).parent)


def cache_key(text: str, target: Target) -> str:
    """The key of the object that `text` determines for `target`."""
    head = (_LAYOUT, llvm_version(), target.triple, target.cpu, target.vector_bytes)
    digest = hashlib.sha256(_generator_digest())
    digest.update(repr((*head, target.features)).encode())
    digest.update(text.encode())
    return digest.hexdigest()


def text_key(text: str) -> str:
    """The key of what depends on `text` alone."""
    return hashlib.sha256(repr((_LAYOUT, text)).encode()).hexdigest()


def object_path(key: str) -> Path | None:
    """The file of the object under `key`; None where the cache is off."""
    folder = directory()
    return None if folder is None else folder / key[:2] / f"{key}.o"


def cache_read(key: str) -> bytes | None:
    """The object under `key`, or None."""
    path = object_path(key)
    if path is None:
        return None
    try:
        data = path.read_bytes()
    except OSError:
        return None
    image = data[_DIGEST_BYTES:]
    if hashlib.sha256(image).digest() != data[:_DIGEST_BYTES]:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return image


def cache_write(key: str, image: bytes) -> None:
    """Keep an object; a cache that cannot be written is no error."""
    path = object_path(key)
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(image).digest() + image)
        Path(name).replace(path)
        _Counter.written += 1
        if _Counter.written % _SWEEP_EVERY == 1:
            sweep(path.parent, BOUND // _SHARDS)
    except OSError:
        return


def sweep(folder: Path, bound: int) -> None:
    """Delete the files used longest ago until those left take at most `bound` bytes on disk."""
    files = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            status = path.stat()
            files.append((status.st_mtime, -(-status.st_size // _BLOCK) * _BLOCK, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= bound:
            break
        with contextlib.suppress(OSError):
            path.unlink()
            total -= size
