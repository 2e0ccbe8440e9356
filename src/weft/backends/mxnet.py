"""MXNet: in the making by a helper of its own; whoever does Paddle and Chainer leaves this file, tests/tracers/test_mxnet.py and the framework record alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mxnet as mx

from weft.backends.base import Backend
from weft.backends.mxnet_reductions import is_symbol, reduction, space_of
from weft.backends.mxnet_symbols import regroup, stays
from weft.backends.unknown import Shape
from weft.errors import fail

_LONGEST = 6
"""How many dimensions MXNet's ``transpose`` takes."""


def _permute(tensor: Any, order: Sequence[int]) -> Any:
    if not is_symbol(tensor) and tensor.dtype == bool:  # which MXNet does not transpose
        return _permute(tensor.astype("uint8"), order).astype(bool)
    if len(order) <= _LONGEST:
        return space_of(tensor).transpose(tensor, order)
    places = list(range(len(order)))
    for place, source in enumerate(order):
        other = places.index(source)
        if other != place:
            tensor = space_of(tensor).swapaxes(tensor, place, other)
            places[place], places[other] = places[other], places[place]
    return tensor


def _expand(tensor: Any, shape: Sequence[int]) -> Any:
    if 0 not in shape or not tensor.size:
        return mx.np.broadcast_to(tensor, shape)
    some = mx.np.broadcast_to(tensor, [size or 1 for size in shape])  # to nothing, its gradient is left unwritten
    return some[tuple([slice(size) for size in shape])]


class MXNetBackend(Backend):
    """Arrays of ``mx.np``."""

    name = "mxnet.np"
    reshape = staticmethod(mx.np.reshape)
    permute = staticmethod(_permute)
    expand = staticmethod(_expand)
    concat = staticmethod(mx.np.concatenate)
    stack = staticmethod(mx.np.stack)
    einsum = staticmethod(mx.np.einsum)
    to_numpy = staticmethod(mx.nd.NDArray.asnumpy)

    def reduction(self, name: str, dtype: Any) -> Callable[[Any, tuple[int, ...]], Any]:
        return reduction(name, None if dtype is None else self.kind(dtype), dtype)


BACKEND = MXNetBackend
