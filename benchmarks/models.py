"""Exports the benchmark's models to ONNX, with random weights and seeded inputs.

Usage: ``python -m benchmarks.models [FOLDER] [--models resnet18,mlp-batch8] [--force]``

``NAME-batchN`` is the model at batch N and ``bert-tokens256`` BERT over 256 tokens, each exported
anew from its module: exporters write the batch into constants.

Needs torch, torchvision, transformers, onnx, onnxscript and onnxruntime. Nothing is downloaded:
weights are the frameworks' own initialisation under a fixed seed, with the statistics of batch
normalisation moved away from mean 0 and variance 1 so that folding them is observable.
Beside the ``.onnx`` files of a model lies one ``.npz``: its inputs by name, and the outputs of
onnxruntime for them as ``out:NAME``.
"""

import argparse
import gc
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import transformers
from onnx import helper, numpy_helper
from torch import nn

from benchmarks.catalogue import DEFAULT_FOLDER, DYNAMO, EXPORTERS, MODELS, Model, find_model

try:
    import torchvision
except RuntimeError:
    # A torchvision built for another torch cannot load its native operators, and then trips over
    # their missing schemas. No model here calls them, so declaring the schemas is enough.
    _SCHEMAS = torch.library.Library("torchvision", "DEF")
    for _name in ("nms", "qnms"):
        _SCHEMAS.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

SEED = 20
OPSET = 17
AGREEMENT = 1e-4
"""Largest difference between the two exports of a model, relative to the largest output."""


@dataclass(frozen=True)
class Source:
    """A torch module ready for export: its inputs in order, by name, and its output names."""

    module: nn.Module
    inputs: dict[str, torch.Tensor]
    outputs: tuple[str, ...]
    opset: int = OPSET
    keep_batch_norm: bool = False
    batch_axis: int = 0
    token_axis: int | None = None


class Perceptron(nn.Module):
    """A perceptron that ends in probabilities: 784 -> 128 -> 64 -> 10, ReLU between."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.layers(image), dim=-1)


class Encoder(nn.Module):
    """BERT with its two outputs as a plain tuple."""

    def __init__(self, positions: int) -> None:
        super().__init__()
        # "eager" writes attention as matmul, softmax, matmul, which both exporters understand.
        config = transformers.BertConfig(
            attn_implementation="eager", max_position_embeddings=positions
        )
        self.bert = transformers.BertModel(config)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        result = self.bert(input_ids=input_ids, attention_mask=attention_mask)
        return result.last_hidden_state, result.pooler_output


class Recurrent(nn.Module):
    """A two-layer LSTM over ``[steps, batch, features]``, with its states flattened."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(input_size=256, hidden_size=512, num_layers=2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        output, (hidden, cell) = self.lstm(x)
        return output, hidden, cell


def randomise_batch_norm(module: nn.Module) -> None:
    """Means and shifts from N(0, 0.1), variances uniform in [0.5, 1.5], scales in [0.8, 1.2].

    No two tensors are equal then, which exporters would otherwise merge.
    """
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0.0, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
            layer.weight.data.uniform_(0.8, 1.2)
            layer.bias.data.normal_(0.0, 0.1)


def image_network(constructor: Callable[[], nn.Module]) -> Source:
    """A torchvision classifier of 224x224 images."""
    module = constructor()
    randomise_batch_norm(module)
    return Source(module, {"input": torch.randn(1, 3, 224, 224)}, ("output",))


def vision_transformer() -> Source:
    """ViT-B/16. torchvision starts its head at zero, which would make every output zero."""
    source = image_network(lambda: torchvision.models.vit_b_16(weights=None))
    head = source.module.heads.head
    nn.init.normal_(head.weight, std=0.02)
    nn.init.normal_(source.module.class_token, std=0.02)
    return source


