"""Networks as PyTorch exports them, with open sizes: what they give here and in onnxruntime.

``python tools/exported.py [--exporter dynamo|torchscript] [--fused] [--keep DIR] [NAME ...]``

The networks are small ones of architectures that the package transformers defines, with random
weights. Each is exported once, imported with its open sizes, and run by the virtual machine for
three batch sizes and lengths. With ``--fused`` onnxruntime's tool for transformers first puts
operators of ``com.microsoft`` into the model. Needs torch, transformers, onnxscript and
onnxruntime. What these cannot export is counted apart; the exit status is 1 where a network cannot
be imported, fails, or differs.
"""

import contextlib
import io
import logging
import os
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from onnxruntime.transformers.optimizer import optimize_model

import relay
from relay import vm
from relay.support.errors import RelayError

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# The package torchvision, which transformers imports where it is there, has no build for CPUs.
for _operator in ("nms", "qnms"):
    torch.library.define(
        f"torchvision::{_operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    )
import transformers  # noqa: E402  (after these are declared)

Array = npt.NDArray[Any]
Tensors = dict[str, torch.Tensor]
#: Results may be so far apart, relative to the largest element.
TOLERANCE: Final = 1e-4
#: Batch sizes and lengths that are tried; the first is what is exported.
SIZES: Final = ((2, 7), (1, 7), (3, 12))
_WORDS: Final = 99
_SMALL: Final = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
_TEXT: Final = {**_SMALL, "vocab_size": _WORDS}
_DECODER: Final = {**_TEXT, "num_key_value_heads": 2, "use_cache": False}
_PATCHES: Final = {**_SMALL, "image_size": 32, "patch_size": 8}


def _words(batch: int, length: int) -> Tensors:
    mask = torch.ones(batch, length, dtype=torch.long)
    return {"input_ids": torch.randint(0, _WORDS, (batch, length)), "attention_mask": mask}


def _words_twice(batch: int, length: int) -> Tensors:
    before, after = (torch.randint(0, _WORDS, (batch, n)) for n in (length, 5))
    return {"input_ids": before, "decoder_input_ids": after}


def _pixels(size: int) -> Callable[[int, int], Tensors]:
    return lambda batch, _: {"pixel_values": torch.randn(batch, 3, size, size)}


def _pixels_of_any_size(batch: int, length: int) -> Tensors:
    return {"pixel_values": torch.randn(batch, 3, 8 * length, 8 * length)}


@dataclass(frozen=True)
class Network:
    """A class of transformers, options of its configuration, and inputs by batch and length.

    `opens` are the axes of each input that stay open, and `kind` is what onnxruntime's tool calls
    such networks, where it knows them.
    """

    model: str
    config: str
    options: Mapping[str, Any]
    inputs: Callable[[int, int], Tensors] = _words
    opens: Mapping[str, Sequence[int]] = field(
        default_factory=lambda: {"input_ids": (0, 1), "attention_mask": (0, 1)}
    )
    kind: str | None = None

    def make(self, eager: bool) -> torch.nn.Module:
        """The network with random weights; `eager` writes attention out, for the fusing tool."""
        torch.manual_seed(0)
        config = getattr(transformers, self.config)(**self.options)
        if eager:
            config._attn_implementation = "eager"
        network: torch.nn.Module = getattr(transformers, self.model)(config)
        return network.eval()


def _of_images(
    name: str,
    options: Mapping[str, Any],
    size: int,
    kind: str | None = "vit",
    suffix: str = "Model",
) -> Network:
    opens = {"pixel_values": (0,)}
    return Network(f"{name}{suffix}", f"{name}Config", options, _pixels(size), opens, kind)


_GPT2: Final = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": _WORDS, "use_cache": False}
_T5: Final = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
_STAGES: Final = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}
NETWORKS: Final = {
    "bert": Network("BertModel", "BertConfig", _TEXT, kind="bert"),
    "roberta": Network("RobertaModel", "RobertaConfig", _TEXT, kind="bert"),
    "distilbert": Network(
        "DistilBertModel",
        "DistilBertConfig",
        {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "vocab_size": _WORDS},
        kind="bert",
    ),
    "albert": Network("AlbertModel", "AlbertConfig", {**_TEXT, "embedding_size": 16}, kind="bert"),
    "electra": Network("ElectraModel", "ElectraConfig", _TEXT, kind="bert"),
    "mpnet": Network("MPNetModel", "MPNetConfig", _TEXT, kind="bert"),
    "deberta": Network(
        "DebertaV2Model",
        "DebertaV2Config",
        {
            **_TEXT,
            "relative_attention": True,
            "position_buckets": 8,
            "pos_att_type": ["p2c", "c2p"],
        },
    ),
    "gpt2": Network("GPT2LMHeadModel", "GPT2Config", _GPT2, kind="gpt2"),
    "bloom": Network(
        "BloomModel",
        "BloomConfig",
        {"hidden_size": 32, "n_layer": 2, "n_head": 4, "vocab_size": _WORDS, "use_cache": False},
    ),
    "opt": Network(
        "OPTForCausalLM",
        "OPTConfig",
        {**_TEXT, "ffn_dim": 64, "word_embed_proj_dim": 32, "use_cache": False},
        kind="gpt2",
    ),
    "llama": Network("LlamaForCausalLM", "LlamaConfig", _DECODER, kind="gpt_neox"),
    "mistral": Network(
        "MistralForCausalLM", "MistralConfig", {**_DECODER, "sliding_window": 8}, kind="gpt_neox"
    ),
    "qwen2": Network("Qwen2ForCausalLM", "Qwen2Config", _DECODER, kind="gpt_neox"),
    "gemma": Network("GemmaForCausalLM", "GemmaConfig", {**_DECODER, "head_dim": 8}),
    "phi": Network("PhiForCausalLM", "PhiConfig", {**_TEXT, "use_cache": False}),
    "t5-encoder": Network("T5EncoderModel", "T5Config", {**_T5, "vocab_size": _WORDS}, kind="t5"),
    "t5": Network(
        "T5ForConditionalGeneration",
        "T5Config",
        {**_T5, "vocab_size": _WORDS, "use_cache": False},
        _words_twice,
        {"input_ids": (0, 1), "decoder_input_ids": (0,)},
        "t5",
    ),
    "clip-text": Network(
        "CLIPTextModel",
        "CLIPTextConfig",
        {**_TEXT, "eos_token_id": _WORDS - 1, "bos_token_id": _WORDS - 2},
        kind="clip",
    ),
    "clip-vision": Network(
        "CLIPVisionModel",
        "CLIPVisionConfig",
        _PATCHES,
        _pixels(32),
        {"pixel_values": (0,)},
        "clip",
    ),
    "vit": _of_images("ViT", _PATCHES, 32),
    "deit": _of_images("DeiT", _PATCHES, 32),
    "swin": _of_images(
        "Swin",
        {
            "image_size": 32,
            "patch_size": 2,
            "embed_dim": 16,
            "depths": [2, 2],
            "num_heads": [2, 4],
            "window_size": 4,
        },
        32,
    ),
    "convnext": _of_images("ConvNext", _STAGES, 64),
    "segformer": _of_images(
        "Segformer",
        {**_STAGES, "decoder_hidden_size": 16},
        64,
        suffix="ForSemanticSegmentation",
    ),
    "resnet": Network(
        "ResNetModel",
        "ResNetConfig",
        {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
        _pixels_of_any_size,
        {"pixel_values": (0, 2, 3)},
    ),
    "wav2vec2": Network(
        "Wav2Vec2Model",
        "Wav2Vec2Config",
        {
            **_SMALL,
            "conv_dim": [8, 8, 8],
            "conv_kernel": [10, 3, 3],
            "conv_stride": [5, 2, 2],
            "num_feat_extract_layers": 3,
            "num_conv_pos_embeddings": 8,
            "num_conv_pos_embedding_groups": 2,
        },
        lambda batch, length: {"input_values": torch.randn(batch, 100 * length)},
        {"input_values": (0, 1)},
    ),
}


class _First(torch.nn.Module):
    """The first two tensors that a network gives, for arguments in order."""

    def __init__(self, network: torch.nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.names = names

    def forward(self, *arguments: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = self.network(**dict(zip(self.names, arguments, strict=True)))
        return tuple(v for v in found.values() if isinstance(v, torch.Tensor))[:2]


def export(network: Network, path: Path, dynamo: bool, eager: bool) -> None:
    """Write `network` to an ONNX file, by either exporter of PyTorch."""
    given = network.inputs(*SIZES[0])
    names, arguments = list(given), tuple(given.values())
    module = _First(network.make(eager), names).eval()
    quiet = io.StringIO()
    with torch.no_grad(), contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        if dynamo:
            axes = tuple(
                dict.fromkeys(network.opens.get(n, ()), torch.export.Dim.DYNAMIC) for n in names
            )
            torch.onnx.export(
                module,
                arguments,
                path,
                dynamo=True,
                dynamic_shapes=(axes,),
                input_names=names,
                external_data=False,
            )
        else:
            named = {n: {k: f"{n}_{k}" for k in axes} for n, axes in network.opens.items()}
            for axes in named.values():
                axes[0] = "batch"
            torch.onnx.export(
                module, arguments, path, dynamo=False, input_names=names, dynamic_axes=named
            )


def fuse(network: Network, path: Path) -> None:
    """Let onnxruntime's tool put its own operators into the model at `path`."""
    found = optimize_model(
        str(path), model_type=network.kind, num_heads=4, hidden_size=32, opt_level=0
    )
    found.save_model_to_file(str(path))


def difference(network: Network, path: Path) -> float:
    """How far the results are apart at most, relative to the largest element of each."""
    module, params = relay.frontend.from_onnx(path)
    machine = vm.VirtualMachine(vm.compile(module, params=params))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    types = {i.name: i.type for i in session.get_inputs()}
    worst = 0.0
    for batch, length in SIZES:
        given: dict[str, Array] = {k: v.numpy() for k, v in network.inputs(batch, length).items()}
        for name, type_ in types.items():
            if type_ == "tensor(int32)":
                given[name] = given[name].astype(np.int32)
        expected = session.run(None, {name: given[name] for name in types})
        result = machine.invoke("main", **{name: given[name] for name in types})
        found = result if isinstance(result, tuple | list) else (result,)
        for ours, theirs in zip(found, expected, strict=True):
            if ours.shape != theirs.shape:
                return float("inf")
            apart = np.abs(ours.numpy().astype(np.float64) - theirs).max()
            relative = float(apart / max(float(np.abs(theirs).max()), 1e-30))
            worst = max(worst, relative if np.isfinite(relative) else float("inf"))
    return worst


def examine(network: Network, path: Path, options: Namespace) -> tuple[str, str]:
    """What became of a network (same, failed or not exported), and what to say of it."""
    try:
        export(network, path, options.exporter == "dynamo", options.fused)
        if options.fused:
            fuse(network, path)
    except Exception as error:
        # The exporter and the tool raise what they like: it is no fault of ours.
        return "not exported", f"{type(error).__name__}: {str(error).partition(chr(10))[0][:100]}"
    kinds = Counter(n.op_type for n in onnx.load(path).graph.node if n.domain == "com.microsoft")
    try:
        apart = difference(network, path)
    except RelayError as error:
        return "failed", str(error)
    used = ", ".join(f"{count} {name}" for name, count in sorted(kinds.items()))
    kind = "same" if apart <= TOLERANCE else "failed"
    return kind, f"{apart:.1e} apart" + (f"; {used}" if used else "")


def main() -> int:
    """Examine the networks that the command line names, or all."""
    parser = ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NETWORKS))
    parser.add_argument("--exporter", choices=("dynamo", "torchscript"), default="dynamo")
    parser.add_argument("--fused", action="store_true", help="with operators of com.microsoft")
    parser.add_argument("--keep", type=Path, help="a folder for the models")
    options = parser.parse_args()
    unknown = sorted({*options.names} - {*NETWORKS})
    if unknown:
        parser.error(f"there is no network {unknown[0]!r}; there are {', '.join(NETWORKS)}")
    logging.disable(logging.WARNING)
    wanted = [
        name
        for name in options.names or NETWORKS
        if not options.fused or NETWORKS[name].kind is not None
    ]
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name in wanted:
            kind, text = examine(NETWORKS[name], folder / f"{name}.onnx", options)
            counts[kind] += 1
            print(f"{name}: {kind}: {text}", flush=True)
    print(", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
