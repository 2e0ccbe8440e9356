"""MXNet: in the making by a helper of its own; whoever does Paddle and Chainer leaves this file, tests/tracers/test_mxnet.py and the framework record alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mxnet as mx

from weft.backends.base import Backend
from weft.backends.mxnet_reductions import reduction


def permute(tensor: Any, order: Sequence[int]) -> Any:
    if tensor.dtype == bool:
        return permute(tensor.astype("uint8"), order).astype(bool)
    if len(order) <= 6:
        return mx.np.transpose(tensor, order)
    places = list(range(len(order)))
    for place, source in enumerate(order):
        other = places.index(source)
        if other != place:
            tensor = mx.np.swapaxes(tensor, place, other)
            places[place], places[other] = places[other], places[place]
    return tensor


class MXNetBackend(Backend):
    name = "mxnet"
    reshape = staticmethod(mx.np.reshape)
    permute = staticmethod(permute)
    expand = staticmethod(mx.np.broadcast_to)
    concat = staticmethod(mx.np.concatenate)
    stack = staticmethod(mx.np.stack)
    einsum = staticmethod(mx.np.einsum)
    to_numpy = staticmethod(mx.np.ndarray.asnumpy)

    def reduction(self, name: str, dtype: Any) -> Callable[[Any, tuple[int, ...]], Any]:
        return reduction(name, None if dtype is None else self.kind(dtype), dtype)


BACKEND = MXNetBackend
