"""Trains the digits network and writes the two files the demo reads.

Usage: ``python examples/digits/train.py``

Needs torch, scikit-learn, onnx and onnxruntime; the demo itself needs none of torch and
scikit-learn. Writes ``digits.onnx`` (one image ``[1, 1, 8, 8]`` float32 in, ten logits out) and
``heldout.npz`` (``images [n, 1, 8, 8]`` float32, ``labels [n]`` int64), about 30 % of the 1797
images of scikit-learn's ``load_digits``, none of which the training has seen.
"""

from pathlib import Path

import numpy as np
import onnxruntime
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

FOLDER = Path(__file__).resolve().parent
MODEL = FOLDER / "digits.onnx"
HELD_OUT = FOLDER / "heldout.npz"
SEED = 7
EPOCHS = 60
BATCH = 32


class Digits(nn.Module):
    """Two convolutions with batch normalisation, pooling, and a linear classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 24, 3, padding=1),
            nn.BatchNorm2d(24),
            nn.ReLU(),
            nn.Conv2d(24, 48, 3, padding=1),
            nn.BatchNorm2d(48),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(48, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(256, 10))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits ``[n, 10]`` of standardised images ``[n, 1, 8, 8]``."""
        return self.classifier(self.features(images))


def split() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Standardised training and held-out images, training and held-out labels.

    Mean and deviation are those of the training images: the held-out ones stay unseen.
    """
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 1, 8, 8).astype(np.float32)
    train, held_out, train_labels, held_out_labels = train_test_split(
        images, labels.astype(np.int64), test_size=0.3, random_state=SEED, stratify=labels
    )
    mean, deviation = train.mean(), train.std()
    return (train - mean) / deviation, (held_out - mean) / deviation, train_labels, held_out_labels


def shifted(images: torch.Tensor) -> torch.Tensor:
    """The batch moved by at most one pixel each way: more digits from the same images."""
    rows, columns = torch.randint(-1, 2, (2,)).tolist()
    background = images.min().item()
    padded = nn.functional.pad(images, (1, 1, 1, 1), value=background)
    return padded[:, :, 1 + rows : 9 + rows, 1 + columns : 9 + columns]


def train(images: np.ndarray, labels: np.ndarray) -> Digits:
    """The network after ``EPOCHS`` epochs of AdamW under a one-cycle learning rate."""
    torch.manual_seed(SEED)
    network = Digits()
    inputs, targets = torch.from_numpy(images), torch.from_numpy(labels)
    steps = -(-len(inputs) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=EPOCHS * steps)
    for epoch in range(EPOCHS):
        total = 0.0
        for batch in torch.randperm(len(inputs)).split(BATCH):
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(network(shifted(inputs[batch])), targets[batch])
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(batch)
        if (epoch + 1) % 10 == 0:
            print(f"epoch {epoch + 1:3d}: training loss {total / len(inputs):.4f}")
    return network.eval()


def accuracy(images: np.ndarray, labels: np.ndarray) -> float:
    """The share of images that the exported model classifies rightly, under onnxruntime."""
    session = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    logits = [session.run(None, {"image": image[np.newaxis]})[0][0] for image in images]
    return float(np.mean(np.argmax(logits, axis=1) == labels))


def main() -> None:
    """Trains, exports, and reports the accuracy on the held-out images."""
    train_images, held_out, train_labels, held_out_labels = split()
    network = train(train_images, train_labels)
    torch.onnx.export(
        network,
        (torch.zeros(1, 1, 8, 8),),
        str(MODEL),
        dynamo=False,
        opset_version=17,
        training=torch.onnx.TrainingMode.PRESERVE,
        input_names=["image"],
        output_names=["logits"],
    )
    np.savez_compressed(HELD_OUT, images=held_out, labels=held_out_labels)
    share = accuracy(held_out, held_out_labels)
    print(f"{share:.2%} of {len(held_out)} held-out images right")
    print(f"{MODEL.name} {MODEL.stat().st_size} bytes, {HELD_OUT.name} {HELD_OUT.stat().st_size}")


if __name__ == "__main__":
    main()
