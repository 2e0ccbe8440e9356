"""The public names of einops 0.8, implemented by plait: ``import plait.compat.einops as einops``.

They are plait's own functions, except `repeat` and `parse_shape`, whose results or argument names differ in einops.
``EinopsError`` is `plait.PlaitError`, so that ``except EinopsError`` catches every error of plait.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

import plait
from plait import asnumpy, einsum, pack, rearrange, reduce, unpack
from plait.errors import PlaitError

if TYPE_CHECKING:
    from plait._types import OneOrSeveral, Result, Tensor

EinopsError = PlaitError


@overload
def repeat(tensor: OneOrSeveral[Result], pattern: str, **axes_lengths: SupportsIndex) -> Result: ...
@overload
def repeat(tensor: Sequence[Tensor], pattern: str, **axes_lengths: SupportsIndex) -> Tensor: ...
@overload
def repeat(tensor: Tensor, pattern: str, **axes_lengths: SupportsIndex) -> Tensor: ...
def repeat(tensor: Any, pattern: str, **axes_lengths: SupportsIndex) -> Any:
    """Call `plait.repeat`, and copy a read-only result of NumPy, since einops returns writable arrays.

    Args:
        tensor: A tensor, or a list of tensors of the same shape.
        pattern: The axes before and after, such as ``"h w -> h w c"``.
        **axes_lengths: The sizes of axes.

    Returns:
        The repeated tensor.

    Raises:
        PlaitError: The pattern, the shape and the sizes do not fit together.

    Examples:
        >>> import numpy as np
        >>> from plait.compat.einops import repeat
        >>> repeat(np.zeros((2, 3)), "h w -> h w c", c=4).flags.writeable
        True
    """
    result = plait.repeat(tensor, pattern, **axes_lengths)
    writeable = getattr(getattr(result, "flags", None), "writeable", True)
    return result if writeable else result.copy()


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
