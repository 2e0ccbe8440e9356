"""The backend of ``scipy.sparse``: COO arrays of any rank, and the other formats by COO.

Results are sparse arrays, and NumPy scalars where they have no dimensions, which SciPy's arrays cannot have. NumPy's
arrays are converted.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import scipy.sparse

from plait.backends.common.coordinates import Coordinates, einsum_of_coordinates, reduce_coordinates
from plait.backends.interface import Backend, ReductionFunction
from plait.backends.numpy.backend import NumpyBackend
from plait.backends.wrapper import CallDimensions, WrapperBackend
from plait.errors import make_error

_NUMPY_BACKEND = NumpyBackend(np.ndarray)


def _to_coordinates(tensor: Any, dtype: Any = None) -> Coordinates:
    """Return the coordinates and the values of a COO array or of a NumPy array; each element is stored once."""
    if not scipy.sparse.issparse(tensor):
        array = np.asarray(tensor, dtype)
        indices = np.nonzero(array) if array.ndim else ()
        return Coordinates(indices, array[indices].reshape(-1), array.shape)
    if not tensor.has_canonical_format:
        tensor = tensor.copy()
        tensor.sum_duplicates()
    return Coordinates(tuple(tensor.coords), tensor.data.astype(dtype or tensor.dtype, copy=False), tensor.shape)


def _to_sparse(tensor: Coordinates) -> Any:
    """Return the COO array with these coordinates and values, or the scalar; parts of one element are added."""
    if not tensor.shape:
        return tensor.values.sum(dtype=tensor.values.dtype)
    try:
        array = scipy.sparse.coo_array((tensor.values, tuple(tensor.indices)), shape=tensor.shape)
    except (ValueError, TypeError) as error:
        message = f"this SciPy has no sparse arrays with {len(tensor.shape)} dimensions; SciPy 1.15 has them"
        raise make_error("PLT514", message) from error
    array.sum_duplicates()
    return array


def _multiply_matrices(left: Coordinates, right: Coordinates) -> Coordinates:
    """Multiply two matrices by the function of the library."""
    product = (_to_sparse(left).tocsr() @ _to_sparse(right).tocsr()).tocoo()
    return Coordinates(tuple(product.coords), product.data, product.shape)


class ScipySparseBackend(Backend):
    """Computes on coordinates and values, since ``scipy.sparse`` has few functions of arrays of any rank."""

    name = "scipy"
    accepts: ClassVar[frozenset[str]] = frozenset({"numpy"})
    kind = staticmethod(_NUMPY_BACKEND.kind)

    def __init__(self, tensor_type: type) -> None:
        """Serve all COO arrays by the same functions."""

    @staticmethod
    def reshape(tensor: Any, shape: Sequence[int]) -> Any:
        shape = tuple(shape)
        if tensor.shape == shape:
            return tensor
        source = _to_coordinates(tensor)
        flat: Any = np.zeros(len(source.values), np.int64)
        for index, length in zip(source.indices, source.shape, strict=True):
            flat = flat * length + index
        indices: list[Any] = []
        for length in reversed(shape):
            flat, index = np.divmod(flat, length) if length else (flat, flat)
            indices.insert(0, index)
        return _to_sparse(Coordinates(tuple(indices), source.values, shape))

    @staticmethod
    def permute(tensor: Any, order: Sequence[int]) -> Any:
        return tensor.transpose(tuple(order)) if tuple(order) != tuple(range(tensor.ndim)) else tensor

    @staticmethod
    def expand(tensor: Any, shape: Sequence[int]) -> Any:
        source, shape = _to_coordinates(tensor), tuple(shape)
        indices, values = list(source.indices), source.values
        old_shape = (*[1] * (len(shape) - len(source.shape)), *source.shape)
        indices = [*[np.zeros(len(values), np.int64)] * (len(shape) - len(indices)), *indices]
        for dimension, (old, new) in enumerate(zip(old_shape, shape, strict=True)):
            if old != new:
                count = len(values)
                indices = [np.tile(index, new) for index in indices]
                indices[dimension] = np.repeat(np.arange(new), count)
                values = np.tile(values, new)
        return _to_sparse(Coordinates(tuple(indices), values, shape))

    @staticmethod
    def concat(tensors: Sequence[Any], axis: int) -> Any:
        sources = [_to_coordinates(tensor) for tensor in tensors]
        starts = np.cumsum([0, *[source.shape[axis] for source in sources]])
        shape = list(sources[0].shape)
        shape[axis] = int(starts[-1])
        indices = [
            np.concatenate(
                [
                    source.indices[it] + (start if it == axis else 0)
                    for source, start in zip(sources, starts, strict=False)
                ]
            )
            for it in range(len(shape))
        ]
        values = np.concatenate([source.values for source in sources])
        return _to_sparse(Coordinates(tuple(indices), values, tuple(shape)))

    @staticmethod
    def stack(tensors: Sequence[Any]) -> Any:
        reshape = ScipySparseBackend.reshape
        return ScipySparseBackend.concat([reshape(tensor, (1, *tensor.shape)) for tensor in tensors], 0)

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        dtype = np.result_type(*[tensor.dtype for tensor in tensors])
        operands = [_to_coordinates(tensor, dtype) for tensor in tensors]
        return _to_sparse(einsum_of_coordinates(equation, operands, _multiply_matrices))

    def reduction(self, name: str, dtype: Any) -> ReductionFunction:
        sample = np.zeros((1, 1), dtype)
        result_dtype = _NUMPY_BACKEND.reduction(name, sample.dtype)(sample, (1,)).dtype
        return partial(_reduce, name, result_dtype)

    def slice(self, tensor: Any, axis: int, start: int, stop: int) -> Any:
        source = _to_coordinates(tensor)
        is_kept = (source.indices[axis] >= start) & (source.indices[axis] < stop)
        indices = [index[is_kept] - (start if it == axis else 0) for it, index in enumerate(source.indices)]
        shape = (*source.shape[:axis], stop - start, *source.shape[axis + 1 :])
        return _to_sparse(Coordinates(tuple(indices), source.values[is_kept], shape))

    def shape(self, tensor: Any) -> tuple[int, ...]:
        return tuple(map(int, tensor.shape))

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        return tensor.toarray() if scipy.sparse.issparse(tensor) else np.asarray(tensor)


def _reduce(name: str, result_dtype: Any, tensor: Any, axes: tuple[int, ...]) -> Any:
    """Reduce a COO array along some dimensions."""
    return _to_sparse(reduce_coordinates(name, _to_coordinates(tensor), axes, result_dtype))


class OtherFormatBackend(WrapperBackend):
    """Converts arrays of the other formats to COO, and results of the rank that these formats have back."""

    name = "scipy"

    def unwrap(self, wrapper: Any) -> Any:
        return wrapper.tocoo()

    def wrap(self, result: Any, operands: Sequence[Any], dimensions: CallDimensions) -> Any:
        formats = {operand.format for operand in operands if scipy.sparse.issparse(operand)}
        is_matrix = scipy.sparse.issparse(result) and result.ndim == 2
        return result.asformat(formats.pop()) if is_matrix and len(formats) == 1 else result

    def wrap_stacked(self, result: Any, tensors: Sequence[Any]) -> Any:
        return self.wrap(result, tensors, CallDimensions((), ()))


def create_backend(tensor_type: type) -> Backend:
    """Return the backend for arrays of a type."""
    if issubclass(tensor_type, scipy.sparse.spmatrix):
        raise TypeError("a sparse matrix multiplies by *; scipy.sparse.coo_array(x) makes a sparse array of it")
    if not issubclass(tensor_type, scipy.sparse.sparray):
        raise TypeError(f"{tensor_type.__qualname__} is not an array")
    return (ScipySparseBackend if issubclass(tensor_type, scipy.sparse.coo_array) else OtherFormatBackend)(tensor_type)


BACKEND_FACTORY = create_backend
