"""The specification of the network, of its training and of the data, shared by all frameworks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Specification:
    """A small convolutional network, and how it is trained.

    There are two versions of some patterns, since some frameworks have the channels of an image first, others last.

    Attributes:
        side: the height and width of an image, in pixels.
        channels: the number of output channels of the convolution, which is padded with zeros.
        window: the side of the convolution's window, in pixels.
        digits: the number of classes.
        epochs: the number of passes over the training images.
        batch: the number of images in a step.
        rate: the learning rate of Adam.
        seed: the seed for the parameters and the order of the images.
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
    """The patterns of the ``Rearrange`` from rows of pixels to images, with channels first and last."""

    pool_first: str = "b c (h 2) (w 2) -> b (c h w)"
    pool_last: str = "b (h 2) (w 2) c -> b (c h w)"
    """The patterns of the ``Reduce`` that pools by ``max`` and flattens, with channels first and last."""

    classify: str = "b f -> b k"
    classify_weight: str = "f k"
    classify_bias: str = "k"
    """The arguments of the ``EinMix`` from features to one logit for each digit."""

    @property
    def features(self) -> int:
        """The number of features of an image after pooling."""
        return self.channels * (self.side // 2) ** 2

    @property
    def parameters(self) -> int:
        """The number of elements of all weights and biases."""
        return self.channels * (self.window**2 + 1) + self.digits * (self.features + 1)


@dataclass(frozen=True)
class DigitsData:
    """The training images and the held-out images.

    Attributes:
        images: the training images as rows of pixels between 0 and 1, in float32.
        digits: the digit of each training image, in int64.
        held_out_images: the held-out images.
        held_out_digits: their digits.
    """

    images: np.ndarray
    digits: np.ndarray
    held_out_images: np.ndarray
    held_out_digits: np.ndarray


def load_data() -> DigitsData:
    """Load the 1,797 digits of scikit-learn; a random fifth, always the same, is held out."""
    from sklearn.datasets import load_digits

    pixels, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(digits))
    images, digits = (pixels[order] / 16).astype("float32"), digits[order].astype("int64")
    held_out = len(digits) // 5
    return DigitsData(images[held_out:], digits[held_out:], images[:held_out], digits[:held_out])
