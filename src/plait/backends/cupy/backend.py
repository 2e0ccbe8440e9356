"""CuPy: NumPy's interface on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cupy

from plait.backends.interface import Backend

_KINDS = {"b": "bool", "i": "integer", "u": "integer", "f": "floating", "c": "complex"}
_ROUNDING = ("sum", "prod", "mean", "var", "std", "logsumexp")
"""The reductions that round, and so need more digits than half types have."""


class CupyBackend(Backend):
    """Plans call the methods of the tensor's own class, as they do for NumPy."""

    name = "cupy"
    concat: Callable[[Sequence[Any], int], Any] = staticmethod(cupy.concatenate)
    stack: Callable[[Sequence[Any]], Any] = staticmethod(cupy.stack)
    expand: Callable[[Any, Sequence[int]], Any] = staticmethod(cupy.broadcast_to)

    def __init__(self, kind: type) -> None:
        cls: Any = kind
        self.cls = cls
        self.reshape, self.view, self.permute = cls.reshape, cls.reshape, cls.transpose

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        return cupy.einsum(equation, *tensors, optimize=len(tensors) > 2)

    def reduction(self, name: str, dtype: Any) -> Callable[[Any, tuple[int, ...]], Any]:
        if name == "logsumexp":
            reduce: Any = _logsumexp
        elif name in ("mean", "var", "std"):
            reduce = _or_nan(getattr(self.cls, name))
        else:
            reduce = getattr(self.cls, name)
        if name in _ROUNDING and dtype is not None and dtype.itemsize <= 2 and "float" in dtype.name:
            return lambda tensor, axes: reduce(tensor.astype(cupy.float32), axes).astype(tensor.dtype)
        return reduce

    def kind(self, dtype: Any) -> str:
        return _KINDS.get(dtype.kind) or super().kind(dtype)

    def strides(self, tensor: Any) -> tuple[int, ...] | None:
        return tensor.strides

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        return tensor.get()


def _or_nan(reduce: Callable[..., Any]) -> Callable[..., Any]:
    """A mean of nothing is NaN, without a warning."""
    return lambda tensor, axes: reduce(tensor, axes) if tensor.size else tensor.sum(axes) * cupy.nan


def _logsumexp(tensor: Any, axes: tuple[int, ...]) -> Any:
    """The largest is taken out before, so that nothing overflows."""
    if not tensor.size:
        return cupy.log(tensor.sum(axes))
    peak = tensor.max(axes, keepdims=True)
    peak = cupy.where(cupy.isfinite(peak), peak, cupy.zeros_like(peak))
    return cupy.log(cupy.exp(tensor - peak).sum(axes)) + cupy.squeeze(peak, axes)


BACKEND = CupyBackend
