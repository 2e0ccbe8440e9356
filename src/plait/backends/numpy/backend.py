"""The backend of NumPy: arrays, their subclasses, masked arrays, and scalars, which are tensors of rank 0."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from plait._caches import clearable_lru_cache
from plait.backends.interface import Backend, LargeTensorSettings, ReductionFunction
from plait.errors import make_error

if TYPE_CHECKING:
    from plait.backends.capabilities import ContractionFunctions, LargeTensorFunctions

_KIND_BY_CODE = {"b": "bool", "i": "integer", "u": "integer", "f": "floating", "c": "complex"}


def _large_tensor_functions() -> LargeTensorFunctions:
    """Import and return the operations for large tensors, which few programs need."""
    from plait.backends.numpy.large_tensors import LARGE_TENSOR_FUNCTIONS

    return LARGE_TENSOR_FUNCTIONS


def _contraction_functions(dtypes: tuple[Any, ...]) -> ContractionFunctions | None:
    """Import the operations for contractions, and return those for these element types."""
    from plait.backends.numpy.contraction import contraction_functions

    return contraction_functions(dtypes)


LARGE_TENSOR_SETTINGS = LargeTensorSettings(_large_tensor_functions, min_elements=2048)


class NumpyBackend(Backend):
    """The backend of one array type; it calls that type's own methods, which a subclass may override."""

    name = "numpy"
    concat: Callable[[Sequence[Any], int], Any] = staticmethod(np.concatenate)
    stack: Callable[[Sequence[Any]], Any] = staticmethod(np.stack)
    expand: Callable[[Any, Sequence[int]], Any] = staticmethod(np.broadcast_to)

    def __init__(self, tensor_type: type) -> None:
        if not issubclass(tensor_type, (np.ndarray, np.generic)) or issubclass(tensor_type, np.matrix):
            raise TypeError(f"{tensor_type.__qualname__} is not an array")
        cls: Any = tensor_type
        self.cls = cls
        if tensor_type is np.ndarray:
            self.contraction_functions, self.large_tensors = _contraction_functions, LARGE_TENSOR_SETTINGS
        self.reshape, self.view, self.permute = cls.reshape, cls.reshape, cls.transpose
        if issubclass(tensor_type, np.generic):  # a scalar becomes an array when it is expanded
            self.reshape = self.view = lambda tensor, shape: tensor.reshape(shape)
        if issubclass(tensor_type, np.ndarray) and tensor_type is not np.ndarray:
            self.expand = partial(np.broadcast_to, subok=True)
        if _is_masked_array_type(tensor_type):
            self.expand, self.concat, self.stack = _expand_masked, np.ma.concatenate, np.ma.stack

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        for tensor in tensors:
            if type(tensor) is not np.ndarray:
                _raise_if_masked_array_type(type(tensor), "einsum")
        try:
            return np.einsum(equation, *tensors)
        except TypeError as error:
            raise make_error("PLT503", f"einsum is not defined on {tensors[0].dtype}") from error

    def reduction(self, name: str, dtype: Any) -> ReductionFunction:
        from plait.backends.numpy.reductions import reductions_for_array_type

        if name == "logsumexp":
            _raise_if_masked_array_type(self.cls, name)
        return reductions_for_array_type(self.cls).reduction(name, None if dtype is None else self.kind(dtype), dtype)

    def for_any_type(self) -> Backend:
        return _array_and_scalar_backend_for_type(self.cls)

    def kind(self, dtype: Any) -> str:
        return _KIND_BY_CODE.get(dtype.kind) or (
            super().kind(dtype) if dtype.kind == "V" and not dtype.names else "other"
        )

    def strides(self, tensor: Any) -> tuple[int, ...] | None:
        return tensor.strides

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        return tensor if isinstance(tensor, np.ndarray) else np.asarray(tensor)


def _is_masked_array_type(tensor_type: type) -> bool:
    """Return whether a type is ``numpy.ma.MaskedArray`` or a subclass.

    The check does not import ``numpy.ma``, which takes long: while that is not loaded, no array is masked.
    """
    masked_array = getattr(sys.modules.get("numpy.ma"), "MaskedArray", None)  # None while another thread imports it
    return masked_array is not None and issubclass(tensor_type, masked_array)


def _expand_masked(tensor: Any, shape: Sequence[int]) -> Any:
    """Broadcast a masked array together with its mask; the result is a copy."""
    tensor = tensor.reshape((1,) * (len(shape) - tensor.ndim) + tensor.shape)
    for axis, size in enumerate(shape):
        if tensor.shape[axis] != size:
            tensor = tensor.repeat(size, axis)
    return tensor


def _concat_with_masks(tensors: Sequence[Any], axis: int) -> Any:
    """Concatenate arrays, by the function of `numpy.ma` if one is masked."""
    return (np.ma if any(_is_masked_array_type(type(tensor)) for tensor in tensors) else np).concatenate(tensors, axis)


def _raise_if_masked_array_type(tensor_type: type, name: str) -> None:
    """Raise PLT503 if a type is of masked arrays, for which the named operation is not defined."""
    if _is_masked_array_type(tensor_type):
        raise make_error("PLT503", f"{name} is not defined on masked arrays; fill them first, as x.filled(0) does")


class _ArrayAndScalarBackend(NumpyBackend):
    """The backend for arrays of any type, and for the scalars that a reduction of all axes returns."""

    def __init__(self, tensor_type: type) -> None:
        super().__init__(tensor_type)
        self.reshape = self.view = lambda tensor, shape: tensor.reshape(shape)
        self.permute = lambda tensor, order: tensor.transpose(order)
        self.concat = _concat_with_masks


_array_and_scalar_backend_for_type = clearable_lru_cache(maxsize=64)(_ArrayAndScalarBackend)

BACKEND_FACTORY = NumpyBackend
