"""Dask: a call adds tasks to a graph, and computes nothing. The chunks are NumPy's arrays, or another library's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import dask.array as da
import numpy as np

from plait.backends.common.reductions import ReductionTable
from plait.backends.dask.einsum import contract
from plait.backends.dask.shapes import UnknownLength, is_unknown, non_ints, reshape, sizes_of, unknown_length_error
from plait.backends.interface import Backend, Reduction
from plait.backends.numpy.backend import NumpyBackend
from plait.backends.reduction_rules import is_half_precision
from plait.backends.registry import backend_for_type


def _tree(tensor: Any, axes: tuple[int, ...], chunk: Any, aggregate: Any) -> Any:
    meta = da.utils.meta_from_array(tensor, tensor.ndim - len(axes))
    return da.reduction(tensor, chunk, aggregate, axes, combine=chunk, dtype=tensor.dtype, meta=meta)


def _logsumexp(tensor: Any, axes: tuple[int, ...]) -> Any:
    """One pass over the chunks: what is known of each is an element again, and they combine as elements do."""
    backend_for_type(tensor._meta.__class__).reduction(
        "logsumexp", tensor.dtype
    )  # refuses masks before they are computed
    return _tree(tensor, axes, _chunk_logsumexp, _chunk_logsumexp)


def _chunk_logsumexp(chunk: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    result = backend_for_type(chunk.__class__).reduction("logsumexp", chunk.dtype)(chunk, axis)
    return np.expand_dims(result, axis) if keepdims else result


def _extreme(name: str) -> Reduction:
    """A minimum or maximum to which chunks without elements may come, which Dask gives another rank's shape there."""
    dasks, numpys = getattr(da, name), getattr(np, name)

    def reduce(tensor: Any, axes: tuple[int, ...]) -> Any:
        if all(size > 0 for sizes in tensor.chunks for size in sizes):
            return dasks(tensor, axes)
        return _tree(tensor, axes, partial(_chunk_extreme, numpys), numpys)

    return reduce


def _chunk_extreme(reduce: Any, chunk: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    if 0 in [chunk.shape[place] for place in axis]:
        return chunk[tuple([slice(0) if place in axis else slice(None) for place in range(chunk.ndim)])]
    return reduce(chunk, axis=axis, keepdims=keepdims)


class DaskBackend(Backend):
    """Plans call the functions of ``dask.array``, and keep chunks as they are wherever they can."""

    name = "dask"
    reductions = ReductionTable(
        function=partial(getattr, da),
        overrides={"min": _extreme("min"), "max": _extreme("max"), "logsumexp": _logsumexp},
        is_half_precision=is_half_precision,
        unsupported_empty=("var", "std"),
        fill_empty=lambda _, tensor, axes, __: da.mean(tensor.real, axes),  # NaN too, but Dask's own would warn
    )
    einsum_optimizes_path = True
    accepts = frozenset({"numpy"})
    reshape = staticmethod(reshape)
    einsum = staticmethod(contract)
    shape = staticmethod(sizes_of)
    kind = staticmethod(NumpyBackend(np.ndarray).kind)

    def __init__(self, kind: type) -> None:
        if not issubclass(kind, da.Array):
            raise TypeError(f"{kind.__qualname__} is no array")

    @staticmethod
    def permute(tensor: Any, order: Sequence[int]) -> Any:
        return da.transpose(tensor, order) if order else tensor  # Dask reverses where there is no order

    @staticmethod
    def expand(tensor: Any, shape: Sequence[Any]) -> Any:
        own = sizes_of(tensor)
        own = (*((1,) * (len(shape) - len(own))), *own)
        if non_ints(own) != non_ints(shape):
            raise unknown_length_error(tensor)
        new = [place for place, size in enumerate(shape) if own[place] == 1 and size != 1]
        if non_ints(own):  # broadcast_to compares
            tensor = reshape(tensor, own)
            for place in new:
                tensor = da.repeat(tensor, shape[place], place)
            return tensor
        if 0 in shape or tensor.dtype.hasobject:  # of which Dask cannot say how much memory a chunk takes
            return da.broadcast_to(tensor, shape)
        cut = (*((1,) * (len(shape) - tensor.ndim)), *tensor.chunks)
        chunks = tuple(["auto" if place in new else sizes for place, sizes in enumerate(cut)])
        return da.broadcast_to(tensor, shape, da.core.normalize_chunks(chunks, shape, dtype=tensor.dtype))

    @staticmethod
    def concat(tensors: Sequence[Any], axis: int) -> Any:
        return da.concatenate(tensors, axis, allow_unknown_chunksizes=any(map(is_unknown, tensors)))

    @staticmethod
    def stack(tensors: Sequence[Any]) -> Any:
        return da.stack(tensors, allow_unknown_chunksizes=any(map(is_unknown, tensors)))

    def slice(self, tensor: Any, axis: int, start: Any, stop: Any) -> Any:
        if non_ints([start, stop, sizes_of(tensor)[axis]]):
            raise unknown_length_error(tensor)
        return super().slice(tensor, axis, start, stop)

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        chunk = tensor.compute()
        return backend_for_type(chunk.__class__).to_numpy(chunk)

    def is_symbolic(self, size: Any) -> bool:
        return isinstance(size, UnknownLength)

    def comparable(self, tensors: Sequence[Any]) -> bool:
        return not any(map(is_unknown, tensors))

    def static_shape(self, tensor: Any, rank: int) -> Sequence[int | None]:
        return [None if isinstance(size, UnknownLength) else size for size in sizes_of(tensor)]


BACKEND = DaskBackend
