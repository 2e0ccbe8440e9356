"""The network and its training step in Haiku."""

from __future__ import annotations

import haiku as hk
import jax
import numpy as np
import optax

from examples.digits.specification import Specification
from plait.layers.haiku import EinMix, Rearrange, Reduce


class Model:
    """The network as a pure function, its parameters, and the optimizer with its state."""

    def __init__(self, specification: Specification) -> None:
        s = specification

        @hk.without_apply_rng
        @hk.transform
        def network(images: jax.Array) -> jax.Array:
            layers = [
                Rearrange(s.image_last, h=s.side),
                hk.Conv2D(s.channels, s.window),
                jax.nn.relu,
                Reduce(s.pool_last, "max"),
                EinMix(s.classify, s.classify_weight, s.classify_bias, f=s.features, k=s.digits),
            ]
            return hk.Sequential(layers)(images)

        def mean_loss(params: hk.Params, images: jax.Array, digits: jax.Array) -> jax.Array:
            logits = network.apply(params, images)
            return optax.softmax_cross_entropy_with_integer_labels(logits, digits).mean()

        optimizer = optax.adam(s.rate)

        @jax.jit
        def update(
            params: hk.Params, state: optax.OptState, images: jax.Array, digits: jax.Array
        ) -> tuple[hk.Params, optax.OptState, jax.Array]:
            loss, gradients = jax.value_and_grad(mean_loss)(params, images, digits)
            updates, state = optimizer.update(gradients, state)
            return optax.apply_updates(params, updates), state, loss

        self.apply, self.update = jax.jit(network.apply), update
        self.params = network.init(jax.random.key(s.seed), np.zeros((1, s.side**2), np.float32))
        self.state = optimizer.init(self.params)

    def step(self, images: np.ndarray, digits: np.ndarray) -> float:
        self.params, self.state, loss = self.update(self.params, self.state, images, digits)
        return float(loss)

    def predict(self, images: np.ndarray) -> np.ndarray:
        return np.asarray(self.apply(self.params, images).argmax(1))

    def count(self) -> int:
        return hk.data_structures.tree_size(self.params)
