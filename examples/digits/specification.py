"""What every framework builds and trains: the network, the training, and the data, said once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Specification:
    """A small convolutional network, and how it is trained.

    The patterns come in two forms, since some frameworks keep the channels of an image first and others last.

    Attributes:
        side: the height and width of an image, in pixels.
        channels: what the convolution gives, with a window of `window` pixels and a border of zeros.
        digits: the classes.
        epochs: how often the training images are seen.
        batch: images in a step.
        rate: the learning rate of Adam.
        seed: what the parameters and the order of the images are drawn from.
    """

    side: int = 8
    channels: int = 16
    window: int = 3
    digits: int = 10
    epochs: int = 12
    batch: int = 32
    rate: float = 3e-3
    seed: int = 0

    image_first: str = "b (h w) -> b 1 h w"
    image_last: str = "b (h w) -> b h w 1"
    """From the pixels of the data set to images: a ``Rearrange``."""

    pool_first: str = "b c (h 2) (w 2) -> b (c h w)"
    pool_last: str = "b (h 2) (w 2) c -> b (c h w)"
    """Pooling and flattening in one: a ``Reduce`` by ``max``."""

    classify: str = "b f -> b k"
    classify_weight: str = "f k"
    classify_bias: str = "k"
    """From features to a number for each digit: an ``EinMix``."""

    @property
    def features(self) -> int:
        """What the pooling leaves of an image."""
        return self.channels * (self.side // 2) ** 2

    @property
    def parameters(self) -> int:
        """The elements of all weights and biases."""
        return self.channels * (self.window**2 + 1) + self.digits * (self.features + 1)


@dataclass(frozen=True)
class Data:
    """Images as rows of pixels between 0 and 1 in float32, and the digit of each in int64."""

    images: np.ndarray
    digits: np.ndarray
    held_out_images: np.ndarray
    held_out_digits: np.ndarray


def load() -> Data:
    """scikit-learn's digits, 1,797 of them; every fifth, chosen by a fixed draw, is held out."""
    from sklearn.datasets import load_digits

    pixels, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(digits))
    images, digits = (pixels[order] / 16).astype("float32"), digits[order].astype("int64")
    held_out = len(digits) // 5
    return Data(images[held_out:], digits[held_out:], images[:held_out], digits[:held_out])
