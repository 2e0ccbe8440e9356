"""The network and its training step in Flax Linen."""

from __future__ import annotations

import jax
import numpy as np
import optax
from flax import linen as nn
from flax.training.train_state import TrainState

from examples.digits.specification import Specification
from plait.layers.flax import EinMix, Rearrange, Reduce


class Network(nn.Module):
    """The network, which takes a batch of rows of pixels."""

    specification: Specification

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        s = self.specification
        images = Rearrange(s.image_last, h=s.side)(images)
        features = nn.relu(nn.Conv(s.channels, (s.window, s.window))(images))
        features = Reduce(s.pool_last, "max")(features)
        return EinMix(s.classify, s.classify_weight, s.classify_bias, f=s.features, k=s.digits)(features)


class Model:
    """The network with its optimizer as a `TrainState`."""

    def __init__(self, specification: Specification) -> None:
        network = Network(specification)
        variables = network.init(jax.random.key(specification.seed), np.zeros((1, specification.side**2), np.float32))
        self.state = TrainState.create(
            apply_fn=network.apply, params=variables["params"], tx=optax.adam(specification.rate)
        )

    def step(self, images: np.ndarray, digits: np.ndarray) -> float:
        self.state, loss = train_step(self.state, images, digits)
        return float(loss)

    def predict(self, images: np.ndarray) -> np.ndarray:
        return np.asarray(self.state.apply_fn({"params": self.state.params}, images).argmax(1))

    def count(self) -> int:
        return sum(parameter.size for parameter in jax.tree.leaves(self.state.params))


@jax.jit
def train_step(state: TrainState, images: jax.Array, digits: jax.Array) -> tuple[TrainState, jax.Array]:
    """Make one step of the optimizer; return the loss before it."""

    def mean_loss(params: dict) -> jax.Array:
        logits = state.apply_fn({"params": params}, images)
        return optax.softmax_cross_entropy_with_integer_labels(logits, digits).mean()

    loss, gradients = jax.value_and_grad(mean_loss)(state.params)
    return state.apply_gradients(grads=gradients), loss
