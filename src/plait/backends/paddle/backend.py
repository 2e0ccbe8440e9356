"""PaddlePaddle: eager tensors, and the values of its static programs, whose sizes may be unknown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import paddle

from plait.backends.common.lazy_sizes import Unknown, dimensions
from plait.backends.interface import Backend, no_view
from plait.backends.paddle import shapes as paddle_sizes
from plait.backends.paddle.einsum import einsum
from plait.backends.paddle.reductions import reduction
from plait.backends.paddle.shapes import static, value
from plait.backends.paddle.tracing import leave_to_python


class PaddleBackend(Backend):
    """Plans call the functions of the paddle namespace, which serve both of its modes."""

    name = "paddle"
    reshape = staticmethod(paddle.reshape)
    view = staticmethod(paddle_sizes.view)
    permute = staticmethod(paddle.transpose)
    expand = staticmethod(paddle.broadcast_to)
    concat = staticmethod(paddle.concat)
    stack = staticmethod(paddle.stack)
    einsum = staticmethod(einsum)
    size_from_user, size_to_user = staticmethod(paddle_sizes.given), staticmethod(value)

    def __init__(self, kind: type) -> None:
        self.shape_is_list = issubclass(kind, paddle.Tensor)
        if not self.shape_is_list:
            self.reshape, self.expand, self.view = paddle_sizes.reshape, paddle_sizes.expand, no_view

    def reduction(self, name: str, dtype: Any) -> Callable[[Any, tuple[int, ...]], Any]:
        return reduction(name, dtype, None if dtype is None else self.kind(dtype))

    def for_any_type(self) -> Backend:
        return _ANY

    def strides(self, tensor: Any) -> tuple[int, ...] | None:
        return tuple(tensor.strides) if isinstance(tensor, paddle.Tensor) else None

    def slice(self, tensor: Any, axis: int, start: Any, stop: Any) -> Any:
        return super().slice(tensor, axis, value(start), value(stop))

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        return (tensor.astype("float32") if tensor.dtype == paddle.bfloat16 else tensor).numpy()

    def shape(self, tensor: Any) -> Sequence[Any]:
        sizes = static(tensor)
        return dimensions(tensor, sizes) if None in sizes else tuple(tensor.shape)

    def static_shape(self, tensor: Any, rank: int) -> Sequence[int | None]:
        return static(tensor)

    def is_symbolic(self, size: Any) -> bool:
        return isinstance(size, (paddle.pir.Value, Unknown))

    def comparable(self, tensors: Sequence[Any]) -> bool:
        return not any(None in static(tensor) for tensor in tensors)


leave_to_python()
BACKEND = PaddleBackend
_ANY = PaddleBackend(object)
