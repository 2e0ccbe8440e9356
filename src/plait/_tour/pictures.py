"""The two photographs that come with scikit-learn, and functions that draw arrays as images and encode them as PNG."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt

import plait

Array = npt.NDArray[Any]
"""A NumPy array of any dtype."""

FILE_MARK = "plait tour"
"""A text in every file that the tour writes, by which it recognises its own files."""

PHOTOGRAPHER_BY_PHOTOGRAPH = {
    "china": ("danielbuechele", "https://www.flickr.com/photos/danielbuechele/6061409035/"),
    "flower": ("vultilion", "https://www.flickr.com/photos/vultilion/6056698931/"),
}
"""The name of each photographer and the URL of each photograph, from scikit-learn's README of its images."""

CROPPED_SIZE_MULTIPLE = 32
"""Heights and widths are cropped to a multiple of this, in pixels, so that tiles and patches divide them evenly."""

PATCH_SIZE = 16
"""The height and width of a patch, in pixels."""

_HEAT_COLOURS = (
    np.array([[13, 11, 38], [72, 24, 106], [156, 47, 111], [224, 90, 71], [249, 166, 58], [252, 246, 184]]) / 255
)
"""The colours of a heat map, from low to high: red, green, blue from 0 to 1."""

_ATTENTION_COLOUR = np.array([1.0, 0.76, 0.2], np.float32)
"""The colour of high attention: red, green, blue from 0 to 1."""


def load_photographs() -> dict[str, Array]:
    """Return both photographs by name: ``float32`` from 0 to 1, of shape ``(416, 640, 3)`` (height, width, channel)."""
    from sklearn.datasets import load_sample_image

    return {name: prepare_photograph(load_sample_image(f"{name}.jpg")) for name in PHOTOGRAPHER_BY_PHOTOGRAPH}


def prepare_photograph(image: Array) -> Array:
    """Convert bytes to ``float32`` from 0 to 1, and crop height and width to a multiple of `CROPPED_SIZE_MULTIPLE`.

    >>> prepare_photograph(np.full((70, 64, 3), 255, np.uint8)).shape
    (64, 64, 3)
    """
    height, width = (length - length % CROPPED_SIZE_MULTIPLE for length in image.shape[:2])
    return image[:height, :width].astype(np.float32) / 255


def query_patch_position(rows: int, columns: int) -> tuple[int, int]:
    """Return the row and column of the query patch, which shows a part of the pavilion's upper roof."""
    return rows // 4, columns // 3


def to_uint8(image: Array) -> Array:
    """Convert values from 0 to 1 to bytes; values outside that range are clipped."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def join_tiles_with_gaps(tiles: Array, gap: int = 6) -> Array:
    """Join tiles of shape ``row column h w c`` into one image, with transparent gaps between them."""
    opaque = np.pad(tiles, [(0, 0)] * 4 + [(0, 1)], constant_values=1)
    spaced = np.pad(opaque, [(0, 0), (0, 0), (0, gap), (0, gap), (0, 0)])
    sheet = plait.rearrange(spaced, "row column h w c -> (row h) (column w) c")
    return to_uint8(sheet[:-gap, :-gap])


def join_patches_with_gaps(patches: Array) -> Array:
    """Join patches of shape ``h w (p q c)`` into one image, with transparent gaps between them."""
    return join_tiles_with_gaps(plait.rearrange(patches, "h w (p q c) -> h w p q c", p=PATCH_SIZE, q=PATCH_SIZE), gap=3)


def image_of_one_colour(colour: Array) -> Array:
    """Draw a rectangle of one colour."""
    return to_uint8(plait.repeat(colour, "c -> h w c", h=208, w=320))


def draw_heat_map(values: Array) -> Array:
    """Draw a heat map of an array of shape ``h w``: small values are dark, large values are bright."""
    low, high = values.min(), values.max()
    level = to_uint8((values - low) / max(high - low, 1e-6)) / 255
    positions = np.linspace(0, 1, len(_HEAT_COLOURS))
    return to_uint8(np.stack([np.interp(level, positions, channel) for channel in _HEAT_COLOURS.T], axis=-1))


def tint_by_attention(photo: Array, head_maps: Array, head: int) -> Array:
    """Draw the attention of the query patch over a photograph, from grey (low) to golden (high); frame the patch."""
    row, column = query_patch_position(*head_maps.shape[1:])
    others = head_maps[head].copy()
    others[row, column] = 0  # a patch attends to itself most, which would hide the other values
    level = np.minimum(others / max(float(np.quantile(others, 0.997)), 1e-12), 1)
    glow = plait.repeat(level, "h w -> (h p) (w q) 1", p=PATCH_SIZE, q=PATCH_SIZE)
    grey = plait.reduce(photo, "h w c -> h w 1", "mean")
    shown = grey * 0.45 * (1 - glow) + (photo * 0.6 + _ATTENTION_COLOUR * 0.4) * glow
    top, left = row * PATCH_SIZE, column * PATCH_SIZE
    shown[max(top - 4, 0) : top + PATCH_SIZE + 4, max(left - 4, 0) : left + PATCH_SIZE + 4] = 1
    query = slice(top, top + PATCH_SIZE), slice(left, left + PATCH_SIZE)
    shown[query] = photo[query]
    return to_uint8(shown)


def encode_png(image: Array) -> bytes:
    """Encode ``uint8`` of shape ``h w`` (grey), ``h w 3`` (colour) or ``h w 4`` (with transparency) as a PNG file."""
    from PIL import Image, PngImagePlugin

    about = PngImagePlugin.PngInfo()
    about.add_text("Software", FILE_MARK)
    file = BytesIO()
    Image.fromarray(image).save(file, "PNG", pnginfo=about)
    return file.getvalue()
