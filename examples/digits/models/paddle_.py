"""The network and its training step in PaddlePaddle."""

from __future__ import annotations

import numpy as np
import paddle
from paddle import nn

from examples.digits.specification import Specification
from plait.layers.paddle import EinMix, Rearrange, Reduce


class Model:
    """The network as a `nn.Sequential`."""

    def __init__(self, specification: Specification) -> None:
        s = specification
        paddle.seed(s.seed)
        self.network = nn.Sequential(
            Rearrange(s.image_first, h=s.side),
            nn.Conv2D(1, s.channels, s.window, padding="SAME"),
            nn.ReLU(),
            Reduce(s.pool_first, "max"),
            EinMix(s.classify, s.classify_weight, s.classify_bias, f=s.features, k=s.digits),
        )
        self.optimizer = paddle.optimizer.Adam(s.rate, parameters=self.network.parameters())

    def step(self, images: np.ndarray, digits: np.ndarray) -> float:
        loss = nn.functional.cross_entropy(self.network(paddle.to_tensor(images)), paddle.to_tensor(digits))
        loss.backward()
        self.optimizer.step()
        self.optimizer.clear_grad()
        return loss.item()

    @paddle.no_grad()
    def predict(self, images: np.ndarray) -> np.ndarray:
        return self.network(paddle.to_tensor(images)).argmax(1).numpy()

    def count(self) -> int:
        return sum(parameter.size for parameter in self.network.parameters())
