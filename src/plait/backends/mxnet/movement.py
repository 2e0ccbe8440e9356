"""What MXNet's own functions of movement leave out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mxnet as mx

from plait.backends.mxnet.reductions import is_symbol, space_of, type_of
from plait.backends.mxnet.shapes import KEEP

_LONGEST = 6
"""How many dimensions MXNet transposes at once."""


def permute(tensor: Any, order: Sequence[int]) -> Any:
    """Transpose elements of any type, along any number of dimensions."""
    if type_of(tensor) == mx.np.bool_:  # MXNet does not transpose truth values
        return permute(tensor.astype("uint8"), order).astype(bool)
    if len(order) <= _LONGEST:
        return space_of(tensor).transpose(tensor, order)
    places = list(range(len(order)))
    for place, source in enumerate(order):
        other = places.index(source)
        if other != place:
            tensor = space_of(tensor).swapaxes(tensor, place, other)
            places[place], places[other] = places[other], places[place]
    return tensor


def expand(tensor: Any, shape: Sequence[Any]) -> Any:
    """Broadcast to a shape; of a symbol a size that is not known stays as it is."""
    kept = [size if type(size) is int else KEEP for size in shape]
    space = space_of(tensor)
    if 0 not in shape or not (is_symbol(tensor) or tensor.size):
        return space.broadcast_to(tensor, kept)
    some = space.broadcast_to(tensor, [size or 1 for size in kept])  # MXNet writes no gradient of an empty result
    return some[tuple([slice(None if size == KEEP else size) for size in kept])]
