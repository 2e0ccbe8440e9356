"""The training of any framework's model: steps over shuffled batches, then a look at the digits held out."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, SupportsFloat

import numpy as np

from examples.digits.specification import Data, Specification

MODELS = {
    "torch": ("PyTorch", ("torch",)),
    "flax": ("Flax Linen", ("flax", "optax")),
    "nnx": ("Flax NNX", ("flax", "optax")),
    "equinox": ("Equinox", ("equinox", "optax")),
    "haiku": ("Haiku", ("haiku", "optax")),
    "keras": ("Keras", ("keras", "tensorflow")),
    "tensorflow": ("TensorFlow", ("tensorflow",)),
    "mlx": ("MLX", ("mlx",)),
    "paddle": ("PaddlePaddle", ("paddle",)),
    "chainer": ("Chainer", ("chainer",)),
    "gluon": ("MXNet Gluon", ("mxnet",)),
}
"""Each model, how its framework is called, and what must be installed."""


class Model(Protocol):
    """What a framework's file gives: a class ``Model`` that is made of the specification."""

    def __init__(self, specification: Specification) -> None: ...

    def step(self, images: np.ndarray, digits: np.ndarray) -> SupportsFloat:
        """Learn from one batch of pixels (``batch × 64``) and digits (``batch``); the mean cross-entropy before."""

    def predict(self, images: np.ndarray) -> np.ndarray:
        """The most likely digit of each image."""

    def count(self) -> int:
        """The elements of all parameters."""


@dataclass(frozen=True)
class Outcome:
    """How the training of one model ended: the accuracy on digits that it has never seen, and the time it took."""

    name: str
    accuracy: float
    parameters: int
    seconds: float


def train(
    name: str,
    specification: Specification,
    data: Data,
    watch: Callable[[int, int, float], None] | None = None,
) -> Outcome:
    """Train a framework's model from the start.

    Args:
        name: a key of `MODELS`.
        specification: the network and its training.
        data: the digits.
        watch: is told of every step: its number, the number of all steps, and the loss.

    Returns:
        How well the model reads the digits that were held out.
    """
    make = importlib.import_module(f"examples.digits.models.{name}_").Model
    started = time.perf_counter()
    model: Model = make(specification)
    order = np.random.default_rng(specification.seed)
    batches = len(data.digits) // specification.batch
    steps = batches * specification.epochs
    for step in range(steps):
        if step % batches == 0:
            shuffled = order.permutation(len(data.digits))
        start = step % batches * specification.batch
        chosen = shuffled[start : start + specification.batch]
        loss = model.step(data.images[chosen], data.digits[chosen])
        if watch:
            watch(step + 1, steps, float(loss))
    accuracy = float((model.predict(data.held_out_images) == data.held_out_digits).mean())
    return Outcome(name, accuracy, model.count(), time.perf_counter() - started)
