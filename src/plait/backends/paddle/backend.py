"""PaddlePaddle: eager tensors, and the values of its static programs, whose sizes may be unknown."""

from __future__ import annotations

from collections.abc import Sequence
from os import sep
from pathlib import Path
from typing import Any

import paddle

from plait.backends.common.lazy_sizes import LazyShapes
from plait.backends.interface import Backend
from plait.backends.paddle.einsum import einsum
from plait.backends.paddle.reductions import REDUCTIONS

_UNKNOWN = -1
"""What a static program has in a shape for a size that only its run will tell."""


class PaddleBackend(LazyShapes):
    """The values of static programs, and tensors of any type: the functions of paddle serve both of its modes."""

    name = "paddle"
    reductions = REDUCTIONS
    permute = staticmethod(paddle.transpose)
    concat = staticmethod(paddle.concat)
    stack = staticmethod(paddle.stack)
    einsum = staticmethod(einsum)
    shape_tensor = staticmethod(paddle.shape)

    def reshape(self, tensor: Any, shape: Sequence[Any]) -> Any:
        return paddle.reshape(tensor, self.materialize_all(self.inferred(tensor, shape)))

    def expand(self, tensor: Any, shape: Sequence[Any]) -> Any:
        known = [*[1] * (len(shape) - len(tensor.shape)), *self.static_sizes(tensor)]
        sizes = [_UNKNOWN if old is None else size for old, size in zip(known, shape, strict=True)]  # it stays
        return paddle.expand(tensor, self.materialize_all(sizes))

    def for_any_type(self) -> Backend:
        return _ANY

    def strides(self, tensor: Any) -> tuple[int, ...] | None:
        return tuple(tensor.strides) if isinstance(tensor, paddle.Tensor) else None

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        return (tensor.astype("float32") if tensor.dtype == paddle.bfloat16 else tensor).numpy()

    @staticmethod
    def static_sizes(tensor: Any) -> list[int | None]:
        return [None if size == _UNKNOWN else size for size in tensor.shape]

    def is_symbolic(self, size: Any) -> bool:
        return isinstance(size, paddle.pir.Value) or super().is_symbolic(size)

    def comparable(self, tensors: Sequence[Any]) -> bool:
        return not any(None in self.static_sizes(tensor) for tensor in tensors)


class EagerBackend(PaddleBackend):
    """Eager tensors."""

    shape_is_list = True
    reshape = staticmethod(paddle.reshape)
    expand = staticmethod(paddle.broadcast_to)

    @staticmethod
    def view(tensor: Any, shape: Sequence[Any]) -> Any:
        if tensor.ndim:
            return paddle.view(tensor, shape)
        return paddle.unsqueeze(tensor, list(range(len(shape))))  # Paddle's view refuses a tensor of rank 0


def backend_for(kind: type) -> Backend:
    """The backend for tensors of a type."""
    return EagerBackend(kind) if issubclass(kind, paddle.Tensor) else PaddleBackend(kind)


def leave_to_python() -> None:
    """Keep Paddle's tracer of bytecode from compiling plait's own frames, where it has left a call to Python.

    They are as much Python as those of Paddle itself, which it leaves alone by the same list of places.
    """
    try:
        from paddle.framework import core

        core.eval_frame_skip_file_prefix((f"{Path(__file__).parents[2]}{sep}",))
    except (ImportError, AttributeError):  # another Paddle may have no such list, and is only slower then
        pass


leave_to_python()
BACKEND = backend_for
_ANY = PaddleBackend(object)
