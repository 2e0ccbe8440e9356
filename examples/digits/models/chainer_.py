"""The network and its training step in Chainer."""

from __future__ import annotations

import chainer
import chainer.functions as F  # noqa: N812  # the usual name
import chainer.links as L  # noqa: N812
import numpy as np

from examples.digits.specification import Specification
from plait.layers.chainer import EinMix, Rearrange, Reduce


class Model:
    """The network as a `chainer.Sequential` in a `Classifier`, which knows the loss."""

    def __init__(self, specification: Specification) -> None:
        s = specification
        np.random.seed(s.seed)  # noqa: NPY002  # Chainer draws from this generator
        network = chainer.Sequential(
            Rearrange(s.image_first, h=s.side),
            L.Convolution2D(1, s.channels, s.window, pad=s.window // 2),
            F.relu,
            Reduce(s.pool_first, "max"),
            EinMix(s.classify, s.classify_weight, s.classify_bias, f=s.features, k=s.digits),
        )
        self.classifier = L.Classifier(network)
        self.optimizer = chainer.optimizers.Adam(s.rate).setup(self.classifier)

    def step(self, images: np.ndarray, digits: np.ndarray) -> float:
        self.optimizer.update(self.classifier, images, digits)
        return self.classifier.loss.item()

    def predict(self, images: np.ndarray) -> np.ndarray:
        with chainer.using_config("train", False), chainer.no_backprop_mode():
            return self.classifier.predictor(images).array.argmax(1)

    def count(self) -> int:
        return self.classifier.count_params()
