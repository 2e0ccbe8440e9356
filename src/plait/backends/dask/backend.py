"""The backend of Dask. A call adds tasks to a graph and computes nothing.

The chunks are arrays of NumPy or of another library.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import dask.array as da
import numpy as np

from plait.backends.common.reductions import ReductionTable
from plait.backends.dask.einsum import einsum_by_pairs
from plait.backends.dask.own_arithmetic import (
    check_arrays_can_be_joined,
    expand_chunks,
    has_own_arithmetic,
    reduction_keeping_chunk_class,
)
from plait.backends.dask.shapes import (
    UnknownLengthMultiple,
    has_unknown_length,
    non_int_types,
    reshape,
    shape_with_unknowns,
    unknown_length_error,
)
from plait.backends.interface import Backend, ReductionFunction
from plait.backends.numpy.backend import NumpyBackend
from plait.backends.reduction_rules import byte_integer_name, is_low_precision
from plait.backends.registry import backend_for_type


def _tree_reduce(tensor: Any, axes: tuple[int, ...], chunk: Any, aggregate: Any) -> Any:
    """Reduce each chunk by ``chunk``, groups of the results by ``chunk`` again, and the last group by ``aggregate``."""
    meta = da.utils.meta_from_array(tensor, tensor.ndim - len(axes))
    return da.reduction(tensor, chunk, aggregate, axes, combine=chunk, dtype=tensor.dtype, meta=meta)


def _logsumexp(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Compute ``logsumexp`` of each chunk, and ``logsumexp`` of the results, which gives that of all elements."""
    backend_for_type(tensor._meta.__class__).reduction(
        "logsumexp", tensor.dtype
    )  # raises PLT503 for masked arrays now, and not in a worker
    return _tree_reduce(tensor, axes, _chunk_logsumexp, _chunk_logsumexp)


