"""Parameters in files: named arrays in the binary form that TVM reads and writes.

A file is, in little-endian numbers: a magic number, a reserved one, how many names, each name with
its length before it, how many arrays, and each array as a record (`relay.runtime.records`).

Nothing is allocated or read before the sizes that a file declares are compared with its length.
"""

import struct
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from relay.runtime.ndarray import NDArray
from relay.runtime.records import LEAST, read_record, write_record
from relay.support.errors import ArtifactError

LIST_MAGIC: Final = 0xF7E58D4F05049CB7
_U64: Final = struct.Struct("<Q")


def save_param_dict(params: Mapping[str, NDArray | npt.NDArray[np.generic]]) -> bytes:
    """`params` as the bytes of a parameter file (Relay: `relay.save_param_dict`)."""
    arrays = [v if isinstance(v, NDArray) else NDArray(v) for v in params.values()]
    parts = [_U64.pack(LIST_MAGIC), _U64.pack(0), _U64.pack(len(params))]
    for name in params:
        encoded = name.encode()
        parts += [_U64.pack(len(encoded)), encoded]
    parts.append(_U64.pack(len(arrays)))
    parts += [write_record(array) for array in arrays]
    return b"".join(parts)


def load_param_dict(data: bytes | bytearray | memoryview) -> dict[str, NDArray]:
    """The parameters in the bytes of a file that `save_param_dict`, or TVM, made.

    Raises `ArtifactError` when they are no such file, end too early, go on after their end, name a
    parameter twice, or hold a type of data that there is none of here.
    """
    reader = _Reader(bytes(data))
    if reader.number("the magic number") != LIST_MAGIC:
        raise ArtifactError("this is no parameter file: it does not begin with its magic number")
    reader.number("the reserved word")
    names: dict[str, None] = {}
    for index in range(reader.count("names", 8)):
        length = reader.number(f"the length of name {index}")
        try:
            name = str(reader.take(length, f"name {index}"), "utf-8")
        except UnicodeDecodeError:
            raise ArtifactError(f"the name of parameter {index} is not UTF-8") from None
        if name in names:
            raise ArtifactError(f"the parameter file names {name!r} twice")
        names[name] = None
    count = reader.count("arrays", LEAST)
    if count != len(names):
        raise ArtifactError(f"the parameter file has {len(names)} names and {count} arrays")
    result = {name: reader.array(f"the parameter {name!r}") for name in names}
    if reader.rest:
        raise ArtifactError(f"the parameter file goes on for {reader.rest} bytes after its end")
    return result


class _Reader:
    """Takes a file apart from its beginning; refuses to go beyond its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def rest(self) -> int:
        """Bytes not yet taken."""
        return len(self._data) - self._at

    def take(self, size: int, what: str) -> memoryview:
        """The next `size` bytes, which are `what`."""
        if size > self.rest:
            raise ArtifactError(
                f"the parameter file ends too early: {what} takes {size} bytes, "
                f"but only {self.rest} are left"
            )
        start = self._at
        self._at += size
        return memoryview(self._data)[start : self._at]

    def number(self, what: str) -> int:
        """The next unsigned number of 64 bits."""
        (value,) = _U64.unpack(self.take(_U64.size, what))
        return int(value)

    def array(self, where: str) -> NDArray:
        """The array whose record is next."""
        found, self._at = read_record(self._data, self._at, where)
        return found

    def count(self, what: str, least: int) -> int:
        """How many `what` follow, each of at least `least` bytes."""
        found = self.number(f"the number of {what}")
        if found > self.rest // least:
            raise ArtifactError(
                f"the parameter file declares {found} {what}, "
                f"but {self.rest} bytes cannot hold that many"
            )
        return found


__all__ = ["load_param_dict", "save_param_dict"]
