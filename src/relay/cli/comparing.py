"""Values of a model's nodes, computed here and by another engine, and where they part."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from relay.cli import peers
from relay.cli.arrays import complete, read_arrays
from relay.cli.difference import Gap, gap
from relay.cli.progress import Stages
from relay.executor.build import build
from relay.executor.graph import GraphFactory
from relay.frontend.onnx import from_onnx, load
from relay.frontend.onnx.attributes import describe
from relay.frontend.onnx.structure import graphs_in, label, names_read
from relay.ir.expr import Call
from relay.ir.module import IRModule
from relay.ir.types import TensorType
from relay.ir.visit import post_order
from relay.runtime.device import cpu
from relay.runtime.threads import get_num_threads
from relay.support.errors import InputError, UnsupportedError
from relay.transform.base import PassContext

_Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Difference:
    """A value that differs, the node that makes it, and what that became here."""

    value: str
    node: str
    gap: Gap
    expressions: tuple[str, ...]
    kernels: tuple[str, ...]


class Comparison:
    """A model, run here and by another engine on the same inputs."""

    def __init__(
        self,
        path: Path,
        engine: str,
        shapes: Mapping[str, tuple[int, ...]],
        input_file: Path | None,
        seed: int,
        opt_level: int,
        tolerance: float,
        stages: Stages,
    ) -> None:
        self._model = load(path)
        self._engine = engine
        self._peer = peers.find(engine)
        self._shapes = dict(shapes)
        self._level = opt_level
        self._tolerance = tolerance
        self._stages = stages
        factory = self._built(self._model)[1]
        given = read_arrays(input_file, factory.inputs) if input_file else {}
        values = complete(given, factory.inputs, seed)
        self._inputs = dict(zip([spec.name for spec in factory.inputs], values, strict=True))
        self._gaps = self._compared(self._model)[0]

    @property
    def agrees(self) -> bool:
        """Whether all outputs are within the tolerance."""
        return all(self._within(each) for each in self._gaps.values())

    def outputs(self) -> dict[str, Gap]:
        """How far each output is from the other engine's."""
        return self._gaps

    def first_difference(self) -> Difference | None:
        """The first value, in the order of the nodes, that differs; all of them are kept for it.

        None where keeping them makes the difference go away.
        """
        tapped = onnx.ModelProto()
        tapped.CopyFrom(self._model)
        names = _tensors(tapped)
        del tapped.graph.output[:]
        tapped.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        gaps, module, factory = self._compared(tapped)
        for index, node in enumerate(tapped.graph.node):
            for name in node.output:
                if name in gaps and not self._within(gaps[name]):
                    shown = describe(node.name, node.op_type, node.output)
                    found = _expressions(module, index)
                    kernels = _kernels(factory, label(node))
                    return Difference(name, shown, gaps[name], found, kernels)
        return None

    def _within(self, found: Gap) -> bool:
        return found.relative <= self._tolerance

    def _built(self, model: onnx.ModelProto) -> tuple[IRModule, GraphFactory]:
        with self._stages.stage("compile", "compiling"):
            module, _ = from_onnx(model, shape=self._shapes)
            with PassContext(opt_level=self._level):
                return module, build(module)

    def _compared(self, model: onnx.ModelProto) -> tuple[dict[str, Gap], IRModule, GraphFactory]:
        module, factory = self._built(model)
        executor = factory.create(cpu())
        for name, value in self._inputs.items():
            executor.set_input(name, value)
        executor.run()
        names = [o.name for o in model.graph.output]
        ours = [executor.get_output(k).typed() for k in range(len(names))]
        theirs = self._run_there(model)
        pairs = zip(names, ours, theirs, strict=True)
        return {name: gap(a, b) for name, a, b in pairs}, module, factory

    def _run_there(self, model: onnx.ModelProto) -> list[_Array]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            try:
                onnx.save(model, path)
            except ValueError:  # more than a protocol buffer may hold
                onnx.save(model, path, save_as_external_data=True)
            with self._stages.stage("run", f"running {self._engine}"):
                try:
                    session = self._peer.load(path, self._inputs, get_num_threads())
                    return [np.array(a) for a in session.run()]
                except Exception as error:
                    # Engines raise exceptions of their own; all mean that it does not run there.
                    raise InputError(f"{self._engine} cannot run the model: {error}") from error


def _tensors(model: onnx.ModelProto) -> list[str]:
    """The names of the tensors that nodes make and somebody uses, in the order of the nodes."""
    used = {o.name for o in model.graph.output}
    for node in model.graph.node:
        if graphs_in(node):
            raise UnsupportedError(
                f"{describe(node.name, node.op_type, node.output)} has graphs inside: "
                "its values cannot be told one by one"
            )
        used.update(names_read(node))
    return [name for node in model.graph.node for name in node.output if name in used]


def _expressions(module: IRModule, index: int) -> tuple[str, ...]:
    """The calls that node number `index` of the model became, with their types."""
    found = []
    for node in post_order(module["main"]):
        if isinstance(node, Call) and node.span is not None and node.span.line == index + 1:
            shown = ", ".join(
                str(a.checked_type) if isinstance(a.checked_type, TensorType) else "(..)"
                for a in node.args
            )
            found.append(f"{node.op}({shown}) -> {node.checked_type}")
    return tuple(found)


def _kernels(factory: GraphFactory, node: str) -> tuple[str, ...]:
    """The kernels that work for `node`, with the other nodes they work for."""
    found = []
    for step, work in zip(factory.calls, factory.work, strict=True):
        if node in work.nodes:
            others = [n for n in work.nodes if n != node]
            more = f", also for {', '.join(others[:6])}" if others else ""
            found.append(f"{step.kernel} ({', '.join(work.operators)}){more}")
    return tuple(dict.fromkeys(found))


__all__ = ["Comparison", "Difference"]