def _chunk_logsumexp(chunk: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """Compute ``logsumexp`` of one chunk by the backend of its array."""
    result = backend_for_type(chunk.__class__).reduction("logsumexp", chunk.dtype)(chunk, axis)
    return np.expand_dims(result, axis) if keepdims else result


def _build_min_or_max(name: str) -> ReductionFunction:
    """Return a min or max that also accepts empty chunks, for which the result of Dask's own has a wrong rank."""
    dask_function, numpy_function = getattr(da, name), getattr(np, name)

    def reduce(tensor: Any, axes: tuple[int, ...]) -> Any:
        if all(size > 0 for lengths in tensor.chunks for size in lengths):
            return dask_function(tensor, axes)
        return _tree_reduce(tensor, axes, partial(_chunk_min_or_max, numpy_function), numpy_function)

    return reduce


def _chunk_min_or_max(reduce: Any, chunk: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """Return the minimum or maximum of one chunk; an array without elements if the chunk has none."""
    if 0 in [chunk.shape[dimension] for dimension in axis]:
        return chunk[tuple([slice(0) if dimension in axis else slice(None) for dimension in range(chunk.ndim)])]
    return reduce(chunk, axis=axis, keepdims=keepdims)


def _chunks_of_broadcast(tensor: Any, shape: Sequence[int], repeated: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return the chunks of a broadcast array; along repeated dimensions Dask chooses them by their bytes."""
    old_chunks = (*(((1,),) * (len(shape) - tensor.ndim)), *tensor.chunks)
    if 0 in shape or tensor.dtype.hasobject:  # their chunks have no number of bytes
        return tuple([(shape[place],) if place in repeated else lengths for place, lengths in enumerate(old_chunks)])
    chunks = tuple(["auto" if place in repeated else lengths for place, lengths in enumerate(old_chunks)])
    result: tuple[tuple[int, ...], ...] = da.core.normalize_chunks(chunks, shape, dtype=tensor.dtype)
    return result


class DaskBackend(Backend):
    """The backend of Dask's arrays; it calls functions of ``dask.array``, and keeps the chunks where possible."""

    name = "dask"
    reductions = ReductionTable(
        function=partial(getattr, da),
        overrides={"min": _build_min_or_max("min"), "max": _build_min_or_max("max"), "logsumexp": _logsumexp},
        is_low_precision=is_low_precision,
        widened_dtype_name=byte_integer_name,
        unsupported_empty=("var", "std"),
        reduce_empty=lambda _, tensor, axes, __: da.mean(tensor.real, axes),  # NaN, without the warning of da.var
    )
    einsum_optimizes_path = True
    accepts = frozenset({"numpy"})
    reshape = staticmethod(reshape)
    einsum = staticmethod(einsum_by_pairs)
    build_einsum_within_limit = staticmethod(lambda equation, limit: partial(einsum_by_pairs, equation, limit=limit))
    shape = staticmethod(shape_with_unknowns)
    kind = staticmethod(NumpyBackend(np.ndarray).kind)

    def __init__(self, tensor_type: type) -> None:
        if not issubclass(tensor_type, da.Array):
            raise TypeError(f"{tensor_type.__qualname__} is not an array")

    @staticmethod
    def permute(tensor: Any, order: Sequence[int]) -> Any:
        return da.transpose(tensor, order) if order else tensor  # without an order Dask reverses the dimensions

    @staticmethod
    def expand(tensor: Any, shape: Sequence[Any]) -> Any:
        old_shape = shape_with_unknowns(tensor)
        old_shape = (*((1,) * (len(shape) - len(old_shape))), *old_shape)
        if non_int_types(old_shape) != non_int_types(shape):
            raise unknown_length_error(tensor)
        repeated = [dimension for dimension, size in enumerate(shape) if old_shape[dimension] == 1 and size != 1]
        if non_int_types(old_shape):  # da.broadcast_to would compare NaN with a size
            tensor = reshape(tensor, old_shape)
            for dimension in repeated:
                tensor = da.repeat(tensor, shape[dimension], dimension)
            return tensor
        if has_own_arithmetic(tensor):
            return expand_chunks(tensor, _chunks_of_broadcast(tensor, shape, repeated))
        if 0 in shape or tensor.dtype.hasobject:  # Dask cannot choose chunks by their bytes
            return da.broadcast_to(tensor, shape)
        return da.broadcast_to(tensor, shape, _chunks_of_broadcast(tensor, shape, repeated))

    def reduction(self, name: str, dtype: Any) -> ReductionFunction:
        return reduction_keeping_chunk_class(name, super().reduction(name, dtype))

    @staticmethod
    def concat(tensors: Sequence[Any], axis: int) -> Any:
        check_arrays_can_be_joined(tensors)
        return da.concatenate(tensors, axis, allow_unknown_chunksizes=any(map(has_unknown_length, tensors)))

    @staticmethod
    def stack(tensors: Sequence[Any]) -> Any:
        check_arrays_can_be_joined(tensors)
        return da.stack(tensors, allow_unknown_chunksizes=any(map(has_unknown_length, tensors)))

    def slice(self, tensor: Any, axis: int, start: Any, stop: Any) -> Any:
        if non_int_types([start, stop, shape_with_unknowns(tensor)[axis]]):
            raise unknown_length_error(tensor)
        return super().slice(tensor, axis, start, stop)

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        chunk = tensor.compute()
        return backend_for_type(chunk.__class__).to_numpy(chunk)

    def is_symbolic_size(self, size: Any) -> bool:
        return isinstance(size, UnknownLengthMultiple)

    def can_compare_sizes(self, tensors: Sequence[Any]) -> bool:
        return not any(map(has_unknown_length, tensors))

    def static_shape(self, tensor: Any, rank: int) -> Sequence[int | None]:
        return [None if isinstance(size, UnknownLengthMultiple) else size for size in shape_with_unknowns(tensor)]


BACKEND_FACTORY = DaskBackend
