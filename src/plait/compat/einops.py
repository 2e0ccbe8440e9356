"""The names of einops 0.8 over plait: ``import plait.compat.einops as einops``.

They are plait's own functions, but where einops' names of arguments or results differ. ``EinopsError`` is the root
of plait's errors, so that ``except EinopsError`` catches them all.
"""

from __future__ import annotations

from typing import Any

import plait
from plait import asnumpy, einsum, pack, rearrange, reduce, unpack
from plait.errors import PlaitError

EinopsError = PlaitError


def repeat(tensor: Any, pattern: str, **axes_lengths: Any) -> Any:
    """`plait.repeat`, but NumPy's result is always a new, writable array, as einops gives it."""
    result = plait.repeat(tensor, pattern, **axes_lengths)
    writeable = getattr(getattr(result, "flags", None), "writeable", True)
    return result if writeable else result.copy()


def parse_shape(x: Any, pattern: str) -> dict[str, int]:
    """`plait.parse_shape`, with einops' name for the tensor."""
    return plait.parse_shape(x, pattern)


__all__ = ["EinopsError", "asnumpy", "einsum", "pack", "parse_shape", "rearrange", "reduce", "repeat", "unpack"]
