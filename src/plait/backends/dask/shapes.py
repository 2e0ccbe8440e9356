"""Reshapes of Dask arrays that keep each chunk if its elements are consecutive before and after the reshape.

Such a chunk is called an *interval*. All chunks are intervals if the dimensions before some dimension have chunks of
length 1, and those after it have one chunk. A length that Dask learns only when it computes, such as that of
``x[x > 0]``, is NaN in a shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

import dask.array as da
import numpy as np
from dask.array.reshape import reshape_rechunk
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from plait.backends.common.independent_reshapes import common_factors, independent_reshapes
from plait.errors import PlaitError, make_error, short_repr


class UnknownLengthMultiple(float):
    """A NaN that stands for an unknown length multiplied by ``factor``; a shape may have one unknown length."""

    factor: Fraction

    def __new__(cls, factor: Any = 1) -> UnknownLengthMultiple:  # noqa: PYI034  # Self came with Python 3.11
        self = super().__new__(cls, "nan")
        self.factor = Fraction(factor)
        return self

    def __mul__(self, other: Any) -> Any:
        return UnknownLengthMultiple(self.factor * other) if type(other) is int else super().__mul__(other)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        return UnknownLengthMultiple(self.factor / other) if type(other) is int and other else super().__mul__(other)

    def __mod__(self, other: Any) -> Any:
        return 0 if type(other) is int and self.factor % other == 0 else super().__mul__(other)


def shape_with_unknowns(tensor: Any) -> tuple[Any, ...]:
    """Return the shape: an int for each length, or `UnknownLengthMultiple` if Dask does not know it."""
    return tuple([int(size) if size == size else UnknownLengthMultiple() for size in tensor.shape])  # noqa: PLR0124  # NaN differs from itself


def has_unknown_length(tensor: Any) -> bool:
    """Return whether the length of a dimension is unknown."""
    return any(type(size) is UnknownLengthMultiple for size in shape_with_unknowns(tensor))


def non_int_types(shape: Sequence[Any]) -> list[type]:
    """Return the types of the sizes in a shape that are not ints."""
    return [type(size) for size in shape if type(size) is not int]


def comparison_key(size: Any) -> tuple[bool, Any]:
    """Return the key by which sizes are compared; that of a multiple of the unknown length differs from every int's."""
    return (True, size.factor) if type(size) is UnknownLengthMultiple else (False, size)


def unknown_length_error(tensor: Any) -> PlaitError:
    """Return the error for an operation that needs a length which Dask does not know."""
    message = "this needs a length that Dask does not know yet; call array.compute_chunk_sizes() first"
    return make_error("PLT303", message, facts={"input": short_repr(tensor.shape)})


def reshape(tensor: Any, shape: Sequence[Any]) -> Any:
    """Reshape an array: split and merge its dimensions in row-major order."""
    tensor = da.asanyarray(tensor)
    old_shape, new_shape = shape_with_unknowns(tensor), tuple(shape)
    if old_shape == new_shape:
        return tensor
    if non_int_types(old_shape) != non_int_types(new_shape) or len(non_int_types(new_shape)) > 1:
        raise unknown_length_error(tensor)
    if 0 in old_shape:
        return da.empty_like(tensor, shape=new_shape, chunks=new_shape)
    chunks, grid = list[Any](), list[Any]()
    for start, stop, run in independent_reshapes(old_shape, new_shape, comparison_key):
        old, old_chunks = old_shape[start:stop], tensor.chunks[start:stop]
        lengths = _elements_per_chunk(old, old_chunks)
        new = None if lengths is None else _chunks_from_intervals(lengths, run)
        if new is None and non_int_types(old):
            raise unknown_length_error(tensor)
        if new is None and min(len(old), len(run)) > 1:  # Dask does not merge and split at once
            return reshape(
                reshape(tensor, (*old_shape[:start], *common_factors(old, run), *old_shape[stop:])), new_shape
            )
        old_chunks, new = (old_chunks, new) if new is not None else reshape_rechunk(old, run, old_chunks)[:2]
        chunks += old_chunks
        grid += new
    return _reshape_each_chunk(tensor.rechunk(tuple(chunks)), grid)


def _elements_per_chunk(shape: tuple[Any, ...], chunks: tuple[Any, ...]) -> list[Any] | None:
    """Return the number of elements of each chunk of adjacent dimensions; ``None`` unless all chunks are intervals."""
    split = next((dimension for dimension, lengths in enumerate(chunks) if set(lengths) != {1}), len(shape))
    if any(len(lengths) > 1 for lengths in chunks[split + 1 :]):
        return None
    inside = prod(shape[split + 1 :])
    tile = [(UnknownLengthMultiple() if size != size else size) * inside for size in (*chunks, (1,))[split]]  # noqa: PLR0124  # NaN differs from itself
    return tile * prod(shape[:split])


def _chunks_from_intervals(lengths: list[Any], shape: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Return chunks of adjacent dimensions that are intervals of these numbers of elements; ``None`` if there are none.

    The result has the lengths of the chunks for each dimension.
    """
    if not shape:
        return ()
    inside = prod(shape[1:])
    if all(length % inside == 0 for length in lengths):
        return tuple([length // inside for length in lengths]), *[(size,) for size in shape[1:]]
    rows = 0 if non_int_types(shape[:1]) else shape[0]
    row = lengths[: len(lengths) // rows] if rows else []
    behind = _chunks_from_intervals(row, shape[1:]) if row * rows == lengths else None
    return None if behind is None else ((1,) * rows, *behind)


def _reshape_each_chunk(tensor: Any, chunks: list[Any]) -> Any:
    """Reshape each chunk; ``chunks`` are the new lengths of chunks for each dimension. The order of chunks is kept."""
    name = f"reshape-{tokenize(tensor, chunks)}"
    old = product([tensor.name], *map(range, tensor.numblocks))
    new = product([name], *[range(len(sizes)) for sizes in chunks])
    shapes = product(*[[-1 if type(size) is UnknownLengthMultiple else size for size in sizes] for sizes in chunks])
    tasks = {key: (np.reshape, source, shape) for key, source, shape in zip(new, old, shapes, strict=True)}
    graph = HighLevelGraph.from_collections(name, tasks, dependencies=[tensor])
    known = tuple(
        [tuple([np.nan if type(size) is UnknownLengthMultiple else size for size in sizes]) for sizes in chunks]
    )
    return da.Array(graph, name, known, meta=da.utils.meta_from_array(tensor, len(chunks)))
