"""A compiled graph at run time: its entry point, its memory, its inputs and outputs."""

import ctypes
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from relay import codes, dtypes
from relay.runtime.memory import ALIGNMENT, aligned_empty, is_aligned
from relay.runtime.ndarray import NDArray, SupportsDLPack, from_dlpack
from relay.runtime.threads import ensure_started
from relay.support.errors import InputError

ArrayLike: TypeAlias = npt.NDArray[np.generic] | NDArray | SupportsDLPack

_MAIN = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)
_PROFILED_MAIN = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 5)


@dataclass(frozen=True)
class TensorSpec:
    """Name, shape and data type of an input or output."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype}[{', '.join(map(str, self.shape))}]"


class Executable:
    """A compiled graph with memory to run in.

    `entry` is the address of ``void main(inputs, outputs, constants, arena)``; the first three are
    arrays of addresses. `constants` are aligned arrays, `arena_bytes` the scratch memory of a run.
    `code` is whatever keeps the code at `entry` alive.

    One instance runs one graph at a time (calls from several threads wait for each other);
    `clone` gives an instance with memory of its own that shares code and constants.
    """

    def __init__(
        self,
        entry: int,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        constants: Sequence[npt.NDArray[np.generic]],
        arena_bytes: int,
        code: object,
    ) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.arena_bytes = arena_bytes
        self._entry = entry
        self._code = code
        self._main = _MAIN(entry)
        self._lock = threading.RLock()
        self._storage = [dtypes.to_numpy(spec.dtype) for spec in self.inputs]
        self._places = {spec.name: index for index, spec in enumerate(self.inputs)}
        self._constants = [c if is_aligned(c) else _aligned_copy(c) for c in constants]
        self._arena = aligned_empty((max(1, arena_bytes),), "uint8")
        self._bound: list[npt.NDArray[np.generic] | None] = [None] * len(self.inputs)
        self._own: list[npt.NDArray[np.generic] | None] = [None] * len(self.inputs)
        #: What `_own` memory holds a copy of, where it is in use.
        self._copied: list[npt.NDArray[np.generic] | None] = [None] * len(self.inputs)
        self._results = [_empty(spec) for spec in self.outputs]
        self._input_addresses = (ctypes.c_void_p * max(1, len(self.inputs)))()
        self._output_addresses = _addresses([r.numpy() for r in self._results])
        constants_table = self._constant_addresses = _addresses(self._constants)
        self._args = (
            ctypes.addressof(self._input_addresses),
            ctypes.addressof(self._output_addresses),
            ctypes.addressof(constants_table),
            self._arena.ctypes.data,
        )
        self._unbound = set(range(len(self.inputs)))

    def clone(self) -> "Executable":
        """Another instance with memory of its own, for running at the same time as this one."""
        return Executable(
            self._entry, self.inputs, self.outputs, self._constants, self.arena_bytes, self._code
        )

    # ------------------------------------------------------------------ inputs

    def set_input(self, key: str | int, value: ArrayLike) -> None:
        """Give an input, by name or number, its value.

        An aligned, contiguous array is used in place: it must stay unchanged until the run, and
        changes made to it later show in the next run. Others are copied.
        Raises `InputError` for an unknown input, a wrong shape or a wrong data type.
        """
        index = self._index(key)
        spec = self.inputs[index]
        array = value if type(value) is np.ndarray else _as_numpy(value, spec)
        if array.dtype.isbuiltin == 2 and array.dtype.name == spec.dtype:
            array, _ = codes.stored_form(array)
        if array.shape != spec.shape or array.dtype != self._storage[index]:
            raise InputError(
                f"input {spec.name!r} expects {spec.dtype}{list(spec.shape)}, "
                f"not {array.dtype}{list(array.shape)}"
            )
        if array is self._bound[index]:
            return  # its memory is known, and cannot move while it is referred to here
        with self._lock:
            own = self._own[index]
            if own is None or array is not self._copied[index]:
                own = self._bind(index, array)
            if own is not None:
                np.copyto(own, array)

    def _bind(self, index: int, array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic] | None:
        """Use the memory of `array` for input `index`, or memory of its own, which is returned."""
        address = array.ctypes.data
        self._unbound.discard(index)
        if address % ALIGNMENT == 0 and array.flags.c_contiguous:
            self._bound[index], self._copied[index] = array, None
            self._input_addresses[index] = address
            return None
        own = self._own[index]
        if own is None:
            own = self._own[index] = aligned_empty(array.shape, self.inputs[index].dtype)
        self._bound[index], self._copied[index] = own, array
        self._input_addresses[index] = own.ctypes.data
        return own

    def _index(self, key: str | int) -> int:
        if isinstance(key, str):
            if key not in self._places:
                names = ", ".join(str(s) for s in self.inputs) or "none"
                raise InputError(f"there is no input {key!r}; the inputs are: {names}")
            return self._places[key]
        if not 0 <= key < len(self.inputs):
            raise InputError(f"there is no input {key}; there are {len(self.inputs)} inputs")
        return key

    # ------------------------------------------------------------------ runs

    def run(self) -> None:
        """Run the graph on the inputs that are set. Raises `InputError` when one is missing."""
        if self._unbound:
            raise self._incomplete()
        ensure_started()
        with self._lock:
            self._main(*self._args)

    def run_profiled(self, entry: int, stamps: npt.NDArray[np.int64]) -> None:
        """Run like `run`, by another entry that writes times to `stamps`.

        `entry` is the address of ``void main(inputs, outputs, constants, arena, stamps)``.
        """
        if self._unbound:
            raise self._incomplete()
        ensure_started()
        with self._lock:
            _PROFILED_MAIN(entry)(*self._args, stamps.ctypes.data)

    def _incomplete(self) -> InputError:
        missing = ", ".join(str(self.inputs[i]) for i in sorted(self._unbound))
        return InputError(f"these inputs have no value yet: {missing}")

    def output(self, index: int) -> NDArray:
        """Output `index` of the last run. The next `run` overwrites it."""
        if not 0 <= index < len(self.outputs):
            raise InputError(f"there is no output {index}; there are {len(self.outputs)} outputs")
        return self._results[index]

    def __call__(self, *values: ArrayLike) -> list[NDArray]:
        """Set all inputs in order, run, and return the outputs in memory of their own."""
        if len(values) != len(self.inputs):
            raise InputError(f"expected {len(self.inputs)} inputs, not {len(values)}")
        with self._lock:
            for index, value in enumerate(values):
                self.set_input(index, value)
            self.run()
            results = self._results
            # The caller keeps these; the next run writes elsewhere.
            self._results = [_empty(spec) for spec in self.outputs]
            for index, fresh in enumerate(self._results):
                self._output_addresses[index] = fresh.numpy().ctypes.data
        return results


def _as_numpy(value: object, spec: TensorSpec) -> npt.NDArray[np.generic]:
    if isinstance(value, np.ndarray | np.generic):
        return np.asarray(value)
    if isinstance(value, NDArray):
        if value.dtype != spec.dtype:
            raise InputError(
                f"input {spec.name!r} expects {spec.dtype}{list(spec.shape)}, "
                f"not {value.dtype}{list(value.shape)}"
            )
        return value.numpy()
    if not isinstance(value, SupportsDLPack):
        raise InputError(
            f"input {spec.name!r} expects an array {spec.dtype}{list(spec.shape)}, not "
            f"a {type(value).__name__}; np.asarray(value, {spec.dtype!r}) makes one"
        )
    return from_dlpack(value).numpy()


def _empty(spec: TensorSpec) -> NDArray:
    return NDArray(aligned_empty(spec.shape, spec.dtype), spec.dtype)


def _aligned_copy(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    copy = aligned_empty(array.shape, dtypes.from_numpy(array.dtype))
    np.copyto(copy, array)
    return copy


def _addresses(arrays: Sequence[npt.NDArray[np.generic]]) -> "ctypes.Array[ctypes.c_void_p]":
    return (ctypes.c_void_p * max(1, len(arrays)))(*[a.ctypes.data for a in arrays])
