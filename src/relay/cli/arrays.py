"""Arrays for a model's inputs: from an ``.npz`` file or random, and outputs to one.

An ``.npz`` file is not trusted: arrays are read only when they are inputs of the model, and only
after their declared shape and type are found to be those of the input. Nothing is unpickled.
"""

import os
import secrets
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from relay import codes, dtypes
from relay.runtime.executable import TensorSpec
from relay.runtime.memory import aligned_empty
from relay.support.errors import InputError

_SUFFIX = ".npy"
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
#: How reading a damaged archive or array fails.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    EOFError,
    SyntaxError,
    LookupError,
    TypeError,
)


def read_arrays(path: Path, specs: Sequence[TensorSpec]) -> dict[str, npt.NDArray[np.generic]]:
    """The inputs in the ``.npz`` file `path`, some or all of `specs`, by name.

    Raises `InputError` for a file that is missing or no ``.npz`` file, for arrays that are no
    inputs, and for wrong shapes and types.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected an .npz file")
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_members(archive, path, specs)
    except FileNotFoundError:
        raise InputError(f"no such file: {path}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except zipfile.BadZipFile:
        raise InputError(
            f"{path} is not an .npz file, or a damaged one; numpy.savez writes them"
        ) from None


def _read_members(
    archive: zipfile.ZipFile, path: Path, specs: Sequence[TensorSpec]
) -> dict[str, npt.NDArray[np.generic]]:
    wanted = {spec.name: spec for spec in specs}
    arrays = {}
    for member in archive.namelist():
        name = member.removesuffix(_SUFFIX)
        spec = wanted.get(name)
        if spec is None:
            known = ", ".join(map(str, specs)) or "none"
            raise InputError(
                f"{path} has an array {name!r}, which is no input; the inputs are: {known}"
            )
        try:
            with archive.open(member) as stream:
                arrays[name] = _read_array(stream, spec, path)
        except _DAMAGED as error:
            raise InputError(f"{path}: the array {name!r} is damaged: {error}") from None
    return arrays


def _read_array(stream: IO[bytes], spec: TensorSpec, path: Path) -> npt.NDArray[np.generic]:
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise InputError(f"{path}: the array {spec.name!r} has version {version} of the format")
    shape, fortran, dtype = _HEADERS[version](stream)
    if dtype.hasobject:
        raise InputError(
            f"{path}: the array {spec.name!r} holds pickled Python objects, which are not read"
        )
    if shape != spec.shape or dtype.newbyteorder("=") != dtypes.to_numpy(spec.dtype):
        raise InputError(
            f"{path}: input {spec.name!r} expects {spec.dtype}{list(spec.shape)}, "
            f"found {dtype}{list(shape)}"
        )
    result = aligned_empty(shape, spec.dtype)
    data = stream.read(result.nbytes)
    if len(data) != result.nbytes or stream.read(1):
        raise ValueError(f"its size is not that of {dtype}{list(shape)}")
    stored = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    np.copyto(result, stored)
    return result


def random_array(spec: TensorSpec, rng: np.random.Generator) -> npt.NDArray[np.generic]:
    """Random data for an input: standard normal floats, integers and booleans 0 or 1."""
    result = aligned_empty(spec.shape, spec.dtype)
    if dtypes.is_float(spec.dtype) and not dtypes.is_native(spec.dtype):
        np.copyto(result, codes.encode(rng.standard_normal(spec.shape, np.float32), spec.dtype))
    elif dtypes.is_float(spec.dtype):
        np.copyto(result, rng.standard_normal(spec.shape, np.float32), casting="unsafe")
    else:
        np.copyto(result, rng.integers(0, 2, spec.shape), casting="unsafe")
    return result


def complete(
    given: Mapping[str, npt.NDArray[np.generic]], specs: Sequence[TensorSpec], seed: int
) -> list[npt.NDArray[np.generic]]:
    """One array for each of `specs`: the one given, or random data that `seed` determines."""
    rng = np.random.default_rng(seed)
    return [given[s.name] if s.name in given else random_array(s, rng) for s in specs]


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
    """Write `arrays` to the ``.npz`` file `path`, replacing it as a whole."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as stream, zipfile.ZipFile(stream, "w") as archive:
            for name, array in arrays.items():
                with archive.open(name + _SUFFIX, "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)
