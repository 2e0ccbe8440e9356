"""The backend of NumPy: arrays, their subclasses, masked arrays, and scalars, which are tensors of rank 0.

Other classes whose arrays NumPy's public functions accept, such as pint's, have `array_function` for their backend.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from plait._caches import clearable_lru_cache
from plait.backends.array_conversion_hints import conversion_hint
from plait.backends.interface import Backend, LargeTensorSettings, ReductionFunction
from plait.backends.numpy.dtypes import is_builtin_dtype, kind_of_dtype
from plait.errors import make_error

if TYPE_CHECKING:
    from plait.backends.capabilities import BlockFunctions, ContractionFunctions, LargeTensorFunctions


def _large_tensor_functions() -> LargeTensorFunctions:
    """Import and return the operations for large tensors, which few programs need."""
    from plait.backends.numpy.large_tensors import LARGE_TENSOR_FUNCTIONS

    return LARGE_TENSOR_FUNCTIONS


def _contraction_functions(dtypes: tuple[Any, ...]) -> ContractionFunctions | None:
    """Import the operations for contractions, and return those for these element types."""
    from plait.backends.numpy.contraction import contraction_functions

    return contraction_functions(dtypes)


def _load_block_functions() -> BlockFunctions:
    """Import and return the operations that compute einsums in blocks, which few programs need."""
    from plait.backends.numpy.blocks import load_block_functions

    return load_block_functions()


LARGE_TENSOR_SETTINGS = LargeTensorSettings(_large_tensor_functions, min_elements=2048)


def _concat_plain(tensors: Sequence[Any], axis: int) -> Any:
    """Concatenate plain arrays."""
    try:
        return np.concatenate(tensors, axis)
    except TypeError as error:  # their element types have no common one
        from plait.backends.numpy.own_arithmetic import joining_error

        raise joining_error(tensors, error) from error


def _stack_plain(tensors: Sequence[Any]) -> Any:
    """Stack plain arrays."""
    try:
        return np.stack(tensors)
    except TypeError as error:  # their element types have no common one
        from plait.backends.numpy.own_arithmetic import joining_error

        raise joining_error(tensors, error) from error


class NumpyBackend(Backend):
    """The backend of one array type; it calls that type's own methods, which a subclass may override."""

    name = "numpy"
    concat: Callable[[Sequence[Any], int], Any] = staticmethod(_concat_plain)
    stack: Callable[[Sequence[Any]], Any] = staticmethod(_stack_plain)
    expand: Callable[[Any, Sequence[int]], Any] = staticmethod(np.broadcast_to)

    def __init__(self, tensor_type: type) -> None:
        if not issubclass(tensor_type, (np.ndarray, np.generic)) or issubclass(tensor_type, np.matrix):
            raise TypeError(f"{tensor_type.__qualname__} is not an array{conversion_hint(tensor_type)}")
        cls: Any = tensor_type
        self.cls = cls
        if tensor_type in (np.ndarray, np.memmap):
            self.contraction_functions, self.large_tensors = _contraction_functions, LARGE_TENSOR_SETTINGS
            self.load_block_functions = _load_block_functions
        self.reshape, self.view, self.permute = cls.reshape, cls.reshape, cls.transpose
        if issubclass(tensor_type, np.generic):  # a scalar becomes an array when it is expanded
            self.reshape = self.view = lambda tensor, shape: tensor.reshape(shape)
        if issubclass(tensor_type, np.ndarray) and tensor_type is not np.ndarray:
            self.expand, self.concat, self.stack = (
                _expand_any_class,
                _concat_any_classes,
                _stack_any_classes,
            )
            if tensor_type is not np.memmap:
                self.why_single_calls = f"arrays of {tensor_type.__name__} have functions of their own"
        if _is_masked_array_type(tensor_type):
            self.expand = _expand_masked

    @staticmethod
    def copy_if_broadcast(tensor: Any, _: None) -> Any:
        return tensor if tensor.flags.writeable else tensor.copy()  # NumPy's broadcast is read-only

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        for tensor in tensors:
            if type(tensor) is not np.ndarray or not is_builtin_dtype(tensor.dtype):
                from plait.backends.numpy.own_arithmetic import einsum_by_operators, has_plain_arithmetic

                if not has_plain_arithmetic(type(tensor)) or not is_builtin_dtype(tensor.dtype):
                    return einsum_by_operators(equation, *tensors)
        try:
            return np.einsum(equation, *tensors)
        except TypeError as error:
            dtypes = [tensor.dtype for tensor in tensors]
            refused = [dtype for dtype in dtypes if kind_of_dtype(dtype) == "other"] or dtypes
            names = " and ".join(dict.fromkeys(map(str, refused)))
            raise make_error("PLT503", f"einsum is not defined on {names}: {error}") from error

    def matmul(self, left: Any, right: Any) -> Any:
        dtypes = {array.dtype for array in (left, right) if type(array) is np.ndarray}
        is_blas = len(dtypes) == 1 and left.dtype == right.dtype and left.dtype.char in "fdFD"
        return np.matmul(left, right) if is_blas else super().matmul(left, right)

    def version(self, tensor: Any) -> int | None:
        return 0 if self.cls in (np.ndarray, np.memmap) and is_builtin_dtype(tensor.dtype) else None

    def reduction(self, name: str, dtype: Any) -> ReductionFunction:
        from plait.backends.numpy.reductions import reductions_for_array_type

        if name == "logsumexp" and _is_masked_array_type(self.cls):
            message = "logsumexp is not defined on masked arrays; fill them first, as x.filled(-numpy.inf) does"
            raise make_error("PLT503", message)
        kind = None if dtype is None else self.kind(dtype)
        reduce = reductions_for_array_type(self.cls).reduction(name, kind, dtype)
        if self.cls is np.ndarray and kind != "other":
            return reduce
        from plait.backends.numpy.own_arithmetic import with_own_errors

        return with_own_errors(name, reduce)

    def for_any_type(self) -> Backend:
        return _array_and_scalar_backend_for_type(self.cls)

    def kind(self, dtype: Any) -> str:
        return kind_of_dtype(dtype)

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


