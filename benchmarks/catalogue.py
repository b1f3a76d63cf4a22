"""What the benchmark measures: the models by name and size, and where their files lie.

Kept apart from ``models.py`` so that naming a model does not import torch.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

DEFAULT_FOLDER = Path(__file__).resolve().parent / ".cache" / "models"

TORCHSCRIPT = "torchscript"
"""``torch.onnx.export(dynamo=False)``: the exporter that traces through TorchScript."""

DYNAMO = "dynamo"
"""``torch.onnx.export(dynamo=True)``: the exporter built on ``torch.export``."""

EXPORTERS = (TORCHSCRIPT, DYNAMO)


@dataclass(frozen=True)
class Model:
    """One model of the suite at one size. A `batch` or `tokens` of 0 is the size it has anyway."""

    name: str
    title: str
    exporters: tuple[str, ...] = EXPORTERS
    batch: int = 0
    tokens: int = 0

    @property
    def stem(self) -> str:
        """How its files are called: ``bert``, ``resnet18-batch8``, ``bert-tokens512``."""
        batch = f"-batch{self.batch}" if self.batch else ""
        return self.name + batch + (f"-tokens{self.tokens}" if self.tokens else "")

    def onnx_path(self, folder: Path, exporter: str) -> Path:
        """Where the model as written by ``exporter`` lies."""
        return folder / f"{self.stem}.{exporter}.onnx"

    def reference_path(self, folder: Path) -> Path:
        """Seeded inputs by name, and onnxruntime's outputs as ``out:NAME``."""
        return folder / f"{self.stem}.npz"

    def is_exported(self, folder: Path, exporters: tuple[str, ...]) -> bool:
        """Whether the reference is there, and the model as each of ``exporters`` writes it."""
        paths = [self.onnx_path(folder, exporter) for exporter in exporters]
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
"""The nine models that are timed."""

EXTRA = (Model("resnet18_batch10", "ResNet-18, batch 10, opset 9", (TORCHSCRIPT,)),)
"""Exported for tests, not timed."""

MODELS = {model.name: model for model in (*BENCHMARKED, *EXTRA)}

_STEM = re.compile(r"(?P<name>\w+?)(-batch(?P<batch>[1-9]\d*))?(-tokens(?P<tokens>[1-9]\d*))?")


def find_model(stem: str) -> Model:
    """The model whose files are called ``stem``.

    Raises:
        ValueError: there is none.
    """
    match = _STEM.fullmatch(stem)
    if match is None or match["name"] not in MODELS:
        raise ValueError(
            f"no model is called {stem!r}; there are {', '.join(MODELS)}, each with -batchN and "
            "bert with -tokensN behind its name, if that is wanted"
        )
    sizes = {"batch": int(match["batch"] or 0), "tokens": int(match["tokens"] or 0)}
    return replace(MODELS[match["name"]], **sizes)
