"""From the two photographs that come with scikit-learn to arrays, and from arrays to pictures, as bytes and as PNG."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt

import plait

Array = npt.NDArray[Any]

MARK = "plait tour"
"""Part of every file that the tour writes, by which it recognises them."""

PHOTOGRAPHERS = {
    "china": ("danielbuechele", "https://www.flickr.com/photos/danielbuechele/6061409035/"),
    "flower": ("vultilion", "https://www.flickr.com/photos/vultilion/6056698931/"),
}
"""Who took each photograph, and where it was published, as scikit-learn's own README of its images says."""

MULTIPLE = 32
"""Heights and widths are cut to a multiple of this, in pixels, so that tiles and patches come out even."""

PATCH = 16
_HEAT = np.array([[13, 11, 38], [72, 24, 106], [156, 47, 111], [224, 90, 71], [249, 166, 58], [252, 246, 184]]) / 255
_GLOW = np.array([1.0, 0.76, 0.2], np.float32)


def photographs() -> dict[str, Array]:
    """Both photographs by name: ``float32`` from 0 to 1, of shape ``(416, 640, 3)``: height, width, channel."""
    from sklearn.datasets import load_sample_image

    return {name: prepare(load_sample_image(f"{name}.jpg")) for name in PHOTOGRAPHERS}


def prepare(image: Array) -> Array:
    """Bytes to ``float32`` from 0 to 1, without the rows and columns that no tile could take.

    >>> prepare(np.full((70, 64, 3), 255, np.uint8)).shape
    (64, 64, 3)
    """
    height, width = (length - length % MULTIPLE for length in image.shape[:2])
    return image[:height, :width].astype(np.float32) / 255


def chosen(rows: int, columns: int) -> tuple[int, int]:
    """The patch that asks: of the photograph of the pavilion it is a piece of the upper roof."""
    return rows // 4, columns // 3


def plain(image: Array) -> Array:
    """Bytes for elements from 0 to 1; what lies outside is cut off."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def apart(tiles: Array, gap: int = 6) -> Array:
    """Tiles ``row column h w c`` with transparent gaps between them."""
    opaque = np.pad(tiles, [(0, 0)] * 4 + [(0, 1)], constant_values=1)
    spaced = np.pad(opaque, [(0, 0), (0, 0), (0, gap), (0, gap), (0, 0)])
    sheet = plait.rearrange(spaced, "row column h w c -> (row h) (column w) c")
    return plain(sheet[:-gap, :-gap])


def patches_apart(patches: Array) -> Array:
    """Patches ``h w (p q c)`` with gaps between them."""
    return apart(plait.rearrange(patches, "h w (p q c) -> h w p q c", p=PATCH, q=PATCH), gap=3)


def swatch(colour: Array) -> Array:
    """A rectangle of one colour."""
    return plain(plait.repeat(colour, "c -> h w c", h=208, w=320))


def heat(values: Array) -> Array:
    """A map: dark where the values are small, bright where they are large."""
    low, high = values.min(), values.max()
    level = plain((values - low) / max(high - low, 1e-6)) / 255
    places = np.linspace(0, 1, len(_HEAT))
    return plain(np.stack([np.interp(level, places, channel) for channel in _HEAT.T], axis=-1))


def overlay(photo: Array, maps: Array, head: int) -> Array:
    """An attention map over its photograph: grey where it is low, golden where it is high; the query patch framed."""
    row, column = chosen(*maps.shape[1:])
    others = maps[head].copy()
    others[row, column] = 0  # a patch attends to itself most, and would hide the rest
    level = np.minimum(others / max(float(np.quantile(others, 0.997)), 1e-12), 1)
    glow = plait.repeat(level, "h w -> (h p) (w q) 1", p=PATCH, q=PATCH)
    grey = plait.reduce(photo, "h w c -> h w 1", "mean")
    shown = grey * 0.45 * (1 - glow) + (photo * 0.6 + _GLOW * 0.4) * glow
    top, left = row * PATCH, column * PATCH
    shown[max(top - 4, 0) : top + PATCH + 4, max(left - 4, 0) : left + PATCH + 4] = 1
    query = slice(top, top + PATCH), slice(left, left + PATCH)
    shown[query] = photo[query]
    return plain(shown)


def png(image: Array) -> bytes:
    """The file: ``uint8`` of shape ``h w`` is grey, of 3 channels colour, of 4 colour with transparency."""
    from PIL import Image, PngImagePlugin

    about = PngImagePlugin.PngInfo()
    about.add_text("Software", MARK)
    file = BytesIO()
    Image.fromarray(image).save(file, "PNG", pnginfo=about)
    return file.getvalue()
