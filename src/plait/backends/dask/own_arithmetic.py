"""Dask arrays whose chunks mean more than their numbers, such as masked arrays and arrays with units.

Some functions of Dask call NumPy's for each chunk and lose the meaning there. Here the backend of the chunk's class is
called. One element of that class shows, before anything is computed, what the result is and whether there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from plait.backends.interface import ReductionFunction
from plait.backends.numpy.backend import NumpyBackend
from plait.backends.numpy.own_arithmetic import has_plain_arithmetic, has_units, stack_of_classes, with_magnitude
from plait.backends.registry import backend_for_type


def has_own_arithmetic(tensor: Any) -> bool:
    """Return whether the chunks of an array are of a subclass of NumPy's arrays that is not plain, or quantities."""
    meta = getattr(tensor, "_meta", tensor)
    return has_units(meta) or (isinstance(meta, np.ndarray) and not has_plain_arithmetic(type(meta)))


def _one_element(tensor: Any) -> Any:
    """Return an array of the class of the chunks and of the rank of the array, with one element, which is 1."""
    meta = getattr(tensor, "_meta", tensor)
    if has_units(meta):  # which numpy.ones_like drops
        return with_magnitude(meta, np.ones((1,) * tensor.ndim, meta.dtype))
    return np.ones_like(meta, shape=(1,) * tensor.ndim)


def reduction_keeping_chunk_class(name: str, reduce: ReductionFunction) -> ReductionFunction:
    """Return a reduction whose result knows the class of its chunks, so that the next operation can ask for it."""

    def reduce_chunks(tensor: Any, axes: tuple[int, ...]) -> Any:
        if not has_own_arithmetic(tensor):
            return reduce(tensor, axes)
        example = _reduce_one_chunk(name, axes, _one_element(tensor))
        if isinstance(tensor._meta, np.ma.MaskedArray):
            return _with_meta(reduce(tensor, axes), _one_element(tensor))
        if name in ("var", "std"):  # Dask's own merge sums of squares with sums
            deviations = tensor - da.mean(tensor, axes, keepdims=True)
            variance = da.mean(deviations * deviations, axes)
            return _with_meta(variance if name == "var" else variance**0.5, example)
        if name == "prod":  # whose unit depends on the length of a chunk
            whole = tensor.rechunk(dict.fromkeys(axes, -1))
            meta = da.utils.meta_from_array(example, tensor.ndim - len(axes))
            chunk_function = partial(_reduce_one_chunk, name, axes)
            return whole.map_blocks(chunk_function, drop_axis=list(axes), dtype=example.dtype, meta=meta)
        return _with_meta(reduce(tensor, axes), example)

    return reduce_chunks


def _reduce_one_chunk(name: str, axes: tuple[int, ...], chunk: Any) -> Any:
    """Reduce one chunk by the backend of its class."""
    return backend_for_type(chunk.__class__).reduction(name, chunk.dtype)(chunk, axes)


def _with_meta(tensor: Any, example: Any) -> Any:
    """Return an array whose chunks are known to be of the class of an example."""
    if isinstance(tensor._meta, np.ma.MaskedArray):  # a sum of all elements has scalars for its example
        return tensor
    meta = da.utils.meta_from_array(example, tensor.ndim, tensor.dtype)
    return da.Array(tensor.dask, tensor.name, tensor.chunks, meta=meta)


def expand_chunks(tensor: Any, chunks: tuple[tuple[int, ...], ...]) -> Any:
    """Broadcast an array to chunks of these lengths; each chunk of the result is a broadcast chunk of the array."""
    new_count = len(chunks) - tensor.ndim
    name = f"broadcast-{tokenize(tensor, chunks)}"
    tasks: dict[Any, Any] = {}
    for place in product(*[range(len(lengths)) for lengths in chunks]):
        source = [min(index, count - 1) for index, count in zip(place[new_count:], tensor.numblocks, strict=True)]
        shape = tuple([lengths[index] for lengths, index in zip(chunks, place, strict=True)])
        key = (name, *place)
        tasks[key] = (_expand_chunk, (tensor.name, *source), shape)
    graph = HighLevelGraph.from_collections(name, tasks, dependencies=[tensor])
    return da.Array(graph, name, chunks, meta=da.utils.meta_from_array(tensor, len(chunks)))


def _expand_chunk(chunk: Any, shape: tuple[int, ...]) -> Any:
    """Broadcast one chunk by the backend of its class."""
    return backend_for_type(chunk.__class__).expand(chunk, shape)


def contract_chunks(terms: Sequence[str], output: str, arrays: Sequence[Any]) -> Any:
    """Contract arrays of which some have an arithmetic of their own: chunk by chunk, and then by sums over chunks."""
    summed = "".join(dict.fromkeys([name for term in terms for name in term if name not in output]))
    equation = f"{','.join(terms)}->{output}"
    example = NumpyBackend.einsum(equation, *[_one_element(array) for array in arrays])
    operands = [part for term, array in zip(terms, arrays, strict=True) for part in (array, tuple(term))]
    result = da.blockwise(
        partial(_contract_chunk, equation, len(summed)),
        (*output, *summed),
        *operands,
        adjust_chunks=dict.fromkeys(summed, 1),
        dtype=example.dtype,
        meta=da.utils.meta_from_array(example, len(output) + len(summed)),
    )
    return result.sum(axis=tuple(range(len(output), result.ndim))) if summed else result


def _contract_chunk(equation: str, summed_count: int, *chunks: Any) -> Any:
    """Contract one chunk of each array; the summed axes stay, with length 1."""
    result = NumpyBackend.einsum(equation, *chunks)
    return np.reshape(result, (*np.shape(result), *[1] * summed_count))


def check_arrays_can_be_joined(tensors: Sequence[Any]) -> None:
    """Raise PLT308 if arrays whose chunks are of these classes cannot be in one list."""
    if any(map(has_own_arithmetic, tensors)):
        stack_of_classes([np.reshape(_one_element(tensor), (1,)) for tensor in tensors])
