"""What a person writes who has an afternoon: reductions and copies that no single expression of NumPy does fast.

They work in blocks that fit a cache, and write into memory that is there already; what is fastest on the machine of the
day is found by the clock of `benchmarks.movements`. They are taken as they are by `benchmarks.movement_cases`, and
plait does not use them.
"""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np
import torch

BLOCK = 65_536
"""The elements that are worked on at a time: what they and their results take is a part of a second-level cache."""


def images_of(x: Any) -> tuple[Any, int]:
    """The images of ``b c h w``, in one row, and how many of them make a block."""
    images = x.reshape(-1, *x.shape[2:])
    return images, max(1, BLOCK // (x.shape[2] * x.shape[3]))


def rows_first(x: Any, combine: Any, scale: Any = None) -> Any:
    """``b c (h 2) (w 2) -> b c h w``: two rows become one, then two columns, some images at a time."""
    images, step = images_of(x)
    height, width = x.shape[2] // 2, x.shape[3] // 2
    out = np.empty((len(images), height, width), x.dtype)
    half = np.empty((step, height, 2 * width), x.dtype)
    for start in range(0, len(images), step):
        part, to = images[start : start + step], out[start : start + step]
        rows = half[: len(part)]
        combine(part[:, 0::2], part[:, 1::2], out=rows)
        combine(rows[..., 0::2], rows[..., 1::2], out=to)
        if scale is not None:
            np.multiply(to, scale, out=to)
    return out.reshape(*x.shape[:2], height, width)


def columns_first(x: Any, combine: Any, scale: Any = None) -> Any:
    """The same with the columns first: more elements have their neighbours combined, and in longer loops."""
    images, step = images_of(x)
    height, width = x.shape[2] // 2, x.shape[3] // 2
    out = np.empty((len(images), height, width), x.dtype)
    half = np.empty((step, 2 * height, width), x.dtype)
    for start in range(0, len(images), step):
        part, to = images[start : start + step], out[start : start + step]
        columns = half[: len(part)]
        combine(part[..., 0::2], part[..., 1::2], out=columns)
        combine(columns[:, 0::2], columns[:, 1::2], out=to)
        if scale is not None:
            np.multiply(to, scale, out=to)
    return out.reshape(*x.shape[:2], height, width)


def rows_first_torch(x: Any, combine: Any, scale: float = 1.0) -> Any:
    """`rows_first` of tensors: PyTorch's fresh memory is dear, so that the block in between is worth most here."""
    images, step = images_of(x)
    height, width = x.shape[2] // 2, x.shape[3] // 2
    step *= 8  # a call of PyTorch costs more
    out = torch.empty((len(images), height, width), dtype=x.dtype)
    half = torch.empty((min(step, len(images)), height, 2 * width), dtype=x.dtype)
    for start in range(0, len(images), step):
        part, to = images[start : start + step], out[start : start + step]
        rows = half[: len(part)]
        combine(part[:, 0::2], part[:, 1::2], out=rows)
        combine(rows[..., 0::2], rows[..., 1::2], out=to)
        if scale != 1:
            to.mul_(scale)
    return out.reshape(*x.shape[:2], height, width)


def folded(x: Any, reduce: Any, rows: int) -> Any:
    """``b n w -> b w``: rows are taken for parts of a longer one first, since the inner loop is as long as a row."""
    batch, length, width = x.shape
    rows = gcd(length, rows)
    return reduce(reduce(x.reshape(batch, length // rows, rows * width), 1).reshape(batch, rows, width), 1)


def transposed_max(x: Any, length: int) -> Any:
    """``(n length) -> n``, by a copy whose rows are as long as the result, so that no loop is as short as a group."""
    return np.maximum.reduce(x.reshape(-1, length).T.copy(), 0)


def some_channels_last(x: Any, channels: int, rows: int) -> Any:
    """``b c h w -> b h w c``, few channels and rows at a time.

    The rows of an image lie so that equal columns of many channels compete for one set of a cache; a few channels fit.
    """
    batch, depth, height, width = x.shape
    out = np.empty((batch, height, width, depth), x.dtype)
    moved = x.transpose(0, 2, 3, 1)
    for image in range(batch):
        for row in range(0, height, rows):
            for channel in range(0, depth, channels):
                part = (image, slice(row, row + rows), slice(None), slice(channel, channel + channels))
                out[part] = moved[part]
    return out


def some_rows_reversed(x: Any, rows: int) -> Any:
    """``b c h w -> w h c b``, few rows of one channel of all images at a time."""
    out = np.empty(x.shape[::-1], x.dtype)
    moved = x.transpose(3, 2, 1, 0)
    for row in range(0, x.shape[2], rows):
        for channel in range(x.shape[1]):
            part = (slice(None), slice(row, row + rows), slice(channel, channel + 1))
            out[part] = moved[part]
    return out


def some_channels_of_patches(x: Any, size: int, channels: int) -> Any:
    """``b c (h p) (w q) -> b (h w) (p q c)``, few channels of a row of patches at a time."""
    batch, depth, height, width = x.shape
    high, wide = height // size, width // size
    out = np.empty((batch, high, wide, size, size, depth), x.dtype)
    moved = x.reshape(batch, depth, high, size, wide, size).transpose(0, 2, 4, 3, 5, 1)
    for image in range(batch):
        for row in range(high):
            for channel in range(0, depth, channels):
                part = (image, row, ..., slice(channel, channel + channels))
                out[part] = moved[part]
    return out.reshape(batch, high * wide, size * size * depth)


def in_two_steps(x: Any) -> Any:
    """``b c h w -> w h c b`` of tensors, by two copies: each is a transposition of matrices, or keeps the last axis."""
    batch, depth, height, width = x.shape
    pixels = x.reshape(batch * depth, height * width).t().contiguous()
    return pixels.view(height, width, batch, depth).permute(1, 0, 3, 2).contiguous()


def tile_twice(x: Any) -> Any:
    """``h w -> (h 2) (w 2)`` of each image, each pixel four times, written into the memory of the result."""
    out = np.empty((*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3]), x.dtype)
    out[:, :, 0::2, 0::2] = x
    out[:, :, 0::2, 1::2] = x
    out[:, :, 1::2] = out[:, :, 0::2]
    return out
