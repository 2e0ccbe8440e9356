"""NumPy: arrays, their subclasses, and scalars, which are tensors of rank 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from weft.backends.base import Backend
from weft.errors import fail

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
        self.reshape = self.view = cls.reshape
        self.permute = cls.transpose
        if issubclass(kind, np.ndarray) and kind is not np.ndarray:
            self.expand = _expand_subclass
        if issubclass(kind, np.ma.MaskedArray):
            masked: Any = np.ma
            self.concat, self.stack = masked.concatenate, masked.stack

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
            reduce: Callable[[Any, tuple[int, ...]], Any] = _logsumexp
        elif plain and name in _ON_ARRAYS:
            reduce = _ON_ARRAYS[name]
        else:
            reduce = getattr(self.cls, name)
        if name in _ROUNDING and _is_half(dtype):
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
    """A reduction of all axes returns a scalar, which has methods of its own."""

    def __init__(self, kind: type) -> None:
        super().__init__(kind)
        self.reshape = self.view = lambda tensor, shape: tensor.reshape(shape)
        self.permute = lambda tensor, order: tensor.transpose(order)


def _expand_subclass(tensor: Any, shape: Sequence[int]) -> Any:
    """By copies: broadcasting would drop what a subclass holds beside its elements, such as a mask."""
    tensor = tensor.reshape((1,) * (len(shape) - tensor.ndim) + tensor.shape)
    for axis, size in enumerate(shape):
        if tensor.shape[axis] != size:
            tensor = tensor.repeat(size, axis)
    return tensor


def _refuse_masks(kind: type, name: str) -> None:
    if issubclass(kind, np.ma.MaskedArray):
        raise fail("W503", f"{name} is not defined on masked arrays; fill them first, as x.filled(0) does")


def _mean(tensor: Any, axes: tuple[int, ...]) -> Any:
    total = np.add.reduce(tensor, axes)
    if not tensor.size:
        return np.full_like(total, np.nan)[()]
    return np.true_divide(total, tensor.size // total.size, dtype=total.dtype)


def _var(tensor: Any, axes: tuple[int, ...]) -> Any:
    return tensor.var(axes) if tensor.size else _mean(tensor.real, axes)


def _std(tensor: Any, axes: tuple[int, ...]) -> Any:
    return np.sqrt(_var(tensor, axes))


def _logsumexp(tensor: Any, axes: tuple[int, ...]) -> Any:
    peak = np.maximum.reduce(tensor, axes, keepdims=True, initial=-np.inf)
    peak = np.where(np.isfinite(peak), peak, 0).astype(tensor.dtype)
    with np.errstate(divide="ignore", over="ignore"):  # log 0 is -inf, and exp(inf) is inf
        return np.log(np.add.reduce(np.exp(tensor - peak), axes)) + np.squeeze(peak, axes)


def _is_half(dtype: Any) -> bool:
    """Whether sums would lose most of their digits: 16 bits and fewer, ``ml_dtypes`` among them."""
    return dtype is not None and dtype.itemsize <= 2 and (dtype.kind == "f" or "float" in dtype.name)


_ROUNDING = ("sum", "prod", "mean", "var", "std", "logsumexp")
"""The reductions that round, and so need more digits than half types have."""

_ON_ARRAYS: dict[str, Callable[[Any, tuple[int, ...]], Any]] = {
    "min": np.minimum.reduce,
    "max": np.maximum.reduce,
    "sum": np.add.reduce,
    "prod": np.multiply.reduce,
    "any": np.logical_or.reduce,
    "all": np.logical_and.reduce,
    "mean": _mean,
    "var": _var,
    "std": _std,
}
"""For arrays proper, what the methods end in."""

BACKEND = NumpyBackend