def bert(positions: int = 512) -> Source:
    """BERT-base for at most ``positions`` tokens, over 128, the last 16 of them padding."""
    module = Encoder(positions)
    mask = torch.ones(1, 128, dtype=torch.int64)
    mask[:, 112:] = 0
    tokens = torch.randint(0, 30522, (1, 128), dtype=torch.int64)
    inputs = {"input_ids": tokens, "attention_mask": mask}
    return Source(module, inputs, ("last_hidden_state", "pooler_output"), token_axis=1)


def batched_resnet() -> Source:
    """ResNet-18 at batch 10 as exporters of the opset 9 era wrote it, its input named ``0``."""
    module = torchvision.models.resnet18(weights=None)
    randomise_batch_norm(module)
    images = {"0": torch.randn(10, 3, 224, 224)}
    return Source(module, images, ("output",), opset=9, keep_batch_norm=True)


def _zoo(name: str) -> Callable[[], Source]:
    return lambda: image_network(lambda: getattr(torchvision.models, name)(weights=None))


SOURCES: dict[str, Callable[[], Source]] = {
    "resnet18": _zoo("resnet18"),
    "resnet50": _zoo("resnet50"),
    "mobilenet_v2": _zoo("mobilenet_v2"),
    "squeezenet1_1": _zoo("squeezenet1_1"),
    "vgg16": _zoo("vgg16"),
    "vit_b_16": vision_transformer,
    "bert": bert,
    "lstm": lambda: Source(
        Recurrent(), {"input": torch.randn(64, 1, 256)}, ("output", "h_n", "c_n"), batch_axis=1
    ),
    "mlp": lambda: Source(Perceptron(), {"input": torch.randn(1, 784)}, ("output",)),
    "resnet18_batch10": batched_resnet,
}


