"""`tvm.contrib.graph_executor`, which was `graph_runtime` until TVM 0.7."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median, pstdev
from typing import TypeAlias

import numpy.typing as npt

from relay.executor import graph
from relay.executor.graph import GraphFactory
from relay.runtime.device import Device
from relay.runtime.executable import Executable, TensorSpec
from relay.runtime.ndarray import NDArray, SupportsDLPack, array
from relay.runtime.params import load_param_dict
from relay.support.errors import InputError

Value: TypeAlias = npt.ArrayLike | NDArray | SupportsDLPack


@dataclass(frozen=True)
class BenchmarkResult:
    """Seconds that a run took: `results` has one mean of several runs for each repetition."""

    results: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean, in seconds."""
        return mean(self.results)

    @property
    def median(self) -> float:
        """Median, in seconds."""
        return median(self.results)

    @property
    def min(self) -> float:
        """Least, in seconds."""
        return min(self.results)

    @property
    def max(self) -> float:
        """Most, in seconds."""
        return max(self.results)

    @property
    def std(self) -> float:
        """Standard deviation, in seconds."""
        return pstdev(self.results)

    def __str__(self) -> str:
        shown = (self.mean, self.median, self.max, self.min, self.std)
        names = ("mean", "median", "max", "min", "std")
        return "  ".join(f"{n} {v * 1e3:.4f} ms" for n, v in zip(names, shown, strict=True))


def measure(
    run: Callable[[], object],
    number: int = 10,
    repeat: int = 1,
    min_repeat_ms: float | None = 0,
) -> BenchmarkResult:
    """`repeat` times, the mean time of `number` runs, of more until `min_repeat_ms` have gone."""
    run()
    results = []
    for _ in range(repeat):
        runs, start, spent = 0, time.perf_counter(), 0.0
        while runs < number or spent * 1e3 < (min_repeat_ms or 0):
            run()
            runs += 1
            spent = time.perf_counter() - start
        results.append(spent / runs)
    return BenchmarkResult(tuple(results))


class GraphModule(graph.GraphModule):
    """A runnable graph with the interface of all versions of TVM.

    Made of ``lib["default"](device)``. Inputs are copied and converted to the data type of the
    program, and outputs are copies, as with `numpy()` of TVM's arrays; `relay.executor.GraphModule`
    shares memory and is strict.
    """

    def __init__(self, module: "graph.GraphModule | Executable") -> None:
        if isinstance(module, graph.GraphModule):
            super().__init__(module.executable, module.factory)
        else:
            super().__init__(module)
        self._given: dict[str, NDArray] = {}

    @property
    def module(self) -> "GraphModule":
        """This module (TVM: the one in another language behind it)."""
        return self

    def __getitem__(self, name: str) -> Callable[..., object]:
        public = ("run", "set_input", "get_input", "get_output", "get_num_outputs", "load_params")
        if name not in public:
            raise InputError(f"there is no function {name!r}; expected one of {', '.join(public)}")
        found: Callable[..., object] = getattr(self, name)
        return found

    def set_input(
        self,
        key: str | int | Mapping[str, Value] | None = None,
        value: Value | None = None,
        **params: Value,
    ) -> None:
        """Set the input called (or numbered) `key` to a copy of `value`, and more by keyword.

        Raises `InputError` for an unknown name and a wrong shape.
        """
        if isinstance(key, Mapping):
            params = {**key, **params}
        elif key is not None:
            if value is None:
                raise InputError(f"no value is given for input {key!r}")
            self._set(key, value)
        for name, given in params.items():
            self._set(name, given)

    set_input_zero_copy = set_input

    def _set(self, key: str | int, value: Value) -> None:
        spec = self._spec(key)
        given = array(value, spec.dtype)
        self.executable.set_input(key, given)
        self._given[spec.name] = given

    def _spec(self, key: str | int) -> TensorSpec:
        inputs = self.executable.inputs
        for index, spec in enumerate(inputs):
            if key in (index, spec.name):
                return spec
        names = ", ".join(spec.name for spec in inputs) or "none"
        raise InputError(f"there is no input {key!r}; the inputs are: {names}")

    def run(self, **inputs: Value) -> None:
        """Run once, after setting `inputs`. Raises `InputError` when an input is missing."""
        self.set_input(inputs)
        self.executable.run()

    def get_input(self, index: str | int, out: NDArray | None = None) -> NDArray:
        """What the input called (or numbered) `index` is set to."""
        spec = self._spec(index)
        if spec.name not in self._given:
            raise InputError(f"the input {spec.name!r} has no value yet")
        found = self._given[spec.name]
        return found if out is None else out.copyfrom(found)

    def get_output(self, index: int, out: NDArray | None = None) -> NDArray:
        """Result `index` of the last run in `out`, or in new memory: later runs leave it alone."""
        found = super().get_output(index)
        return array(found) if out is None else out.copyfrom(found)

    def get_input_info(self) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
        """Shapes and data types of the inputs, by name."""
        inputs = self.executable.inputs
        return {s.name: s.shape for s in inputs}, {s.name: s.dtype for s in inputs}

    def load_params(self, params_bytes: bytes | bytearray) -> None:
        """Set the inputs of a parameter file; see `relay.runtime.params`."""
        self.set_input(load_param_dict(params_bytes))

    def time_evaluator(
        self,
        func_name: str = "run",
        dev: Device | None = None,
        number: int = 10,
        repeat: int = 1,
        min_repeat_ms: float = 0,
        **_: object,
    ) -> Callable[[], BenchmarkResult]:
        """A function that measures runs; see `measure`."""
        return lambda: measure(self.run, number, repeat, min_repeat_ms)

    def benchmark(
        self,
        device: Device | None = None,
        func_name: str = "run",
        repeat: int = 5,
        number: int = 5,
        min_repeat_ms: float | None = None,
        **_: object,
    ) -> BenchmarkResult:
        """How long a run takes; see `measure`."""
        return measure(self.run, number, repeat, min_repeat_ms)


