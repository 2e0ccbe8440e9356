"""Train the model of a framework on shuffled batches, and measure its accuracy on held-out digits."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, SupportsFloat

import numpy as np

from examples.digits.specification import DigitsData, Specification

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
"""The models: the title of the framework, and the packages that it needs."""


class Model(Protocol):
    """The protocol of the class ``Model`` in the module of each framework."""

    def __init__(self, specification: Specification) -> None: ...

    def step(self, images: np.ndarray, digits: np.ndarray) -> SupportsFloat:
        """Train on a batch of pixels (``batch × 64``) and digits (``batch``); return the loss before it."""

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return the most likely digit of each image."""

    def count(self) -> int:
        """Return the number of elements of all parameters."""


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training.

    Attributes:
        name: a key of `MODELS`.
        accuracy: the fraction of held-out digits that are predicted correctly.
        parameters: the number of elements of all parameters.
        seconds: the time of the training, with compilation.
    """

    name: str
    accuracy: float
    parameters: int
    seconds: float


def train(
    name: str,
    specification: Specification,
    data: DigitsData,
    report_step: Callable[[int, int, float], None] | None = None,
) -> TrainingResult:
    """Create and train the model of a framework.

    Args:
        name: a key of `MODELS`.
        specification: the network and its training.
        data: the training images and the held-out images.
        report_step: called after every step with its number, the number of all steps, and the loss.

    Returns:
        The accuracy on held-out digits, the number of parameters, and the time.
    """
    model_class = importlib.import_module(f"examples.digits.models.{name}_").Model
    started = time.perf_counter()
    model: Model = model_class(specification)
    order = np.random.default_rng(specification.seed)
    batches = len(data.digits) // specification.batch
    steps = batches * specification.epochs
    for step in range(steps):
        if step % batches == 0:
            shuffled = order.permutation(len(data.digits))
        start = step % batches * specification.batch
        batch_indices = shuffled[start : start + specification.batch]
        loss = model.step(data.images[batch_indices], data.digits[batch_indices])
        if report_step:
            report_step(step + 1, steps, float(loss))
    accuracy = float((model.predict(data.held_out_images) == data.held_out_digits).mean())
    return TrainingResult(name, accuracy, model.count(), time.perf_counter() - started)
