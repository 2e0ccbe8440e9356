"""What masked arrays need beside NumPy's functions, which would drop the masks."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from plait.errors import fail


def is_masked(kind: type) -> bool:
    """Whether arrays of that type have masks; `numpy.ma`, which takes long to import, is not needed to tell."""
    masked_array = getattr(sys.modules.get("numpy.ma"), "MaskedArray", None)  # not while another thread imports it
    return masked_array is not None and issubclass(kind, masked_array)


def expand_masked(tensor: Any, shape: Sequence[int]) -> Any:
    """Broadcast by copies, masks included."""
    tensor = tensor.reshape((1,) * (len(shape) - tensor.ndim) + tensor.shape)
    for axis, size in enumerate(shape):
        if tensor.shape[axis] != size:
            tensor = tensor.repeat(size, axis)
    return tensor


def space_of(tensors: Sequence[Any]) -> Any:
    """Where the functions are for these tensors: those that see the masks, if there are any."""
    return np.ma if any(is_masked(type(tensor)) for tensor in tensors) else np


def refuse_masks(kind: type, name: str) -> None:
    """Raise PLT503 for what has no meaning with a mask."""
    if is_masked(kind):
        raise fail("PLT503", f"{name} is not defined on masked arrays; fill them first, as x.filled(0) does")
