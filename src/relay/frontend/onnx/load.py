"""Reading an ONNX file that nobody vouches for.

A model is data: nothing in it is run, and no file is read but the model itself and data files that
it names inside its own folder. Every declared size is compared with what is there before memory is
taken for it.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO, Final

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from relay import codes
from relay.frontend.onnx.storage import WeightFile
from relay.frontend.onnx.tensors import declared_bytes
from relay.frontend.onnx.wire import BYTES, VARINT, Skeleton, WireError, fields, split
from relay.runtime.ndarray import NDArray
from relay.support.errors import ImportModelError, RelayError

_MAX_FILE = 2**31 - 1
#: All reads of data files together may be this many times as large as the files: weights that are
#: shared are stored once and named several times, but a small file must not fill the memory.
_MAX_SHARING = 4

#: Field number of `onnx.ModelProto` -> wire type.
_MODEL_FIELDS: Final = {
    1: VARINT,
    2: BYTES,
    3: BYTES,
    4: BYTES,
    5: VARINT,
    6: BYTES,
    7: BYTES,
    8: BYTES,
    14: BYTES,
    20: BYTES,
    25: BYTES,
    26: BYTES,
}
#: How files begin that people take for ONNX models.
_KNOWN_BEGINNINGS: Final = (
    (
        b"version https://git-lfs",
        "a Git LFS pointer: the model is not downloaded, try git lfs pull",
    ),
    (b"PK\x03\x04", "a zip archive, such as PyTorch writes: export it with torch.onnx.export"),
    (b"\x89HDF", "an HDF5 file, such as Keras writes: convert it to ONNX first"),
    (b"\x80\x02", "a Python pickle, such as PyTorch writes: export it with torch.onnx.export"),
    (b"<", "a web page or XML"),
    (b"{", "JSON"),
)


@dataclass(frozen=True)
class Loaded:
    """A model of a file. `weights` has initializers by name, whose data `model` then lacks."""

    model: ModelProto
    weights: dict[str, NDArray]


def load(path: str | os.PathLike[str]) -> ModelProto:
    """The ONNX model in the file `path`, with the data of its data files read into it.

    Raises `ImportModelError` when the file is missing, no ONNX model, cut off or damaged, or when
    it names data outside its own folder or of another size than it declares.
    """
    loaded = read(path)
    for tensor in loaded.model.graph.initializer:
        if tensor.name in loaded.weights:
            stored = loaded.weights.pop(tensor.name).numpy()
            tensor.raw_data = stored.astype(stored.dtype.newbyteorder("<"), copy=False).tobytes()
    return loaded.model


def parsed(data: bytes) -> ModelProto:
    """The ONNX model in `data`, which has all of it.

    Raises `ImportModelError` when that is no ONNX model, or damaged.
    """
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise ImportModelError(
            f"{len(data)} bytes are no ONNX model, or a damaged one: {error}"
        ) from None
    if not model.HasField("graph"):
        raise ImportModelError(f"{len(data)} bytes are no ONNX model: there is no graph in them")
    return model


def read(path: str | os.PathLike[str]) -> Loaded:
    """The ONNX model in the file `path`, with its weights beside it; otherwise as `load`."""
    file = Path(path)
    try:
        with _open(file) as stream:
            loaded = _read(file, stream)
    except OSError as error:
        raise ImportModelError(f"{file} cannot be read: {error}") from None
    _DataFiles(file).read_into(loaded.model, loaded.weights)
    return loaded


def _read(file: Path, stream: BinaryIO) -> Loaded:
    """The model and the weights that `file` itself has."""
    size = os.fstat(stream.fileno()).st_size
    _check_framing(file, stream, size)
    skeleton = _skeleton(stream, size)
    model = ModelProto()
    try:
        model.ParseFromString(skeleton.text)
    except DecodeError as error:
        raise ImportModelError(f"{file} is a damaged ONNX file: {error}") from None
    if not model.HasField("graph"):
        raise ImportModelError(f"{file} is not an ONNX model: it has no graph")
    weights: dict[str, NDArray] = {}
    storage = WeightFile(file, stream.fileno())
    for index, (offset, length) in skeleton.data.items():
        tensor = model.graph.initializer[index]
        if tensor.name not in weights and _holds(tensor, length):
            weights[tensor.name] = storage.tensor(tensor, offset)
        else:
            stream.seek(offset)
            tensor.raw_data = stream.read(length)
    return Loaded(model, weights)


def _skeleton(stream: BinaryIO, size: int) -> Skeleton:
    """The model without large weights; whole where it is odd, for the parser to judge."""
    try:
        return split(stream, size)
    except WireError:
        stream.seek(0)
        return Skeleton(stream.read())


def _holds(tensor: TensorProto, length: int) -> bool:
    """Whether `length` bytes of raw data are what `tensor` declares."""
    try:
        return tensor.data_location == TensorProto.DEFAULT and declared_bytes(tensor) == length
    except RelayError:
        return False  # no fault as long as nobody uses it


def _open(file: Path) -> BinaryIO:
    try:
        status = file.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImportModelError(f"{file} is a folder; expected an ONNX file")
        if not stat.S_ISREG(status.st_mode):
            raise ImportModelError(f"{file} is not a regular file; expected an ONNX file")
        if status.st_size == 0:
            raise ImportModelError(f"{file} is empty; expected an ONNX model")
        if status.st_size > _MAX_FILE:
            raise ImportModelError(
                f"{file} has {status.st_size} bytes; an ONNX file has less than 2 GiB, "
                "larger weights go into data files beside it"
            )
        return file.open("rb")
    except FileNotFoundError:
        raise ImportModelError(f"no such file: {file}") from None
    except (OSError, ValueError) as error:
        raise ImportModelError(f"{file} cannot be read: {error}") from None


def _check_framing(file: Path, stream: BinaryIO, size: int) -> None:
    """Tell a file that is cut off from one that never was an ONNX model."""
    start = stream.read(max(len(beginning) for beginning, _ in _KNOWN_BEGINNINGS))
    for beginning, kind in _KNOWN_BEGINNINGS:
        if start.startswith(beginning):
            raise ImportModelError(f"{file} is not an ONNX model; it looks like {kind}")
    seen = False
    try:
        for each in fields(stream, 0, size):
            if seen and each.number > max(_MODEL_FIELDS):
                return  # a field of a later version of the format; the parser decides
            if _MODEL_FIELDS.get(each.number) != each.kind:
                raise WireError(each.start, cut=False)
            if each.stop > size and not seen:
                raise ImportModelError(f"{file} is not an ONNX model")
            if each.stop > size:
                raise ImportModelError(
                    f"{file} is cut off: it has {size} bytes, and a field in it goes up to "
                    f"byte {each.stop}; copy or download it again"
                )
            seen = True
    except WireError as error:
        if error.cut:
            raise ImportModelError(f"{file} is cut off: it ends in the middle of a field") from None
        raise ImportModelError(
            f"{file} is not an ONNX model"
            + (f" (or it is damaged at byte {error.at})" if seen else "")
        ) from None


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Every tensor of `model`, those inside attributes and nested graphs too."""
    graphs: list[GraphProto] = [model.graph]
    nodes: list[NodeProto] = [n for f in model.functions for n in f.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            nodes.extend(graph.node)
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
            continue
        for attribute in nodes.pop().attribute:
            match attribute.type:
                case AttributeProto.TENSOR:
                    yield attribute.t
                case AttributeProto.TENSORS:
                    yield from attribute.tensors
                case AttributeProto.GRAPH:
                    graphs.append(attribute.g)
                case AttributeProto.GRAPHS:
                    graphs.extend(attribute.graphs)


class _DataFiles:
    """The data files beside a model: found, checked and read."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.folder = file.parent
        self.open: dict[Path, WeightFile] = {}
        self.total = 0

    def read_into(self, model: ModelProto, weights: dict[str, NDArray]) -> None:
        """Read what `model` keeps in other files: initializers to `weights`, the rest into it."""
        for tensor in model.graph.initializer:
            if tensor.data_location == TensorProto.EXTERNAL and tensor.name not in weights:
                weights[tensor.name] = self.read(tensor)
                _now_inside(tensor)
        for tensor in _tensors(model):
            if tensor.data_location == TensorProto.EXTERNAL:
                data = self.read(tensor)
                tensor.raw_data = codes.packed(data.numpy(), data.dtype)
                _now_inside(tensor)

    def read(self, tensor: TensorProto) -> NDArray:
        """The value of `tensor`, from the file, offset and length that it names."""
        what = f"{self.file}: the tensor {tensor.name!r}"
        # A text that is not UTF-8 arrives as bytes.
        if not all(
            isinstance(e.key, str) and isinstance(e.value, str) for e in tensor.external_data
        ):
            raise ImportModelError(f"{what} does not say in UTF-8 where its data are")
        entries = {e.key: e.value for e in tensor.external_data}
        location = entries.get("location", "")
        path = self._resolve(location, what)
        size = declared_bytes(tensor)
        offset = _number(entries.get("offset", "0"), "offset", what)
        length = _number(entries["length"], "length", what) if "length" in entries else size
        if length != size:
            raise ImportModelError(
                f"{what} declares the shape {tuple(tensor.dims)}, which is {size} bytes, "
                f"but {length} bytes in {location!r}"
            )
        try:
            return self._read(path, location, offset, tensor, what)
        except OSError as error:
            raise ImportModelError(
                f"{what} is kept in {location!r}, which cannot be read: {error.strerror}"
            ) from None

    def _resolve(self, location: str, what: str) -> Path:
        """The data file, a path that goes down from the model's folder through no link."""
        parts = PurePosixPath(location).parts
        windows = PureWindowsPath(location)
        outside = location.startswith("/") or windows.drive or windows.root or "\\" in location
        if not parts or outside or ".." in parts or "\0" in location:
            raise ImportModelError(
                f"{what} wants to read {location!r}; "
                "data must be in a file inside the folder of the model, named relative to it"
            )
        path = self.folder
        for part in parts:
            path = path / part
            if path.is_symlink():
                raise ImportModelError(
                    f"{what} wants to read {location!r}, which goes through a link ({path}); "
                    "replace the link by the file itself"
                )
        return path

    def _read(
        self, path: Path, location: str, offset: int, tensor: TensorProto, what: str
    ) -> NDArray:
        size = declared_bytes(tensor)
        if path not in self.open:
            self.open[path] = _opened(path, f"{what} wants to read {location!r}")
        storage = self.open[path]
        if offset + size > storage.size:
            raise ImportModelError(
                f"{what} wants bytes {offset} to {offset + size} of {location!r}, "
                f"which has only {storage.size} bytes"
            )
        self.total += size
        if self.total > _MAX_SHARING * sum(s.size for s in self.open.values()):
            raise ImportModelError(
                f"{what}: the tensors of the model name the bytes of {location!r} "
                f"more than {_MAX_SHARING} times over"
            )
        return storage.tensor(tensor, offset)


def _opened(path: Path, what: str) -> WeightFile:
    """The data file `path`; what it is needed for is `what`."""
    # A pipe put there must not block us, nor a link exchanged for the file be followed.
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    flags |= getattr(os, "O_BINARY", 0)
    file = os.open(path, os.O_RDONLY | flags)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise ImportModelError(
                f"{what}, which is a hard link or no regular file; replace it by a plain copy"
            )
        return WeightFile(path, file)
    finally:
        os.close(file)


def _now_inside(tensor: TensorProto) -> None:
    """Forget that the data of `tensor` were in another file."""
    tensor.data_location = TensorProto.DEFAULT
    del tensor.external_data[:]


def _number(text: str, key: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ImportModelError(f"{what} gives the {key} {text!r} of its data; expected a number")
    return int(text)
