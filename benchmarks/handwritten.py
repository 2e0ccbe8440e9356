"""Hand-written reductions and copies that are faster than any single expression of NumPy or PyTorch.

They work in blocks that fit into a cache, and write into allocated memory. `benchmarks.memory_bound_cases` compares
plait with them; plait does not use them.
"""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np
import torch

BLOCK_ELEMENTS = 65_536
"""The number of elements of a block; the block and its result fit into a second-level cache."""


def images_and_images_per_block(x: Any) -> tuple[Any, int]:
    """Merge the axes ``b c`` of ``b c h w``; return the images, and the number of images in a block."""
    images = x.reshape(-1, *x.shape[2:])
    return images, max(1, BLOCK_ELEMENTS // (x.shape[2] * x.shape[3]))


def pool_rows_then_columns(x: Any, combine: Any, scale: Any = None) -> Any:
    """Reduce ``b c (h 2) (w 2) -> b c h w``: combine pairs of rows, then pairs of columns, by blocks of images.

    Args:
        x: an array of the shape ``b c (h 2) (w 2)``.
        combine: the ufunc that combines two elements, such as ``np.maximum``.
        scale: a number by which the result is multiplied.
    """
    images, block_images = images_and_images_per_block(x)
    height, width = x.shape[2] // 2, x.shape[3] // 2
    out = np.empty((len(images), height, width), x.dtype)
    half_pooled = np.empty((block_images, height, 2 * width), x.dtype)
    for start in range(0, len(images), block_images):
        block, block_out = images[start : start + block_images], out[start : start + block_images]
        rows = half_pooled[: len(block)]
        combine(block[:, 0::2], block[:, 1::2], out=rows)
        combine(rows[..., 0::2], rows[..., 1::2], out=block_out)
        if scale is not None:
            np.multiply(block_out, scale, out=block_out)
    return out.reshape(*x.shape[:2], height, width)


def pool_columns_then_rows(x: Any, combine: Any, scale: Any = None) -> Any:
    """Compute the same as `pool_rows_then_columns` with the columns first, in longer inner loops."""
    images, block_images = images_and_images_per_block(x)
    height, width = x.shape[2] // 2, x.shape[3] // 2
    out = np.empty((len(images), height, width), x.dtype)
    half_pooled = np.empty((block_images, 2 * height, width), x.dtype)
    for start in range(0, len(images), block_images):
        block, block_out = images[start : start + block_images], out[start : start + block_images]
        columns = half_pooled[: len(block)]
        combine(block[..., 0::2], block[..., 1::2], out=columns)
        combine(columns[:, 0::2], columns[:, 1::2], out=block_out)
        if scale is not None:
            np.multiply(block_out, scale, out=block_out)
    return out.reshape(*x.shape[:2], height, width)


def pool_rows_then_columns_torch(x: Any, combine: Any, scale: float = 1.0) -> Any:
    """Compute the same as `pool_rows_then_columns` on tensors; the reused block avoids slow allocations of PyTorch."""
    images, block_images = images_and_images_per_block(x)
    height, width = x.shape[2] // 2, x.shape[3] // 2
    block_images *= 8  # a call of PyTorch has more overhead than one of NumPy
    out = torch.empty((len(images), height, width), dtype=x.dtype)
    half_pooled = torch.empty((min(block_images, len(images)), height, 2 * width), dtype=x.dtype)
    for start in range(0, len(images), block_images):
        block, block_out = images[start : start + block_images], out[start : start + block_images]
        rows = half_pooled[: len(block)]
        combine(block[:, 0::2], block[:, 1::2], out=rows)
        combine(rows[..., 0::2], rows[..., 1::2], out=block_out)
        if scale != 1:
            block_out.mul_(scale)
    return out.reshape(*x.shape[:2], height, width)


def reduce_in_two_steps(x: Any, reduce: Any, rows: int) -> Any:
    """Reduce ``b n w -> b w``; rows are merged into longer ones first, since the inner loop is as long as a row."""
    batch, length, width = x.shape
    rows = gcd(length, rows)
    return reduce(reduce(x.reshape(batch, length // rows, rows * width), 1).reshape(batch, rows, width), 1)


def max_of_short_groups(x: Any, length: int) -> Any:
    """Reduce ``(n length) -> n`` by the maximum of a transposed copy, along which the inner loop has length ``n``."""
    return np.maximum.reduce(x.reshape(-1, length).T.copy(), 0)


def to_channels_last_blocked(x: Any, block_channels: int, block_rows: int) -> Any:
    """Copy ``b c h w -> b h w c``, a few channels and rows at a time.

    The same pixel of many channels would be in the same set of the cache, which has room for a few lines only.
    """
    batch, channel_count, height, width = x.shape
    out = np.empty((batch, height, width, channel_count), x.dtype)
    transposed = x.transpose(0, 2, 3, 1)
    for image in range(batch):
        for row in range(0, height, block_rows):
            for channel in range(0, channel_count, block_channels):
                block = (image, slice(row, row + block_rows), slice(None), slice(channel, channel + block_channels))
                out[block] = transposed[block]
    return out


def reverse_axes_blocked(x: Any, block_rows: int) -> Any:
    """Copy ``b c h w -> w h c b``, a few rows of one channel of all images at a time."""
    out = np.empty(x.shape[::-1], x.dtype)
    transposed = x.transpose(3, 2, 1, 0)
    for row in range(0, x.shape[2], block_rows):
        for channel in range(x.shape[1]):
            block = (slice(None), slice(row, row + block_rows), slice(channel, channel + 1))
            out[block] = transposed[block]
    return out


def to_patches_blocked(x: Any, size: int, block_channels: int) -> Any:
    """Copy ``b c (h p) (w q) -> b (h w) (p q c)``, a few channels of a row of patches at a time."""
    batch, channel_count, height, width = x.shape
    patch_rows, patch_columns = height // size, width // size
    out = np.empty((batch, patch_rows, patch_columns, size, size, channel_count), x.dtype)
    transposed = x.reshape(batch, channel_count, patch_rows, size, patch_columns, size).transpose(0, 2, 4, 3, 5, 1)
    for image in range(batch):
        for row in range(patch_rows):
            for channel in range(0, channel_count, block_channels):
                block = (image, row, ..., slice(channel, channel + block_channels))
                out[block] = transposed[block]
    return out.reshape(batch, patch_rows * patch_columns, size * size * channel_count)


def reverse_axes_in_two_copies(x: Any) -> Any:
    """Copy a tensor ``b c h w -> w h c b`` in two steps: one transposes a matrix, the other keeps the last axis."""
    batch, channel_count, height, width = x.shape
    pixels = x.reshape(batch * channel_count, height * width).t().contiguous()
    return pixels.view(height, width, batch, channel_count).permute(1, 0, 3, 2).contiguous()


def upsample_2x2(x: Any) -> Any:
    """Copy ``b c h w -> b c (h 2) (w 2)``: write each pixel four times into the memory of the result."""
    out = np.empty((*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3]), x.dtype)
    out[:, :, 0::2, 0::2] = x
    out[:, :, 0::2, 1::2] = x
    out[:, :, 1::2] = out[:, :, 0::2]
    return out
