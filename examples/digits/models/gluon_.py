"""The network and its training step in MXNet Gluon."""

from __future__ import annotations

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon
from mxnet.gluon import nn

from examples.digits.specification import Specification
from plait.layers.gluon import EinMix, Rearrange, Reduce


class Model:
    """The network as a `nn.HybridSequential`, run as a graph."""

    def __init__(self, specification: Specification) -> None:
        s = specification
        mx.npx.set_np()
        mx.random.seed(s.seed)
        self.network = nn.HybridSequential()
        self.network.add(
            Rearrange(s.image_first, h=s.side),
            nn.Conv2D(s.channels, s.window, padding=s.window // 2, in_channels=1, activation="relu"),
            Reduce(s.pool_first, "max"),
            EinMix(s.classify, s.classify_weight, s.classify_bias, f=s.features, k=s.digits),
        )
        self.network.initialize()
        self.network.hybridize()
        self.loss = gluon.loss.SoftmaxCrossEntropyLoss()
        self.trainer = gluon.Trainer(self.network.collect_params(), "adam", {"learning_rate": s.rate})

    def step(self, images: np.ndarray, digits: np.ndarray) -> float:
        with autograd.record():
            losses = self.loss(self.network(mx.np.array(images)), mx.np.array(digits))
        losses.backward()
        self.trainer.step(len(images))
        return losses.mean().item()

    def predict(self, images: np.ndarray) -> np.ndarray:
        return self.network(mx.np.array(images)).argmax(1).asnumpy()

    def count(self) -> int:
        return sum(parameter.data().size for parameter in self.network.collect_params().values())
