"""The network and its training step in MLX."""

from __future__ import annotations

from functools import partial

import mlx.core as mx
import numpy as np
from mlx import nn, optimizers
from mlx.utils import tree_flatten

from examples.digits.specification import Specification
from plait.layers.mlx import EinMix, Rearrange, Reduce


class Model:
    """The network as an `nn.Sequential`, with a compiled step."""

    def __init__(self, specification: Specification) -> None:
        s = specification
        mx.random.seed(s.seed)
        self.network = network = nn.Sequential(
            Rearrange(s.image_last, h=s.side),
            nn.Conv2d(1, s.channels, s.window, padding=s.window // 2),
            nn.ReLU(),
            Reduce(s.pool_last, "max"),
            EinMix(s.classify, s.classify_weight, s.classify_bias, f=s.features, k=s.digits),
        )
        optimizer = optimizers.Adam(s.rate, bias_correction=True)
        optimizer.init(network.trainable_parameters())
        self.state = [network.state, optimizer.state]

        def loss(images: mx.array, digits: mx.array) -> mx.array:
            return nn.losses.cross_entropy(network(images), digits, reduction="mean")

        @partial(mx.compile, inputs=self.state, outputs=self.state)
        def learn(images: mx.array, digits: mx.array) -> mx.array:
            before, gradients = nn.value_and_grad(network, loss)(images, digits)
            optimizer.update(network, gradients)
            return before

        self.learn = learn

    def step(self, images: np.ndarray, digits: np.ndarray) -> float:
        loss = self.learn(mx.array(images), mx.array(digits))
        mx.eval(self.state)
        return loss.item()

    def predict(self, images: np.ndarray) -> np.ndarray:
        return np.array(self.network(mx.array(images)).argmax(1))

    def count(self) -> int:
        return sum(parameter.size for _, parameter in tree_flatten(self.network.parameters()))
