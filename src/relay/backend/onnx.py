"""Relay as a back end in the sense of the ONNX package: `prepare`, `run_model`, `supports_device`.

>>> import relay.backend.onnx as backend  # doctest: +SKIP
>>> outputs = backend.prepare(model).run([x])  # doctest: +SKIP

Models are compiled for the virtual machine; nothing is interpreted. The standard's own tests run
through this module (``onnx.backend.test.BackendTest``).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from onnx import ModelProto, NodeProto, TypeProto, ValueInfoProto, helper
from onnx.backend.base import Backend, BackendRep

from relay.backend.containers import inward, is_open, outward, tensors
from relay.executor.vm import VirtualMachine
from relay.executor.vm import compile as compile_program
from relay.frontend.onnx import from_onnx
from relay.ir.types import Any as Unknown
from relay.ir.types import Dim
from relay.support.errors import InputError

_Shape: TypeAlias = tuple[Dim, ...] | None
#: For so many shapes a model of inputs of unknown rank stays compiled.
_KEPT: Final = 8


class Prepared(BackendRep):
    """A compiled model.

    Where the model does not even say how many dimensions tensors of an input have, it is compiled
    for the arguments of a run.
    """

    def __init__(self, model: ModelProto) -> None:
        self._model = model
        stored = {t.name for t in model.graph.initializer}
        self._inputs = [i for i in model.graph.input if i.name not in stored]
        self._open = [i.name for i in self._inputs if is_open(i.type)]
        self._machines: dict[tuple[_Shape, ...], VirtualMachine] = {}
        if not self._open:
            self._machine(())

    def _machine(self, shapes: "tuple[_Shape, ...]") -> VirtualMachine:
        """The model, compiled for `shapes` of the inputs that need one."""
        found = self._machines.get(shapes)
        if found is None:
            given = dict(zip(self._open, shapes, strict=True))
            module, parameters = from_onnx(self._model, shape=given)
            found = VirtualMachine(compile_program(module, params=parameters))
            while len(self._machines) >= _KEPT:
                del self._machines[next(iter(self._machines))]
            self._machines[shapes] = found
        return found

    def run(self, inputs: Any, **_: Any) -> tuple[Any, ...]:
        """The outputs for `inputs`, in the order of the model or by name.

        Tensors are NumPy arrays (of the types of ``ml_dtypes`` where NumPy has none), sequences
        lists, maps dictionaries, and an optional value that is absent is None. Raises `InputError`
        for inputs that the model does not take.
        """
        named = list(zip(self._inputs, self._arguments(inputs), strict=True))
        machine = self._machine(
            tuple(_shape(value, info.type) for info, value in named if info.name in self._open)
        )
        arguments = [inward(value, info.type, info.name) for info, value in named]
        result = machine.invoke("main", *arguments)
        outputs = self._model.graph.output
        results = result if len(outputs) > 1 else (result,)
        return tuple(outward(v, o.type) for v, o in zip(results, outputs, strict=True))

    def _arguments(self, inputs: Any) -> list[Any]:
        names = [i.name for i in self._inputs]
        if isinstance(inputs, Mapping):
            missing = [n for n in names if n not in inputs]
            if missing:
                raise InputError(f"the inputs {', '.join(missing)} are not given")
            return [inputs[n] for n in names]
        given = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        if len(given) != len(names):
            raise InputError(
                f"the model takes {len(names)} inputs ({', '.join(names)}), found {len(given)}"
            )
        return given


class RelayBackend(Backend):
    """The interface of the ONNX package, as a class; the module's functions are its methods."""

    @classmethod
    def prepare(cls, model: ModelProto, device: str = "CPU", **_: Any) -> Prepared:
        """`model`, compiled. Raises `RelayError` where it cannot be."""
        if not cls.supports_device(device):
            raise InputError(f"there is no device {device!r}; there is CPU")
        return Prepared(model)

    @classmethod
    def run_model(cls, model: ModelProto, inputs: Any, device: str = "CPU", **_: Any) -> Any:
        """The outputs of `model` for `inputs`."""
        return cls.prepare(model, device).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Any = None,  # noqa: ARG003 - the interface of the package onnx
        **_: Any,
    ) -> Any:
        """The outputs of one `node` for `inputs`, which are NumPy arrays, in the newest version."""
        return cls.prepare(_model_of(node, inputs), device).run(inputs)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether models run on `device`, such as ``"CPU"`` or ``"CPU:0"``."""
        return device.partition(":")[0] == "CPU"


def _shape(value: Any, type_: TypeProto) -> _Shape:
    """The shape of the tensors in `value`; None where there are none."""
    if type_.HasField("tensor_type"):
        return tuple(np.shape(value))
    ranks = {np.ndim(tensor) for tensor in tensors(value)}
    if len(ranks) > 1:
        raise InputError(
            f"tensors of one input have to be of one rank, found {', '.join(map(str, ranks))}"
        )
    return (Unknown(),) * ranks.pop() if ranks else None


def _model_of(node: NodeProto, inputs: Sequence[Any]) -> ModelProto:
    names = [name for name in node.input if name]
    graph = helper.make_graph(
        [node],
        node.op_type,
        [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
            for n, v in zip(names, inputs, strict=True)
        ],
        [ValueInfoProto(name=name) for name in node.output],
    )
    return helper.make_model(graph)


prepare = RelayBackend.prepare
run_model = RelayBackend.run_model
run_node = RelayBackend.run_node
supports_device = RelayBackend.supports_device

__all__ = ["Prepared", "RelayBackend", "prepare", "run_model", "run_node", "supports_device"]