def repeated(tensor: torch.Tensor, axis: int, extent: int) -> torch.Tensor:
    """``tensor`` over and over along ``axis`` up to ``extent``; no two copies are the same.

    Each is turned by another number of elements, so that mixing up items of a batch shows.
    """
    copies = -(-extent // tensor.shape[axis])
    return torch.cat([tensor.roll(count) for count in range(copies)], axis).narrow(axis, 0, extent)


def build_source(model: Model) -> Source:
    """The module of ``model`` in evaluation mode, with the weights and inputs of its files.

    Raises:
        ValueError: tokens are asked for and the model reads none.
    """
    torch.manual_seed(SEED)
    positions = max(512, model.tokens)
    source = bert(positions) if model.name == "bert" else SOURCES[model.name]()
    source.module.eval()
    inputs = source.inputs
    if model.tokens:
        axis = source.token_axis
        if axis is None:
            raise ValueError(f"{model.stem}: {model.name} reads no tokens")
        inputs = {name: repeated(value, axis, model.tokens) for name, value in inputs.items()}
    if model.batch:
        axis = source.batch_axis
        inputs = {name: repeated(value, axis, model.batch) for name, value in inputs.items()}
    return replace(source, inputs=inputs)


def flatten_through_shape(model: onnx.ModelProto) -> None:
    """Replaces each ``Flatten`` by ``Shape, Gather, Unsqueeze, Concat, Reshape``, in place.

    That chain is what ``x.view(x.size(0), -1)`` used to export as: the batch is read from the
    tensor at run time, and the second extent is -1. Valid for opsets below 13, where the axes of
    ``Unsqueeze`` are an attribute.
    """
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type != "Flatten":
            nodes.append(node)
            continue
        source, result = node.input[0], node.output[0]

        def name(part: str, result: str = result) -> str:
            return f"{result}_{part}"

        def constant(part: str, value: list[int] | int, result: str = result) -> onnx.NodeProto:
            tensor = numpy_helper.from_array(np.array(value, dtype=np.int64))
            return helper.make_node("Constant", [], [f"{result}_{part}"], value=tensor)

        nodes += [
            helper.make_node("Shape", [source], [name("shape")]),
            constant("zero", 0),
            helper.make_node("Gather", [name("shape"), name("zero")], [name("batch")], axis=0),
            helper.make_node("Unsqueeze", [name("batch")], [name("batch_1d")], axes=[0]),
            constant("rest", [-1]),
            helper.make_node(
                "Concat", [name("batch_1d"), name("rest")], [name("new_shape")], axis=0
            ),
            helper.make_node("Reshape", [source, name("new_shape")], [result]),
        ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def rename_inputs(model: onnx.ModelProto, names: dict[str, str]) -> None:
    """Renames the inputs of the graph in place; ``names`` maps old to new."""
    for value in model.graph.input:
        value.name = names.get(value.name, value.name)
    for node in model.graph.node:
        node.input[:] = [names.get(value, value) for value in node.input]


def write_onnx(source: Source, exporter: str, path: Path) -> None:
    """Exports ``source`` to ``path``, one self-contained file."""
    training = torch.onnx.TrainingMode
    arguments = tuple(source.inputs.values())
    # TorchScript refuses names that are numbers, so those are given afterwards.
    spelt = {name: f"input_{name}" if name.isdigit() else name for name in source.inputs}
    names = {"input_names": list(spelt.values()), "output_names": list(source.outputs)}
    # Written under another name first: an interrupted export must not look like a finished one.
    partial = path.with_suffix(".partial")
    if exporter == DYNAMO:
        torch.onnx.export(
            source.module,
            arguments,
            str(partial),
            dynamo=True,
            external_data=False,
            verbose=False,
            **names,
        )
    else:
        torch.onnx.export(
            source.module,
            arguments,
            str(partial),
            dynamo=False,
            opset_version=source.opset,
            training=training.PRESERVE if source.keep_batch_norm else training.EVAL,
            **names,
        )
        if source.opset < 13:
            model = onnx.load(partial)
            flatten_through_shape(model)
            rename_inputs(model, {given: name for name, given in spelt.items()})
            onnx.checker.check_model(model)
            onnx.save(model, partial)
    partial.replace(path)


def run_onnxruntime(path: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs of onnxruntime by name."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def check_agreement(
    path: Path, expected: dict[str, np.ndarray], found: dict[str, np.ndarray]
) -> None:
    """Raises ValueError when two exports of one module do not compute the same."""
    for name, values in expected.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{path.name}: output {name!r} has values that are not finite")
        error = np.abs(found[name] - values).max() / max(np.abs(values).max(), 1e-30)
        if error > AGREEMENT:
            raise ValueError(
                f"{path.name}: output {name!r} is off by {error:.1e} of the largest value, "
                f"{AGREEMENT:.0e} is allowed"
            )


def export(model: Model, folder: Path, exporters: tuple[str, ...]) -> None:
    """Writes ``model`` into ``folder`` by each of ``exporters``, and its reference."""
    # The fast path is one fused native operator, which no exporter can write.
    torch.backends.mha.set_fastpath_enabled(False)
    source = build_source(model)
    inputs = {name: tensor.numpy() for name, tensor in source.inputs.items()}
    expected: dict[str, np.ndarray] = {}
    for exporter in exporters:
        path = model.onnx_path(folder, exporter)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            write_onnx(source, exporter, path)
        found = run_onnxruntime(path, inputs)
        expected = expected or found
        check_agreement(path, expected, found)
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB", flush=True)
    outputs = {f"out:{name}": values for name, values in expected.items()}
    np.savez(model.reference_path(folder), **inputs, **outputs)


def main() -> None:
    """Exports what is missing."""
    parser = argparse.ArgumentParser(description="Export the benchmark's models to ONNX.")
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--models", default=",".join(MODELS), help="names, comma separated")
    parser.add_argument("--exporters", default=",".join(EXPORTERS), help="comma separated")
    parser.add_argument("--force", action="store_true", help="export again what is there")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    try:
        models = [find_model(stem) for stem in options.models.split(",")]
        for model in models:
            wanted = options.exporters.split(",")
            exporters = tuple(name for name in model.exporters if name in wanted)
            if exporters and (options.force or not model.is_exported(options.folder, exporters)):
                export(model, options.folder, exporters)
                gc.collect()
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
