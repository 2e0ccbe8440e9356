"""The public names of einops 0.8, implemented by plait: ``import plait.compat.einops as einops``.

They are plait's own functions, except `parse_shape`, whose first argument has another name in einops.
``EinopsError`` is `plait.PlaitError`, so that ``except EinopsError`` catches every error of plait.
"""

from __future__ import annotations

from typing import Any

import plait
from plait import asnumpy, einsum, pack, rearrange, reduce, repeat, unpack
from plait.errors import PlaitError

EinopsError = PlaitError


def parse_shape(x: Any, pattern: str) -> dict[str, int]:
    """Call `plait.parse_shape`, whose first argument has the name ``x`` in einops.

    Args:
        x: A tensor.
        pattern: The names of its dimensions, such as ``"b c _ w"``; ``_`` skips one.

    Returns:
        The length of each named dimension.

    Raises:
        PlaitError: The pattern does not fit the tensor.

    Examples:
        >>> import numpy as np
        >>> from plait.compat.einops import parse_shape
        >>> parse_shape(x=np.zeros((2, 3)), pattern="h w")
        {'h': 2, 'w': 3}
    """
    return plait.parse_shape(x, pattern)


__all__ = ["EinopsError", "asnumpy", "einsum", "pack", "parse_shape", "rearrange", "reduce", "repeat", "unpack"]
