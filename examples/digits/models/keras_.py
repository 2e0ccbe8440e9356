"""The network and its training step in Keras, on any of its backends."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from examples.digits.specification import Specification
from plait.layers.keras import EinMix, Rearrange, Reduce


class Model:
    """The network as a compiled `keras.Sequential`."""

    def __init__(self, specification: Specification) -> None:
        s = specification
        keras.utils.set_random_seed(s.seed)
        self.network = keras.Sequential(
            [
                keras.Input((s.side**2,)),
                Rearrange(s.image_last, h=s.side),
                layers.Conv2D(s.channels, s.window, padding="same", activation="relu"),
                Reduce(s.pool_last, "max"),
                EinMix(s.classify, s.classify_weight, s.classify_bias, f=s.features, k=s.digits),
            ]
        )
        self.network.compile(
            optimizer=keras.optimizers.Adam(s.rate),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )

    def step(self, images: np.ndarray, digits: np.ndarray) -> float:
        self.network.reset_metrics()
        return self.network.train_on_batch(images, digits)

    def predict(self, images: np.ndarray) -> np.ndarray:
        return self.network.predict_on_batch(images).argmax(1)

    def count(self) -> int:
        return self.network.count_params()
