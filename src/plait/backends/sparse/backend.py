"""The backend of PyData Sparse: COO by its array API, and the other formats by COO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sparse

from plait.backends.array_api.backend import ArrayAPIBackend
from plait.backends.common.coordinates import Coordinates, einsum_of_coordinates
from plait.backends.interface import Backend
from plait.backends.reduction_rules import is_low_precision
from plait.backends.wrapper import CallDimensions, WrapperBackend
from plait.errors import make_error


def _to_coordinates(tensor: Any, dtype: Any) -> Coordinates:
    """Return the coordinates and the values of a COO array, cast to an element type."""
    values = tensor.data if tensor.ndim else tensor.todense().reshape(1)  # the element of a scalar is its fill value
    return Coordinates(tuple(tensor.coords), values.astype(dtype), tensor.shape)


def _coordinates_to_coo(tensor: Coordinates) -> Any:
    """Return the COO array with these coordinates and values; parts of one element are added."""
    indices = np.array(tensor.indices, np.int64).reshape(len(tensor.shape), len(tensor.values))
    return sparse.COO(indices, tensor.values, shape=tensor.shape, fill_value=tensor.values.dtype.type(0))


def _multiply_matrices(left: Coordinates, right: Coordinates) -> Coordinates:
    """Multiply two matrices by the function of the library."""
    if not (len(left.values) and len(right.values)):
        return Coordinates((np.zeros(0, np.int64),) * 2, left.values[:0], (left.shape[0], right.shape[1]))
    product = sparse.matmul(_coordinates_to_coo(left), _coordinates_to_coo(right))
    return Coordinates(tuple(product.coords), product.data, product.shape)


class SparseBackend(ArrayAPIBackend):
    """Calls the functions of the array API, except for einsum."""

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        for number, tensor in enumerate(tensors):
            if tensor.ndim and tensor.fill_value != 0:
                message = (
                    f"einsum needs arrays whose fill value is 0, but that of tensor {number} is {tensor.fill_value}"
                )
                raise make_error("PLT514", f"{message}; subtract it first, or call x.todense()")
        result = np.result_type(*[tensor.dtype for tensor in tensors])
        accumulator = np.dtype(np.float32) if is_low_precision(result) else result
        operands = [_to_coordinates(tensor, accumulator) for tensor in tensors]
        return _coordinates_to_coo(einsum_of_coordinates(equation, operands, _multiply_matrices)).astype(result)


class OtherFormatBackend(WrapperBackend):
    """Converts arrays of the other formats to COO, and results back to GCXS if all operands are of that format."""

    name = "sparse"

    def unwrap(self, wrapper: Any) -> Any:
        return wrapper.asformat("coo")

    def wrap(self, result: Any, operands: Sequence[Any], dimensions: CallDimensions) -> Any:
        is_compressed = all(isinstance(operand, sparse.GCXS) for operand in operands) and result.ndim
        return result.asformat("gcxs") if is_compressed else result

    def wrap_stacked(self, result: Any, tensors: Sequence[Any]) -> Any:
        return self.wrap(result, tensors, CallDimensions((), ()))


def create_backend(tensor_type: type) -> Backend:
    """Return the backend for arrays of a type."""
    if issubclass(tensor_type, sparse.COO):
        return SparseBackend(tensor_type)
    if issubclass(tensor_type, sparse.SparseArray):
        return OtherFormatBackend(tensor_type)
    raise TypeError(f"{tensor_type.__qualname__} is not an array")


BACKEND_FACTORY = create_backend
