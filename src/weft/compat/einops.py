"""The names of einops 0.8 over weft: ``import weft.compat.einops as einops``.

They are weft's own functions, but where einops' names of arguments or results differ. ``EinopsError`` is the root
of weft's errors, so that ``except EinopsError`` catches them all.
"""

from __future__ import annotations

from typing import Any

import weft
from weft import asnumpy, einsum, pack, rearrange, reduce, unpack
from weft.errors import WeftError

EinopsError = WeftError


def repeat(tensor: Any, pattern: str, **axes_lengths: Any) -> Any:
    """`weft.repeat`, but NumPy's result is always a new, writable array, as einops gives it."""
    result = weft.repeat(tensor, pattern, **axes_lengths)
    flags = getattr(result, "flags", None)
    if flags is not None and not getattr(flags, "writeable", True):
        return result.copy()
    return result


def parse_shape(x: Any, pattern: str) -> dict[str, int]:
    """`weft.parse_shape`, with einops' name for the tensor."""
    return weft.parse_shape(x, pattern)


__all__ = ["EinopsError", "asnumpy", "einsum", "pack", "parse_shape", "rearrange", "reduce", "repeat", "unpack"]
