"""What the benchmark measures: the models by name, and where their files lie.

Kept apart from ``models.py`` so that naming a model does not import torch.
"""

from dataclasses import dataclass
from pathlib import Path

DEFAULT_FOLDER = Path(__file__).resolve().parent / ".cache" / "models"

TORCHSCRIPT = "torchscript"
"""``torch.onnx.export(dynamo=False)``: the exporter that traces through TorchScript."""

DYNAMO = "dynamo"
"""``torch.onnx.export(dynamo=True)``: the exporter built on ``torch.export``."""


@dataclass(frozen=True)
class Model:
    """One model of the suite and the exporters it is written with."""

    name: str
    title: str
    exporters: tuple[str, ...] = (TORCHSCRIPT, DYNAMO)

    def onnx_path(self, folder: Path, exporter: str) -> Path:
        """Where the model as written by ``exporter`` lies."""
        return folder / f"{self.name}.{exporter}.onnx"

    def reference_path(self, folder: Path) -> Path:
        """Seeded inputs by name, and onnxruntime's outputs as ``out:NAME``."""
        return folder / f"{self.name}.npz"

    def is_exported(self, folder: Path) -> bool:
        """Whether every file of the model is there."""
        paths = [self.onnx_path(folder, exporter) for exporter in self.exporters]
        return all(path.is_file() for path in [*paths, self.reference_path(folder)])


BENCHMARKED = (
    Model("resnet18", "ResNet-18, 224x224"),
    Model("resnet50", "ResNet-50, 224x224"),
    Model("mobilenet_v2", "MobileNet v2, 224x224"),
    Model("squeezenet1_1", "SqueezeNet 1.1, 224x224"),
    Model("vgg16", "VGG-16, 224x224"),
    Model("vit_b_16", "ViT-B/16, 224x224"),
    Model("bert", "BERT-base, 128 tokens"),
    Model("lstm", "LSTM, 2 layers 256 to 512, 64 steps"),
    Model("mlp", "MLP 784-128-64-10"),
)
"""The nine models that are timed, all at batch 1."""

EXTRA = (Model("resnet18_batch10", "ResNet-18, batch 10, opset 9", (TORCHSCRIPT,)),)
"""Exported for tests, not timed."""

EXPORTERS = (TORCHSCRIPT, DYNAMO)
MODELS = {model.name: model for model in (*BENCHMARKED, *EXTRA)}
