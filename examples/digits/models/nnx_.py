"""The network and its training step in Flax NNX."""

from __future__ import annotations

import jax
import numpy as np
import optax
from flax import nnx

from examples.digits.specification import Specification
from plait.layers.nnx import EinMix, Rearrange, Reduce


class Model:
    """The network as a `nnx.Sequential`, and its optimizer."""

    def __init__(self, specification: Specification) -> None:
        s = specification
        rngs = nnx.Rngs(s.seed)
        self.network = nnx.Sequential(
            Rearrange(s.image_last, h=s.side),
            nnx.Conv(1, s.channels, (s.window, s.window), rngs=rngs),
            nnx.relu,
            Reduce(s.pool_last, "max"),
            EinMix(s.classify, s.classify_weight, s.classify_bias, f=s.features, k=s.digits, rngs=rngs),
        )
        self.optimizer = nnx.Optimizer(self.network, optax.adam(s.rate), wrt=nnx.Param)

    def step(self, images: np.ndarray, digits: np.ndarray) -> float:
        return float(train_step(self.network, self.optimizer, images, digits))

    def predict(self, images: np.ndarray) -> np.ndarray:
        return np.asarray(self.network(images).argmax(1))

    def count(self) -> int:
        return sum(parameter.size for parameter in jax.tree.leaves(nnx.state(self.network, nnx.Param)))


@nnx.jit
def train_step(network: nnx.Sequential, optimizer: nnx.Optimizer, images: jax.Array, digits: jax.Array) -> jax.Array:
    """Make one step of the optimizer; return the loss before it."""

    def mean_loss(network: nnx.Sequential) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(network(images), digits).mean()

    loss, gradients = nnx.value_and_grad(mean_loss)(network)
    optimizer.update(network, gradients)
    return loss
