"""Reshapes that keep each chunk where all are intervals of the row-major order, before and after.

They are where one dimension is cut anyhow, those in front of it into single rows, and those behind it not at all. Of
lengths that Dask learns only when it computes, as that of ``x[x > 0]``, its shapes have NaN.
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

from plait.backends.common.reshape_groups import common_factors, reshape_groups
from plait.errors import PlaitError, make_error, short_repr


class UnknownLength(float):
    """NaN that knows how many times the length of the one unknown dimension it is."""

    factor: Fraction

    def __new__(cls, factor: Any = 1) -> UnknownLength:  # noqa: PYI034  # Self came with Python 3.11
        self = super().__new__(cls, "nan")
        self.factor = Fraction(factor)
        return self

    def __mul__(self, other: Any) -> Any:
        return UnknownLength(self.factor * other) if type(other) is int else super().__mul__(other)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        return UnknownLength(self.factor / other) if type(other) is int and other else super().__mul__(other)

    def __mod__(self, other: Any) -> Any:
        return 0 if type(other) is int and self.factor % other == 0 else super().__mul__(other)


def sizes_of(tensor: Any) -> tuple[Any, ...]:
    """The shape: ints, and symbols for what is unknown."""
    return tuple([int(size) if size == size else UnknownLength() for size in tensor.shape])  # noqa: PLR0124  # NaN differs


def is_unknown(tensor: Any) -> bool:
    """Whether the length of a dimension is unknown."""
    return any(type(size) is UnknownLength for size in sizes_of(tensor))


def non_ints(shape: Sequence[Any]) -> list[type]:
    """The types of the sizes in a shape that are not ints."""
    return [type(size) for size in shape if type(size) is not int]


def comparison_key(size: Any) -> tuple[bool, Any]:
    """What sizes are compared by: with an unknown length in it, a size is none of those without."""
    return (True, size.factor) if type(size) is UnknownLength else (False, size)


def unknown_length_error(tensor: Any) -> PlaitError:
    """The error where a length is needed."""
    message = "this needs a length that Dask does not know yet; call compute_chunk_sizes() of the array first"
    return make_error("PLT303", message, facts={"input": short_repr(tensor.shape)})


def reshape(tensor: Any, shape: Sequence[Any]) -> Any:
    """The elements in row-major order in another shape, where dimensions are merged and split."""
    tensor = da.asanyarray(tensor)
    before, after = sizes_of(tensor), tuple(shape)
    if before == after:
        return tensor
    if non_ints(before) != non_ints(after) or len(non_ints(after)) > 1:
        raise unknown_length_error(tensor)
    if 0 in before:
        return da.empty_like(tensor, shape=after, chunks=after)
    chunks, grid = list[Any](), list[Any]()
    for start, stop, run in reshape_groups(before, after, comparison_key):
        old, cut = before[start:stop], tensor.chunks[start:stop]
        lengths = _intervals(old, cut)
        new = None if lengths is None else _cut(lengths, run)
        if new is None and non_ints(old):
            raise unknown_length_error(tensor)
        if new is None and min(len(old), len(run)) > 1:  # which Dask does not do at once
            return reshape(reshape(tensor, (*before[:start], *common_factors(old, run), *before[stop:])), after)
        cut, new = (cut, new) if new is not None else reshape_rechunk(old, run, cut)[:2]
        chunks += cut
        grid += new
    return _regrouped(tensor.rechunk(tuple(chunks)), grid)


def _intervals(shape: tuple[Any, ...], chunks: tuple[Any, ...]) -> list[Any] | None:
    """The lengths of the chunks of a run, where all of them are intervals of the row-major order."""
    place = next((place for place, sizes in enumerate(chunks) if set(sizes) != {1}), len(shape))
    if any(len(sizes) > 1 for sizes in chunks[place + 1 :]):
        return None
    inside = prod(shape[place + 1 :])
    tile = [(UnknownLength() if size != size else size) * inside for size in (*chunks, (1,))[place]]  # noqa: PLR0124  # NaN
    return tile * prod(shape[:place])


def _cut(lengths: list[Any], shape: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The chunks of a run of that shape which are the intervals of these lengths, if there are such chunks."""
    if not shape:
        return ()
    inside = prod(shape[1:])
    if all(length % inside == 0 for length in lengths):
        return tuple([length // inside for length in lengths]), *[(size,) for size in shape[1:]]
    rows = 0 if non_ints(shape[:1]) else shape[0]
    row = lengths[: len(lengths) // rows] if rows else []
    behind = _cut(row, shape[1:]) if row * rows == lengths else None
    return None if behind is None else ((1,) * rows, *behind)


def _regrouped(tensor: Any, chunks: list[Any]) -> Any:
    """The same chunks in the same order, in another grid."""
    name = f"reshape-{tokenize(tensor, chunks)}"
    old = product([tensor.name], *map(range, tensor.numblocks))
    new = product([name], *[range(len(sizes)) for sizes in chunks])
    shapes = product(*[[-1 if type(size) is UnknownLength else size for size in sizes] for sizes in chunks])
    tasks = {key: (np.reshape, source, shape) for key, source, shape in zip(new, old, shapes, strict=True)}
    graph = HighLevelGraph.from_collections(name, tasks, dependencies=[tensor])
    known = tuple([tuple([np.nan if type(size) is UnknownLength else size for size in sizes]) for sizes in chunks])
    return da.Array(graph, name, known, meta=da.utils.meta_from_array(tensor, len(chunks)))
