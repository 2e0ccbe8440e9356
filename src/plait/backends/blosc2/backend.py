"""The backend of Blosc2: compressed arrays, and lazy expressions, which are computed first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import blosc2
import numpy as np

from plait.backends.common.contraction import einsum_by_matmul
from plait.backends.common.reductions import ReductionTable, build_logsumexp, build_var
from plait.backends.interface import Backend, ReductionFunction
from plait.backends.numpy.backend import NumpyBackend
from plait.backends.reduction_rules import INT64_REDUCTIONS, ROUNDING_SENSITIVE_REDUCTIONS, is_low_precision
from plait.backends.wrapper import WrapperBackend

MAX_PART_ELEMENTS = 1 << 20
"""The number of elements up to which a part of an array is decompressed at once."""


def _compute(expression: Any) -> Any:
    """Return the compressed array of a lazy expression; Blosc2 cannot compute one without elements."""
    return expression.compute() if prod(expression.shape) else blosc2.empty(expression.shape, dtype=expression.dtype)


def _to_array(tensor: Any) -> Any:
    """Return a compressed array of a lazy expression, a NumPy array or a scalar."""
    if isinstance(tensor, blosc2.NDArray):
        return tensor
    return _compute(tensor) if isinstance(tensor, blosc2.LazyArray) else blosc2.asarray(np.asarray(tensor))


def _parts(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Yield intervals of the first dimensions that divide an array into parts of a limited number of elements."""
    dimension = 0
    while dimension < len(shape) - 1 and prod(shape[dimension + 1 :]) > MAX_PART_ELEMENTS:
        dimension += 1
    step = max(1, MAX_PART_ELEMENTS // max(1, prod(shape[dimension + 1 :])))
    for index in np.ndindex(shape[:dimension]):
        for start in range(0, shape[dimension], step):
            yield (*[slice(place, place + 1) for place in index], slice(start, min(start + step, shape[dimension])))


def _reshape(tensor: Any, shape: Sequence[int]) -> Any:
    """Reshape an array; Blosc2 can reshape arrays of one dimension."""
    tensor, shape = _to_array(tensor), tuple(shape)
    if tensor.shape == shape:
        return tensor
    if tensor.size <= MAX_PART_ELEMENTS:
        return blosc2.asarray(tensor[()].reshape(shape))
    if tensor.ndim > 1:
        flat = blosc2.empty((tensor.size,), dtype=tensor.dtype)
        start = 0
        for part in _parts(tensor.shape):
            values = tensor[part].reshape(-1)
            flat[start : start + values.size] = values
            start += values.size
        tensor = flat
    return tensor if tensor.shape == shape else blosc2.reshape(tensor, shape)


def _expand(tensor: Any, shape: Sequence[int]) -> Any:
    """Broadcast an array; Blosc2's own function adds zeros, which turns -0.0 into 0.0."""
    tensor, shape = _to_array(tensor), tuple(shape)
    if tensor.shape == shape:
        return tensor
    if prod(shape) <= MAX_PART_ELEMENTS:
        return blosc2.asarray(np.broadcast_to(tensor[()], shape).copy())
    tensor = _reshape(tensor, (*[1] * (len(shape) - tensor.ndim), *tensor.shape))
    result = blosc2.empty(shape, dtype=tensor.dtype)
    for part in _parts(shape):
        lengths = [interval.stop - interval.start for interval in part]
        source = [slice(0, 1) if length == 1 else it for it, length in zip(part, tensor.shape, strict=False)]
        values = np.broadcast_to(tensor[tuple(source)], (*lengths, *shape[len(part) :]))
        result[part] = np.ascontiguousarray(values)
    return result


def _permute(tensor: Any, order: Sequence[int]) -> Any:
    """Reorder the dimensions of an array."""
    tensor, order = _to_array(tensor), tuple(order)
    if order == tuple(range(tensor.ndim)):
        return tensor
    if not tensor.size:  # Blosc2 cannot permute them
        return blosc2.empty([tensor.shape[dimension] for dimension in order], dtype=tensor.dtype)
    return blosc2.permute_dims(tensor, order)


def _cast(tensor: Any, dtype: Any) -> Any:
    """Cast an array to an element type."""
    return _to_array(blosc2.astype(_to_array(tensor), np.dtype(dtype)))


def _reduction_function(name: str, **keywords: Any) -> ReductionFunction:
    """Return the reduction of this name, whose result is compressed too."""
    function = getattr(blosc2, name)
    return lambda tensor, axes: _to_array(function(_to_array(tensor), axis=axes, **keywords))


def _one_axis_at_a_time(reduction: ReductionFunction) -> ReductionFunction:
    """Return a reduction that calls another one for each axis, since that one fails for several."""

    def reduce(tensor: Any, axes: tuple[int, ...]) -> Any:
        for axis in sorted(axes, reverse=True):
            tensor = reduction(tensor, (axis,))
        return tensor

    return reduce


def _max_or_zero_if_infinite(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Return the maximum with dimensions kept, or 0 where it is infinite, so that it can be subtracted."""
    maximum = np.asarray(blosc2.max(tensor, axis=axes, keepdims=True))
    return np.where(np.isfinite(maximum), maximum, np.zeros_like(maximum))


def _squeeze(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Drop dimensions of length 1 of a NumPy array."""
    return np.squeeze(tensor, axes)


def _reduce_empty(_: ReductionFunction, tensor: Any, axes: tuple[int, ...], value: float | None) -> Any:
    """Return the result of a reduction of no elements."""
    shape = [length for dimension, length in enumerate(tensor.shape) if dimension not in axes]
    return blosc2.full(shape, value, dtype=np.zeros(0, tensor.dtype).real.dtype if value != value else tensor.dtype)  # noqa: PLR0124  # NaN


def _squared_magnitude(tensor: Any) -> Any:
    """Return the squares of the absolute values of complex elements."""
    return blosc2.real(tensor) ** 2 + blosc2.imag(tensor) ** 2


_logsumexp = build_logsumexp(
    _max_or_zero_if_infinite,
    blosc2.exp,
    lambda tensor, axes: np.asarray(blosc2.sum(tensor, axis=axes)),
    np.log,
    _squeeze,
)
"""A ``logsumexp`` whose result is a NumPy array."""


class _ArrayFunctions:
    """The functions of an array API namespace that `einsum_by_matmul` calls."""

    reshape, permute_dims = staticmethod(_reshape), staticmethod(_permute)
    result_type, zeros = staticmethod(np.result_type), staticmethod(blosc2.zeros)

    @staticmethod
    def matmul(left: Any, right: Any) -> Any:
        return blosc2.matmul(_to_array(left), _to_array(right))

    @staticmethod
    def sum(tensor: Any, axis: tuple[int, ...], dtype: Any) -> Any:
        return _to_array(blosc2.sum(tensor, axis=axis, dtype=dtype))


class Blosc2Backend(Backend):
    """Computes part by part where Blosc2 has no function for arrays of any rank."""

    name = "blosc2"
    reductions = ReductionTable(
        function=_reduction_function,
        cast=_cast,
        overrides={
            "logsumexp": lambda tensor, axes: _to_array(_logsumexp(tensor, axes)),
            "any": _one_axis_at_a_time(_reduction_function("any")),
            "all": _one_axis_at_a_time(_reduction_function("all")),
            ("var", "complex"): build_var(
                lambda tensor, axes: np.asarray(blosc2.mean(tensor, axis=axes, keepdims=True)),
                _squared_magnitude,
                _reduction_function("mean"),
            ),
        },
        upcast={"bool": INT64_REDUCTIONS, "half": ROUNDING_SENSITIVE_REDUCTIONS},
        has_bool_extrema=False,
        is_low_precision=is_low_precision,
        unsupported_empty=("logsumexp", "mean", "var", "std"),
        reduce_empty=_reduce_empty,
        is_empty=lambda tensor: not tensor.size,
    )
    reshape, permute, expand = staticmethod(_reshape), staticmethod(_permute), staticmethod(_expand)
    kind = staticmethod(NumpyBackend(np.ndarray).kind)

    def __init__(self, tensor_type: type) -> None:
        """Serve arrays of any type by the same functions."""

    @staticmethod
    def concat(tensors: Sequence[Any], axis: int) -> Any:
        dtype = np.result_type(*[tensor.dtype for tensor in tensors])
        arrays = [_cast(tensor, dtype) for tensor in tensors]
        with_elements = [array for array in arrays if array.size]  # others end the process in Blosc2's own function
        if len(with_elements) > 1:
            return blosc2.concat(with_elements, axis=axis)
        if with_elements:
            return with_elements[0]
        shape = list(arrays[0].shape)
        shape[axis] = sum([array.shape[axis] for array in arrays])
        return blosc2.empty(shape, dtype=dtype)

    @staticmethod
    def stack(tensors: Sequence[Any]) -> Any:
        return Blosc2Backend.concat([_reshape(tensor, (1, *tensor.shape)) for tensor in tensors], 0)

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        dtype = np.result_type(*[tensor.dtype for tensor in tensors])
        if is_low_precision(dtype):
            return _cast(Blosc2Backend.einsum(equation, *[_cast(tensor, np.float32) for tensor in tensors]), dtype)
        result = _to_array(einsum_by_matmul(_ArrayFunctions, equation, *[_cast(tensor, dtype) for tensor in tensors]))
        return result if result.dtype == dtype else _cast(result, dtype)  # a sum of all integers has 64 bits

    def slice(self, tensor: Any, axis: int, start: int, stop: int) -> Any:
        return _to_array(tensor.slice((*[slice(0, length) for length in tensor.shape[:axis]], slice(start, stop))))

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        return np.asarray(tensor[()])


class LazyExpressionBackend(WrapperBackend):
    """Computes lazy expressions before the call."""

    name = "blosc2"

    def unwrap(self, wrapper: Any) -> Any:
        return _compute(wrapper)


def create_backend(tensor_type: type) -> Backend:
    """Return the backend for arrays of a type."""
    if issubclass(tensor_type, blosc2.NDArray):
        return Blosc2Backend(tensor_type)
    if issubclass(tensor_type, blosc2.LazyArray):
        return LazyExpressionBackend(tensor_type)
    raise TypeError(f"{tensor_type.__qualname__} is not an NDArray; x[:] makes a NumPy array of it")


BACKEND_FACTORY = create_backend
