"""Trains a digits network with relay alone: its gradients, its optimiser, its compiler.

Usage: ``python examples/digits/train_relay.py [EPOCHS]``

Needs scikit-learn for the images besides relay. One training step is one Relay function: the loss,
its gradients (`relay.transform.gradient`) and Adam's update of every weight. It is compiled once
and called for every batch. The held-out images are those of ``heldout.npz``.
"""

import sys
import time
from pathlib import Path

import numpy as np
from rich.progress import track
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import relay
from relay.transform import gradient

HELD_OUT = Path(__file__).resolve().parent / "heldout.npz"
SEED = 7
EPOCHS = 40
BATCH = 64
RATE = 3e-3
DECAY, SQUARE_DECAY, EPSILON = 0.9, 0.999, 1e-8
"""Adam's constants (Kingma and Ba, 2015)."""

SHAPES = {
    "conv1_weight": (16, 1, 3, 3),
    "conv1_bias": (16,),
    "conv2_weight": (32, 16, 3, 3),
    "conv2_bias": (32,),
    "dense_weight": (10, 128),
    "dense_bias": (10,),
}
"""The weights of the network, by name."""


def weights() -> list[relay.Var]:
    """New variables for the weights."""
    return [relay.var(name, shape=shape) for name, shape in SHAPES.items()]


def network(images: relay.Expr, parameters: list[relay.Var]) -> relay.Expr:
    """Logarithms of the probabilities ``[n, 10]`` for images ``[n, 1, 8, 8]``."""
    conv1, bias1, conv2, bias2, dense, bias = parameters
    value = images
    for kernel, shift in ((conv1, bias1), (conv2, bias2)):
        value = relay.nn.conv2d(value, kernel, padding=1)
        value = relay.nn.relu(relay.nn.bias_add(value, shift))
        value = relay.nn.max_pool2d(value, pool_size=2, strides=2)
    value = relay.nn.dense(relay.nn.batch_flatten(value), dense)
    return relay.nn.log_softmax(relay.nn.bias_add(value, bias))


def loss_and_gradients(batch: int) -> relay.Function:
    """``(images, targets, weights) -> (loss, gradients of them all)``."""
    images = relay.var("images", shape=(batch, 1, 8, 8))
    targets = relay.var("targets", shape=(batch, 10))
    parameters = weights()
    loss = relay.nn.cross_entropy_with_logits(network(images, parameters), targets)
    return gradient(relay.Function([images, targets, *parameters], loss), mode="first_order")


def training_step(batch: int) -> relay.Function:
    """``(images, targets, rate, weights, means, squares) -> (loss, all three updated)``."""
    images = relay.var("images", shape=(batch, 1, 8, 8))
    targets = relay.var("targets", shape=(batch, 10))
    rate = relay.var("rate", "float32")
    parameters = weights()
    means = [relay.var(f"{n}_mean", shape=s) for n, s in SHAPES.items()]
    squares = [relay.var(f"{n}_square", shape=s) for n, s in SHAPES.items()]
    derived = relay.Call(loss_and_gradients(batch), [images, targets, *parameters])
    loss, slopes = relay.TupleGetItem(derived, 0), relay.TupleGetItem(derived, 1)
    moved: list[list[relay.Expr]] = [[], [], []]
    for k, (weight, mean, square) in enumerate(zip(parameters, means, squares, strict=True)):
        slope = relay.TupleGetItem(slopes, k + 2)
        mean = mean * DECAY + slope * relay.const(1 - DECAY)
        square = square * SQUARE_DECAY + slope * slope * relay.const(1 - SQUARE_DECAY)
        step = rate * mean / (relay.sqrt(square) + relay.const(EPSILON))
        for updated, value in zip(moved, (weight - step, mean, square), strict=True):
            updated.append(value)
    result = relay.Tuple([loss, *moved[0], *moved[1], *moved[2]])
    return relay.Function([images, targets, rate, *parameters, *means, *squares], result)


def initial(random: np.random.Generator) -> list[np.ndarray]:
    """Weights by He's rule (biases zero), then Adam's means and squares, which begin at zero."""
    found = []
    for shape in SHAPES.values():
        spread = np.sqrt(2 / np.prod(shape[1:])) if len(shape) > 1 else 0.0
        found.append(random.normal(0, 1, shape).astype("float32") * np.float32(spread))
    return found + [np.zeros(s, "float32") for s in SHAPES.values()] * 2


def training_images() -> tuple[np.ndarray, np.ndarray]:
    """Standardised images ``[n, 1, 8, 8]`` and labels: those that ``heldout.npz`` has not."""
    images, labels = load_digits(return_X_y=True)
    train, _, train_labels, _ = train_test_split(
        images.reshape(-1, 1, 8, 8).astype("float32"),
        labels,
        test_size=0.3,
        random_state=SEED,
        stratify=labels,
    )
    return (train - train.mean()) / train.std(), train_labels


def train(epochs: int) -> list[np.ndarray]:
    """The weights after `epochs` passes over the training images."""
    images, labels = training_images()
    targets = np.eye(10, dtype="float32")[labels]
    start = time.perf_counter()
    step = relay.build(relay.IRModule.from_expr(training_step(BATCH)), target="llvm").create()
    print(f"training step compiled in {time.perf_counter() - start:.1f} s")
    random = np.random.default_rng(SEED)
    state = initial(random)
    count = 0
    start = time.perf_counter()
    for epoch in track(range(epochs), "training"):
        order = random.permutation(len(images))
        losses = []
        for first in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[first : first + BATCH]
            count += 1
            cooled = RATE * 0.5 * (1 + np.cos(np.pi * epoch / epochs))
            rate = cooled * np.sqrt(1 - SQUARE_DECAY**count) / (1 - DECAY**count)
            results = step(images[chosen], targets[chosen], np.asarray(rate, "float32"), *state)
            loss, *state = (r.numpy() for r in results)
            losses.append(float(loss))
        if (epoch + 1) % 10 == 0:
            print(f"epoch {epoch + 1:2d}: loss {np.mean(losses):.4f}")
    seconds = time.perf_counter() - start
    each = f"{seconds / count * 1e3:.2f} ms"
    print(f"{count} steps of {BATCH} images in {seconds:.1f} s, {each} each")
    return state[: len(SHAPES)]


def accuracy(trained: list[np.ndarray]) -> float:
    """The share of the held-out images that are classified rightly."""
    with np.load(HELD_OUT) as archive:
        images, labels = archive["images"], archive["labels"]
    data, parameters = relay.var("images", shape=images.shape), weights()
    function = relay.Function([data, *parameters], network(data, parameters))
    classify = relay.build(relay.IRModule.from_expr(function), target="llvm").create()
    (found,) = classify(images, *trained)
    return float(np.mean(found.numpy().argmax(axis=1) == labels))


def main() -> None:
    """Trains, and reports the accuracy on the held-out images."""
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else EPOCHS
    share = accuracy(train(epochs))
    print(f"{share:.2%} of the held-out images right")


if __name__ == "__main__":
    main()
