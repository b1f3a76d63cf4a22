"""The wire format of ONNX files: enough of it to keep the weights out of the parser's hands.

A parsed protocol buffer holds a copy of everything in its file, and every look at the bytes of a
tensor is one more copy. So the data of large initializers are cut out of what is parsed, and are
read from the file once, into the arrays that are used in the end.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
#: Field numbers of what is cut out: ``ModelProto.graph``, ``GraphProto.initializer``,
#: ``TensorProto.raw_data``.
_PATH: Final = (7, 5, 9)
#: Initializers of fewer bytes are left to the parser.
_LARGE: Final = 1 << 12


@dataclass(frozen=True)
class Field:
    """A field of a message: its number and wire type, and where in the file its parts begin.

    `start` is the place of its key, `content` that of its value, `stop` the place after it.
    """

    number: int
    kind: int
    start: int
    content: int
    stop: int


@dataclass
class Skeleton:
    """A model without the data of its large initializers.

    `data` has the place and the length in the file of what was cut out of the initializer with
    that index.
    """

    text: bytes = b""
    data: dict[int, tuple[int, int]] = field(default_factory=dict)


class WireError(Exception):
    """The bytes are no message; `at` is where that shows, `cut` whether they just end too early."""

    def __init__(self, at: int, cut: bool) -> None:
        super().__init__(at, cut)
        self.at = at
        self.cut = cut


def _varint(stream: BinaryIO, end: int) -> int | None:
    """The number at the stream's position; None where the bytes end or are none."""
    value = 0
    for shift in range(0, 70, 7):
        byte = stream.read(1)
        if not byte or stream.tell() > end:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    return None


def fields(stream: BinaryIO, start: int, end: int) -> Iterator[Field]:
    """The fields of the message at `start` to `end`, whose values are not looked into.

    A value that goes beyond the `end` is still given. Raises `WireError` for what is no message.
    """
    at = start
    while at < end:
        stream.seek(at)
        key = _varint(stream, end)
        if key is None or key & 7 not in (VARINT, FIXED64, BYTES, FIXED32):
            raise WireError(at, cut=False)
        content = stream.tell()
        stop = content + (8 if key & 7 == FIXED64 else 4)
        if key & 7 in (VARINT, BYTES):
            number = _varint(stream, end)
            if number is None:
                raise WireError(at, cut=True)
            content = stream.tell()
            stop = content + (number if key & 7 == BYTES else 0)
        yield Field(key >> 3, key & 7, at, content, stop)
        at = stop


def split(stream: BinaryIO, size: int) -> Skeleton:
    """The model in the file of `size` bytes, without the data of large initializers.

    Raises `WireError` where the file is not one well-formed message.
    """
    skeleton = Skeleton()
    skeleton.text = _Splitter(stream, skeleton).message(0, size, 0)
    return skeleton


class _Splitter:
    def __init__(self, stream: BinaryIO, skeleton: Skeleton) -> None:
        self.stream = stream
        self.skeleton = skeleton
        self.initializers = 0

    def message(self, start: int, end: int, depth: int) -> bytes:
        """The message at `start` to `end`, which is `depth` steps down the path."""
        parts: list[bytes] = []
        kept = start
        for each in fields(self.stream, start, end):
            if each.stop > end:
                raise WireError(each.start, cut=True)
            if each.number != _PATH[depth] or each.kind != BYTES:
                continue
            inner = self._cut(each, depth)
            if inner is not None:
                parts += (self._read(kept, each.start), inner)
                kept = each.stop
        parts.append(self._read(kept, end))
        return b"".join(parts)

    def _cut(self, each: Field, depth: int) -> bytes | None:
        """What stands for a field on the path; None where it stays as it is."""
        if depth == len(_PATH) - 1:  # a repeated field: the last one counts
            self.skeleton.data[self.initializers - 1] = each.content, each.stop - each.content
            return b""
        if _PATH[depth] == _PATH[1]:
            self.initializers += 1
            if each.stop - each.content < _LARGE:
                return None
        inner = self.message(each.content, each.stop, depth + 1)
        return _encoded(each.number << 3 | BYTES) + _encoded(len(inner)) + inner

    def _read(self, start: int, end: int) -> bytes:
        self.stream.seek(start)
        return self.stream.read(end - start)


def _encoded(value: int) -> bytes:
    """`value` as a varint."""
    digits = bytearray()
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)
