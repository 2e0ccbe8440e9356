"""The network as a TensorFlow module, and its training step as a graph."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from examples.digits.specification import Specification
from plait.layers.tensorflow import EinMix, Rearrange, Reduce


class Network(tf.Module):
    """The network as a `tf.Module`."""

    def __init__(self, s: Specification) -> None:
        super().__init__()
        self.image = Rearrange(s.image_last, h=s.side)
        self.filters = tf.Variable(tf.keras.initializers.GlorotUniform()((s.window, s.window, 1, s.channels)))
        self.offsets = tf.Variable(tf.zeros(s.channels))
        self.pool = Reduce(s.pool_last, "max")
        self.classify = EinMix(s.classify, s.classify_weight, s.classify_bias, f=s.features, k=s.digits)

    def __call__(self, pixels: tf.Tensor) -> tf.Tensor:
        features = tf.nn.conv2d(self.image(pixels), self.filters, strides=1, padding="SAME")
        return self.classify(self.pool(tf.nn.relu(features + self.offsets)))


class Model:
    """The network and its optimizer."""

    def __init__(self, specification: Specification) -> None:
        tf.keras.utils.set_random_seed(specification.seed)
        self.network = Network(specification)
        self.optimizer = tf.keras.optimizers.Adam(specification.rate)

    def step(self, images: np.ndarray, digits: np.ndarray) -> float:
        return float(self._step(tf.constant(images), tf.constant(digits)))

    @tf.function
    def _step(self, images: tf.Tensor, digits: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(digits, self.network(images))
            loss = tf.reduce_mean(losses)
        variables = self.network.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    def predict(self, images: np.ndarray) -> np.ndarray:
        return self.network(tf.constant(images)).numpy().argmax(1)

    def count(self) -> int:
        return sum(variable.shape.num_elements() for variable in self.network.trainable_variables)