def _expand_any_class(tensor: Any, shape: Sequence[int]) -> Any:
    """Broadcast an array of a subclass, such as one with units."""
    if not tensor.ndim:
        tensor = tensor.reshape((1,) * len(shape))  # unyt has a class of its own for rank 0
    return np.broadcast_to(tensor, shape, subok=True)


def _expand_masked(tensor: Any, shape: Sequence[int]) -> Any:
    """Broadcast a masked array and its mask, both without a copy."""
    result: Any = np.broadcast_to(tensor, shape, subok=True)
    if tensor.mask is not np.ma.nomask:
        result._mask = np.broadcast_to(tensor.mask, shape)
    return result


def _concat_any_classes(tensors: Sequence[Any], axis: int) -> Any:
    """Concatenate arrays of any classes; those that know more than numbers keep it."""
    from plait.backends.numpy.own_arithmetic import concat_of_classes

    return concat_of_classes(tensors, axis)


def _stack_any_classes(tensors: Sequence[Any]) -> Any:
    """Stack arrays of any classes; those that know more than numbers keep it."""
    from plait.backends.numpy.own_arithmetic import stack_of_classes

    return stack_of_classes(tensors)


class _ArrayAndScalarBackend(NumpyBackend):
    """The backend for arrays of any type, and for the scalars that a reduction of all axes returns."""

    def __init__(self, tensor_type: type) -> None:
        super().__init__(tensor_type)
        self.reshape = self.view = lambda tensor, shape: tensor.reshape(shape)
        self.permute = lambda tensor, order: tensor.transpose(order)
        self.concat, self.stack = _concat_any_classes, _stack_any_classes


_array_and_scalar_backend_for_type = clearable_lru_cache(maxsize=64)(_ArrayAndScalarBackend)


def backend_for_array_type(tensor_type: type) -> Backend:
    """Return the backend for NumPy's arrays, or for other arrays that NumPy's public functions accept."""
    if issubclass(tensor_type, (np.ndarray, np.generic)):
        return NumpyBackend(tensor_type)
    from plait.backends.numpy.array_function import ArrayFunctionBackend

    return ArrayFunctionBackend(tensor_type)


BACKEND_FACTORY = backend_for_array_type
