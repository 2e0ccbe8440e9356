"""NumPy: arrays, their subclasses, and scalars, which are tensors of rank 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft.backends.base import Backend
from weft.backends.numpy_reductions import ON_ARRAYS, ROUNDING, is_half, logsumexp
from weft.errors import fail

_MASKED: Any = np.ma
_KINDS = {"b": "bool", "i": "integer", "u": "integer", "f": "floating", "c": "complex"}


class NumpyBackend(Backend):
    """Plans call the methods of the tensor's own class, so that a subclass keeps what it overrides."""

    name = "numpy"
    concat: Callable[[Sequence[Any], int], Any] = staticmethod(np.concatenate)
    stack: Callable[[Sequence[Any]], Any] = staticmethod(np.stack)
    expand: Callable[[Any, Sequence[int]], Any] = staticmethod(np.broadcast_to)

    def __init__(self, kind: type) -> None:
        if not issubclass(kind, (np.ndarray, np.generic)):
            raise TypeError(f"{kind.__qualname__} is no array")
        cls: Any = kind
        self.cls = cls
        self.reshape, self.view, self.permute = cls.reshape, cls.reshape, cls.transpose
        if issubclass(kind, np.ndarray) and kind is not np.ndarray:
            self.expand = _expand_subclass
        if issubclass(kind, np.ma.MaskedArray):
            self.concat, self.stack = _MASKED.concatenate, _MASKED.stack

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        for tensor in tensors:
            if type(tensor) is not np.ndarray:
                _refuse_masks(type(tensor), "einsum")
        return np.einsum(equation, *tensors, optimize=len(tensors) > 2)

    def reduction(self, name: str, dtype: Any) -> Callable[[Any, tuple[int, ...]], Any]:
        plain = self.cls is np.ndarray and dtype is not None and dtype.kind in _KINDS
        if name == "logsumexp":
            _refuse_masks(self.cls, name)
            reduce: Any = logsumexp
        elif plain and name in ON_ARRAYS:
            reduce = ON_ARRAYS[name]
        else:
            reduce = getattr(self.cls, name)
        if name in ROUNDING and is_half(dtype):
            return lambda tensor, axes: reduce(tensor.astype(np.float32), axes).astype(tensor.dtype)
        return reduce

    def any_type(self) -> Backend:
        return _ArraysAndScalars(self.cls)

    def kind(self, dtype: Any) -> str:
        return _KINDS.get(dtype.kind) or (super().kind(dtype) if dtype.kind == "V" and not dtype.names else "other")

    def strides(self, tensor: Any) -> tuple[int, ...] | None:
        return tensor.strides

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        return tensor if isinstance(tensor, np.ndarray) else np.asarray(tensor)


class _ArraysAndScalars(NumpyBackend):
    """Scalars, as a reduction of all axes returns them, and subclasses have methods of their own."""

    def __init__(self, kind: type) -> None:
        super().__init__(kind)
        self.reshape = self.view = lambda tensor, shape: tensor.reshape(shape)
        self.permute = lambda tensor, order: tensor.transpose(order)
        self.concat = lambda tensors, axis: _space(tensors).concatenate(tensors, axis)


def _expand_subclass(tensor: Any, shape: Sequence[int]) -> Any:
    """By copies: broadcasting would drop what a subclass holds beside its elements, such as a mask."""
    tensor = tensor.reshape((1,) * (len(shape) - tensor.ndim) + tensor.shape)
    for axis, size in enumerate(shape):
        if tensor.shape[axis] != size:
            tensor = tensor.repeat(size, axis)
    return tensor


def _space(tensors: Sequence[Any]) -> Any:
    """Where the functions are that see the masks, if there are any."""
    return _MASKED if any(isinstance(tensor, np.ma.MaskedArray) for tensor in tensors) else np


def _refuse_masks(kind: type, name: str) -> None:
    if issubclass(kind, np.ma.MaskedArray):
        raise fail("W503", f"{name} is not defined on masked arrays; fill them first, as x.filled(0) does")


BACKEND = NumpyBackend
