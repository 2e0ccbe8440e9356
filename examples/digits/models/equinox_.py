"""The network and its training step in Equinox."""

from __future__ import annotations

import equinox as eqx
import jax
import numpy as np
import optax

from examples.digits.specification import Specification
from plait.layers.equinox import EinMix, Rearrange, Reduce


class Network(eqx.Module):
    """The network, which takes a batch of rows of pixels."""

    image: Rearrange
    conv: eqx.nn.Conv2d
    pool: Reduce
    classify: EinMix

    def __init__(self, specification: Specification, key: jax.Array) -> None:
        s = specification
        conv, classify = jax.random.split(key)
        self.image = Rearrange(s.image_first, h=s.side)
        self.conv = eqx.nn.Conv2d(1, s.channels, s.window, padding="same", key=conv)
        self.pool = Reduce(s.pool_first, "max")
        self.classify = EinMix(s.classify, s.classify_weight, s.classify_bias, f=s.features, k=s.digits, key=classify)

    def __call__(self, images: jax.Array) -> jax.Array:
        features = jax.nn.relu(jax.vmap(self.conv)(self.image(images)))  # Equinox's own layers take one image
        return self.classify(self.pool(features))


class Model:
    """The network, and its optimizer with the state."""

    def __init__(self, specification: Specification) -> None:
        self.network = Network(specification, jax.random.key(specification.seed))
        self.optimizer = optax.adam(specification.rate)
        self.state = self.optimizer.init(eqx.filter(self.network, eqx.is_array))

    def step(self, images: np.ndarray, digits: np.ndarray) -> float:
        self.network, self.state, loss = train_step(self.network, self.optimizer, self.state, images, digits)
        return float(loss)

    def predict(self, images: np.ndarray) -> np.ndarray:
        return np.asarray(eqx.filter_jit(self.network)(images).argmax(1))

    def count(self) -> int:
        return sum(parameter.size for parameter in jax.tree.leaves(eqx.filter(self.network, eqx.is_array)))


@eqx.filter_value_and_grad
def mean_loss(network: Network, images: jax.Array, digits: jax.Array) -> jax.Array:
    """Return the mean cross-entropy, and through the decorator its gradient."""
    return optax.softmax_cross_entropy_with_integer_labels(network(images), digits).mean()


@eqx.filter_jit
def train_step(
    network: Network,
    optimizer: optax.GradientTransformation,
    state: optax.OptState,
    images: jax.Array,
    digits: jax.Array,
) -> tuple[Network, optax.OptState, jax.Array]:
    """Make one step of the optimizer; return the loss before it."""
    loss, gradients = mean_loss(network, images, digits)
    updates, state = optimizer.update(gradients, state)
    return eqx.apply_updates(network, updates), state, loss
