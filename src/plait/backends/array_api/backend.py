"""The backend for every other library that follows the array API standard, https://data-apis.org/array-api/."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plait.backends.common.contraction import einsum_by_matmul
from plait.backends.common.einsum_dtypes import EinsumWithCasts, compute_names
from plait.backends.common.reductions import ElementwiseFunction, ReductionTable, build_accurate_logsumexp, build_var
from plait.backends.interface import Backend, ReductionFunction
from plait.backends.reduction_rules import INT64_REDUCTIONS, ROUNDING_SENSITIVE_REDUCTIONS

_TO_NUMPY_METHODS = ("todense", "unwrap_numpy")
"""Methods that return a NumPy array, of libraries without another conversion: PyData Sparse and ndonnx."""


def _namespace(tensor: Any) -> Any:
    """Return the array API namespace of a tensor, a module with its library's functions."""
    return tensor.__array_namespace__()


def _reduction_function(name: str, **keywords: Any) -> ReductionFunction:
    """Return a reduction that calls the function of that name in the namespace of its tensor."""
    return lambda tensor, axes: getattr(_namespace(tensor), name)(tensor, axis=axes, **keywords)


def _elementwise_function(name: str) -> ElementwiseFunction:
    """Return a function that calls the elementwise function of that name in the namespace of its tensor."""
    return lambda tensor: getattr(_namespace(tensor), name)(tensor)


def _cast(tensor: Any, dtype: Any) -> Any:
    """Cast a tensor to an element type, given as an object or by name."""
    namespace = _namespace(tensor)
    return namespace.astype(tensor, getattr(namespace, dtype, dtype) if isinstance(dtype, str) else dtype)


def _max_or_zero_if_infinite(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Return the maximum with dimensions kept, or 0 where it is infinite, so that it can be subtracted."""
    namespace = _namespace(tensor)
    maximum = namespace.max(tensor, axis=axes, keepdims=True)
    return namespace.where(namespace.isfinite(maximum), maximum, namespace.zeros_like(maximum))


EINSUM = EinsumWithCasts(
    einsum=lambda equation, *tensors: einsum_by_matmul(_namespace(tensors[0]), equation, *tensors),
    cast=_cast,
    name=lambda tensor: str(tensor.dtype).rpartition(".")[2].lower().strip("<>' "),
    compute_names=compute_names(half="float32", bools="float32"),
)
"""An einsum of arrays of any element types, also mixed, made of products of matrices.

The arrays are cast to the promoted type, since the standard does not promote types of different kinds, but booleans and
floats of 16 bits to ``float32``.
"""


def _squared_magnitude(tensor: Any) -> Any:
    """Return the squares of the absolute values of complex elements."""
    namespace = _namespace(tensor)
    return namespace.real(tensor) ** 2 + namespace.imag(tensor) ** 2


class ArrayAPIBackend(Backend):
    """The backend of one library; it calls the functions of the array's own namespace."""

    reductions = ReductionTable(
        function=_reduction_function,
        cast=_cast,
        overrides={
            "logsumexp": build_accurate_logsumexp(
                _max_or_zero_if_infinite,
                _elementwise_function("exp"),
                _reduction_function("sum"),
                _elementwise_function("log"),
                _elementwise_function("log1p"),
                lambda tensor: _namespace(tensor).astype(tensor == 0, tensor.dtype),
                _reduction_function("squeeze"),
            ),
            ("var", "complex"): build_var(
                _reduction_function("mean", keepdims=True), _squared_magnitude, _reduction_function("mean")
            ),
        },
        upcast={"bool": INT64_REDUCTIONS, "half": ROUNDING_SENSITIVE_REDUCTIONS},
        has_bool_extrema=False,
        unsupported_empty=("logsumexp",),
        is_empty=lambda tensor: 0 in tensor.shape,
    )

    def __init__(self, tensor_type: type) -> None:
        self.name = tensor_type.__module__.partition(".")[0]  # type: ignore[misc]  # each library is a framework of its own in messages

    @staticmethod
    def reshape(tensor: Any, shape: Sequence[int]) -> Any:
        return _namespace(tensor).reshape(tensor, tuple(shape))

    @staticmethod
    def view(tensor: Any, shape: Sequence[int]) -> Any:
        return _namespace(tensor).reshape(tensor, tuple(shape), copy=False)

    @staticmethod
    def permute(tensor: Any, order: Sequence[int]) -> Any:
        return _namespace(tensor).permute_dims(tensor, tuple(order))

    @staticmethod
    def expand(tensor: Any, shape: Sequence[int]) -> Any:
        return _namespace(tensor).broadcast_to(tensor, tuple(shape))

    @staticmethod
    def concat(tensors: Sequence[Any], axis: int) -> Any:
        return _namespace(tensors[0]).concat(list(tensors), axis=axis)

    @staticmethod
    def stack(tensors: Sequence[Any]) -> Any:
        return _namespace(tensors[0]).stack(list(tensors))

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        return EINSUM(equation, *tensors)

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        import numpy as np

        for method in _TO_NUMPY_METHODS:
            if hasattr(tensor, method):
                return getattr(tensor, method)()
        try:
            return np.from_dlpack(tensor)
        except Exception:  # a library may have no DLPack, or a device that NumPy cannot read
            array = np.asarray(tensor)
        if array.dtype == object:  # NumPy made an array whose only element is the tensor
            raise TypeError("NumPy cannot read its elements")
        return array


BACKEND_FACTORY = ArrayAPIBackend
