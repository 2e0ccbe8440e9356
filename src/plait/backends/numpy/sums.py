"""Sums within a contraction, as products with ones: BLAS reads memory faster than NumPy adds it up."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from plait._caches import register

REAL = "fd"
"""The types whose sums may be products with ones: of a complex infinity times one a part is NaN."""

_BLOCK = 2048
"""The most elements that one product with ones adds up."""

_SMALL = 1024
"""Below so many elements NumPy's own sum is as fast."""


def add(tensor: Any, axes: tuple[int, ...]) -> Any:
    """The sum along some dimensions, for real types that BLAS knows."""
    shape, count = tensor.shape, tensor.ndim - len(axes)
    size = prod([shape[axis] for axis in axes])
    block = _block(size)
    if tensor.size < _SMALL or not block or not tensor.flags.c_contiguous:
        return np.add.reduce(tensor, axes)
    if axes[0] == count:  # the last ones
        sums = tensor.reshape(-1, block) @ ones(block, tensor.dtype)
        if block == size:
            return sums.reshape(shape[:count])
        return np.add.reduce(sums.reshape(*shape[:count], size // block), -1)
    if axes[-1] == len(axes) - 1 and block == size:  # the first ones
        return (ones(size, tensor.dtype) @ tensor.reshape(size, -1)).reshape(shape[len(axes) :])
    return np.add.reduce(tensor, axes)


@register
@lru_cache(maxsize=256)
def _block(size: int) -> int:
    """How many of so many elements are added up at a time, few enough that little is lost in rounding; 0 for none."""
    if size <= _BLOCK:
        return size
    return next((block for block in range(_BLOCK, _BLOCK // 8, -1) if size % block == 0), 0)


@register
@lru_cache(maxsize=64)
def ones(count: int, dtype: Any) -> Any:
    """So many ones."""
    return np.ones(count, dtype)
