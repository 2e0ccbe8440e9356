"""Any library that follows the Python array API standard and has no file of its own.

The namespace comes from each array, so one backend serves them all. Source: https://data-apis.org/array-api/
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from weft.backends.base import Backend
from weft.backends.contraction import contract


class ArrayAPIBackend(Backend):
    """Plans call the functions of the array's own namespace."""

    def __init__(self, kind: type) -> None:
        self.name = kind.__module__.partition(".")[0]  # type: ignore[misc]  # each library is a framework of its own

    @staticmethod
    def reshape(tensor: Any, shape: Sequence[int]) -> Any:
        return _space(tensor).reshape(tensor, tuple(shape))

    @staticmethod
    def view(tensor: Any, shape: Sequence[int]) -> Any:
        return _space(tensor).reshape(tensor, tuple(shape), copy=False)

    @staticmethod
    def permute(tensor: Any, order: Sequence[int]) -> Any:
        return _space(tensor).permute_dims(tensor, tuple(order))

    @staticmethod
    def expand(tensor: Any, shape: Sequence[int]) -> Any:
        return _space(tensor).broadcast_to(tensor, tuple(shape))

    @staticmethod
    def concat(tensors: Sequence[Any], axis: int) -> Any:
        return _space(tensors[0]).concat(list(tensors), axis=axis)

    @staticmethod
    def stack(tensors: Sequence[Any]) -> Any:
        return _space(tensors[0]).stack(list(tensors))

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        return contract(_space(tensors[0]), equation, tensors)

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        import numpy as np

        try:
            return np.from_dlpack(tensor)
        except Exception:  # a library may have no DLPack, or a device that NumPy cannot read
            return np.asarray(tensor)

    def reduction(self, name: str, dtype: Any) -> Callable[[Any, tuple[int, ...]], Any]:
        kind = None if dtype is None else self.kind(dtype)
        if kind == "bool" and name in _ON_TRUTH:
            return _ON_TRUTH[name]
        if name == "logsumexp":
            return _logsumexp
        if kind == "complex" and name in ("var", "std"):
            return _complex_var if name == "var" else lambda tensor, axes: _complex_var(tensor, axes) ** 0.5
        return lambda tensor, axes: getattr(_space(tensor), name)(tensor, axis=axes)


def _space(tensor: Any) -> Any:
    return tensor.__array_namespace__()


def _count(name: str) -> Callable[[Any, tuple[int, ...]], Any]:
    """Sum and product of truth values, which the standard leaves to integers."""

    def reduce(tensor: Any, axes: tuple[int, ...]) -> Any:
        space = _space(tensor)
        return getattr(space, name)(space.astype(tensor, space.int64), axis=axes)

    return reduce


_ON_TRUTH: dict[str, Callable[[Any, tuple[int, ...]], Any]] = {
    "sum": _count("sum"),
    "prod": _count("prod"),
    "min": lambda tensor, axes: _space(tensor).all(tensor, axis=axes),
    "max": lambda tensor, axes: _space(tensor).any(tensor, axis=axes),
}


def _complex_var(tensor: Any, axes: tuple[int, ...]) -> Any:
    space = _space(tensor)
    apart = tensor - space.mean(tensor, axis=axes, keepdims=True)
    return space.mean(space.real(apart) ** 2 + space.imag(apart) ** 2, axis=axes)


def _logsumexp(tensor: Any, axes: tuple[int, ...]) -> Any:
    space = _space(tensor)
    if 0 in [tensor.shape[axis] for axis in axes]:
        return space.log(space.sum(tensor, axis=axes))  # the logarithm of nothing's sum, 0
    peak = space.max(tensor, axis=axes, keepdims=True)
    peak = space.where(space.isfinite(peak), peak, space.zeros_like(peak))
    return space.log(space.sum(space.exp(tensor - peak), axis=axes)) + space.squeeze(peak, axis=axes)


BACKEND = ArrayAPIBackend
