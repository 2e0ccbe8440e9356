"""The backend of ndonnx: arrays with values, and arguments of a model, whose lengths may be unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ndonnx as ndx
import numpy as np

from plait.backends.array_api.backend import EINSUM, ArrayAPIBackend
from plait.backends.common.contraction import einsum_by_matmul
from plait.backends.common.lazy_sizes import LazySizeBackend


def _to_shape(sizes: Sequence[Any]) -> Any:
    """Return the sizes as a tuple if all are ints, and otherwise as one array of the graph."""
    if all(isinstance(size, int) for size in sizes):
        return tuple(sizes)
    parts = [_to_vector(size) for size in sizes]
    return ndx.concat(parts, axis=0)


def _to_vector(size: Any) -> Any:
    """Return a size as an array of one element."""
    return ndx.asarray(np.array([size], np.int64)) if isinstance(size, int) else ndx.reshape(size, (1,))


class _SizedArray:
    """An array whose ``shape`` has a `LazySize` for each unknown length, for `einsum_by_matmul`."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.shape = tuple(NDONNX_BACKEND.shape(array))
        self.ndim, self.dtype = array.ndim, array.dtype

    def __mul__(self, other: _SizedArray) -> _SizedArray:
        return _SizedArray(self.array * other.array)

    def __getitem__(self, key: tuple[Any, ...]) -> _SizedArray:
        _, interval = key  # every so many elements of the last dimension
        return _SizedArray(self.array[..., :: NDONNX_BACKEND.materialize(interval.step)])


class _SizedNamespace:
    """The functions that `einsum_by_matmul` calls, for arrays with unknown lengths."""

    result_type = staticmethod(ndx.result_type)

    @staticmethod
    def reshape(tensor: _SizedArray, shape: Sequence[Any]) -> _SizedArray:
        return _SizedArray(NDONNX_BACKEND.reshape(tensor.array, shape))

    @staticmethod
    def permute_dims(tensor: _SizedArray, order: Sequence[int]) -> _SizedArray:
        return _SizedArray(NDONNX_BACKEND.permute(tensor.array, order))

    @staticmethod
    def matmul(left: _SizedArray, right: _SizedArray) -> _SizedArray:
        return _SizedArray(ndx.matmul(left.array, right.array))

    @staticmethod
    def sum(tensor: _SizedArray, axis: tuple[int, ...], dtype: Any) -> _SizedArray:
        return _SizedArray(ndx.sum(tensor.array, axis=axis, dtype=dtype))


class NdonnxBackend(LazySizeBackend, ArrayAPIBackend):
    """Calls the functions of the array API, with the lengths as arrays of the graph where they are unknown."""

    view = None  # type: ignore[assignment]  # an array API has one
    static_sizes = staticmethod(lambda tensor: tensor.shape)
    shape_tensor = staticmethod(lambda tensor: tensor.dynamic_shape)

    def __init__(self, tensor_type: type) -> None:
        if not issubclass(tensor_type, ndx.Array):
            raise TypeError(f"{tensor_type.__qualname__} is not an array")
        super().__init__(tensor_type)

    def reshape(self, tensor: Any, shape: Sequence[Any]) -> Any:  # type: ignore[override]  # a method in place of a function
        return ndx.reshape(tensor, _to_shape(self.materialize_all(self.infer_one_size(tensor, shape))))

    def expand(self, tensor: Any, shape: Sequence[Any]) -> Any:  # type: ignore[override]  # as above
        return ndx.broadcast_to(tensor, _to_shape(self.materialize_all(shape)))

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        if not any(None in tensor.shape for tensor in tensors):
            return ArrayAPIBackend.einsum(equation, *tensors)
        return _EINSUM_OF_UNKNOWN_LENGTHS(equation, *tensors)


_EINSUM_OF_UNKNOWN_LENGTHS = EINSUM._replace(
    einsum=lambda equation, *tensors: einsum_by_matmul(_SizedNamespace, equation, *map(_SizedArray, tensors)).array
)
NDONNX_BACKEND = NdonnxBackend(ndx.Array)
BACKEND_FACTORY = NdonnxBackend
