"""The reductions of Dask: each a tree over the chunks, with the meaning that they have on every framework."""

from __future__ import annotations

from functools import partial
from typing import Any

import dask.array as da
import numpy as np

from plait.backends.common.reductions import ReductionTable
from plait.backends.interface import Reduction
from plait.backends.reduction_rules import ROUNDING, is_half
from plait.backends.registry import backend_of


def _tree(tensor: Any, axes: tuple[int, ...], chunk: Any, aggregate: Any) -> Any:
    meta = da.utils.meta_from_array(tensor, tensor.ndim - len(axes))
    return da.reduction(tensor, chunk, aggregate, axes, combine=chunk, dtype=tensor.dtype, meta=meta)


def _logsumexp(tensor: Any, axes: tuple[int, ...]) -> Any:
    """One pass over the chunks: what is known of each is an element again, and they combine as elements do."""
    backend_of(tensor._meta.__class__).reduction("logsumexp", tensor.dtype)  # refuses masks before they are computed
    return _tree(tensor, axes, _chunk_logsumexp, _chunk_logsumexp)


def _chunk_logsumexp(chunk: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    result = backend_of(chunk.__class__).reduction("logsumexp", chunk.dtype)(chunk, axis)
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


REDUCTIONS = ReductionTable(
    function=partial(getattr, da),
    cast=da.Array.astype,
    special={"min": _extreme("min"), "max": _extreme("max"), "logsumexp": _logsumexp},
    upcast={"half": ROUNDING},
    is_half=is_half,
    not_of_empty=("var", "std"),
    fill=lambda _, tensor, axes, __: da.mean(tensor.real, axes),  # NaN too, but Dask's own would warn
)
