"""The two photographs that come with scikit-learn."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

MULTIPLE = 32
"""Heights and widths are cut to a multiple of this, in pixels, so that tiles and patches come out even."""


class Credit(NamedTuple):
    """Who took a photograph, and on what terms it may be shown."""

    name: str
    author: str
    source: str
    licence: str = "CC BY 2.0"
    terms: str = "https://creativecommons.org/licenses/by/2.0/"


CREDITS = (
    Credit("china", "danielbuechele", "https://www.flickr.com/photos/danielbuechele/6061409035/"),
    Credit("flower", "vultilion", "https://www.flickr.com/photos/vultilion/6056698931/"),
)
"""As scikit-learn's own README of its images gives them."""


def photographs() -> dict[str, Array]:
    """Both photographs by name: ``float32`` from 0 to 1, of shape ``(416, 640, 3)``: height, width, channel."""
    from sklearn.datasets import load_sample_image

    return {credit.name: prepare(load_sample_image(f"{credit.name}.jpg")) for credit in CREDITS}


def prepare(image: Array) -> Array:
    """Bytes to ``float32`` from 0 to 1, without the rows and columns that no tile could take.

    >>> prepare(np.full((70, 64, 3), 255, np.uint8)).shape
    (64, 64, 3)
    """
    height, width = (length - length % MULTIPLE for length in image.shape[:2])
    return image[:height, :width].astype(np.float32) / 255