class Library:
    """A compiled program as TVM's modules show it: ``lib["default"](device)``, `export_library`."""

    graph_json: str

    def __init__(self, factory: GraphFactory, graph_json: str | None = None) -> None:
        self.factory = factory
        self.graph_json = describe(factory) if graph_json is None else graph_json

    def __getitem__(self, name: str) -> Callable[..., GraphModule]:
        create = self.factory[name]
        return lambda *devices: GraphModule(create(devices[0] if devices else Device("cpu")))

    def export_library(self, file_name: str, *_: object, **__: object) -> None:
        """Write the program to the file `file_name`, whatever its ending, for `load_module`."""
        self.factory.export_library(str(file_name))

    save = export_library

    def get_source(self, fmt: str = "") -> str:
        """A description of the program as JSON; machine code has no source."""
        return self.graph_json


class Factory(Library):
    """What `relay.build` gives in all versions of TVM.

    ``lib["default"](device)`` as since 0.7; it also unpacks as ``graph_json, lib, params``, as
    until then. Parameters are constants of the program: `params` is empty.
    """

    def __init__(self, factory: GraphFactory, ir_mod: object = None, name: str = "default") -> None:
        super().__init__(factory)
        self.ir_mod = ir_mod
        self.libmod_name = name
        self._triple = iter((self.graph_json, self, self.params))

    @property
    def params(self) -> dict[str, NDArray]:
        """Nothing: parameters are constants of the program."""
        return {}

    @property
    def lib(self) -> Library:
        """The compiled program."""
        return self

    module = lib

    def get_graph_json(self) -> str:
        """The inputs and outputs as JSON, in the form of TVM's graphs."""
        return self.graph_json

    get_executor_config = get_graph_json

    def get_lib(self) -> Library:
        """The compiled program."""
        return self

    def get_params(self) -> dict[str, NDArray]:
        """Nothing: parameters are constants of the program."""
        return self.params

    def get_devices(self) -> list[str]:
        """The names of the devices that the program runs on."""
        return ["cpu"]

    def __iter__(self) -> "Factory":
        self._triple = iter((self.graph_json, self, self.params))
        return self

    def __next__(self) -> object:
        return next(self._triple)


def describe(factory: GraphFactory) -> str:
    """Inputs and outputs of a program as JSON: the keys of TVM's graphs, with one operator."""
    inputs, outputs = factory.inputs, factory.outputs
    last = len(inputs)
    nodes: list[dict[str, object]] = [
        {"op": "null", "name": spec.name, "inputs": []} for spec in inputs
    ]
    attributes = {"func_name": "main", "num_inputs": str(last), "num_outputs": str(len(outputs))}
    arguments = [[index, 0, 0] for index in range(last)]
    nodes.append({"op": "tvm_op", "name": "main", "attrs": attributes, "inputs": arguments})
    specs = [*inputs, *outputs]
    described = {
        "nodes": nodes,
        "arg_nodes": list(range(last)),
        "heads": [[last, index, 0] for index in range(len(outputs))],
        "attrs": {
            "dltype": ["list_str", [spec.dtype for spec in specs]],
            "shape": ["list_shape", [list(spec.shape) for spec in specs]],
            "storage_id": ["list_int", list(range(len(specs)))],
        },
        "node_row_ptr": [*range(last + 1), last + len(outputs)],
    }
    return json.dumps(described, indent=2)


def create(
    graph_json_str: str,
    libmod: Library,
    device: Device | Sequence[Device] | None = None,
    ctx: Device | None = None,
) -> GraphModule:
    """A module of the program `libmod`, which `graph_json_str` describes; `ctx` is `device`.

    Raises `InputError` when the description is of another program.
    """
    if json.loads(graph_json_str) != json.loads(libmod.graph_json):
        raise InputError("the graph and the library are not of one program")
    where = device if isinstance(device, Device) or device is None else device[0]
    return libmod["default"](where or ctx or Device("cpu"))


__all__ = ["BenchmarkResult", "GraphModule", "create"]
