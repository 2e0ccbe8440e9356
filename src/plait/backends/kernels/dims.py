"""Sorts the dimensions of a copy or a reduction by their strides, and merges those that are adjacent in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Dim(NamedTuple):
    """A dimension: its size, and its strides in bytes in the source and in the result; no ``out`` if it is reduced."""

    size: int
    source: int
    out: int | None


class Layout(NamedTuple):
    """Dimensions from the outermost to the innermost, and the offsets of the element that is visited first.

    The offsets are in bytes from the first elements of the source and of the result.
    """

    dims: tuple[Dim, ...]
    source: int
    out: int


def layout(shape: Sequence[int], strides: Sequence[int], out_strides: Sequence[int]) -> Layout:
    """Return the fewest dimensions that visit the same elements; those without an out stride are reduced.

    A copy visits the result in the order of its memory, and a reduction the source, both with positive strides.

    >>> layout((2, 3, 4), (48, 16, 4), (48, 16, 4)).dims
    (Dim(size=24, source=4, out=4),)
    >>> layout((4, 6), (-24, 4), (4,))
    Layout(dims=(Dim(size=4, source=24, out=-4), Dim(size=6, source=4, out=None)), source=-72, out=12)
    """
    reducing = len(out_strides) < len(shape)
    outs = [*out_strides, *[None] * (len(shape) - len(out_strides))]
    dims, source, out = [], 0, 0
    for dim in map(Dim, shape, strides, outs):
        if dim.size == 1:
            continue
        if (dim.source if reducing else dim.out or 0) < 0:  # visit it from its end, so that the stride is positive
            source += dim.source * (dim.size - 1)
            out += (dim.out or 0) * (dim.size - 1)
            dims.append(Dim(dim.size, -dim.source, None if dim.out is None else -dim.out))
        else:
            dims.append(dim)
    dims.sort(key=lambda dim: _step(dim.source if reducing else dim.out or 0), reverse=True)
    return Layout(tuple(_merged(dims)), source, out)


def _step(stride: int) -> float:
    """Return the key to sort by: a dimension with stride 0 is outermost, or it would separate adjacent dimensions."""
    return stride or float("inf")


def _merged(dims: Sequence[Dim]) -> list[Dim]:
    """Return the dimensions, with adjacent ones merged where their strides allow it."""
    result: list[Dim] = []
    for dim in dims:
        if result and _continues(result[-1], dim):
            result[-1] = Dim(result[-1].size * dim.size, dim.source, dim.out)
        else:
            result.append(dim)
    return result


def _continues(outer: Dim, inner: Dim) -> bool:
    """Return whether one step of the outer dimension is as long as the inner one, in the source and in the result."""
    if outer.source != inner.size * inner.source or (outer.out is None) != (inner.out is None):
        return False
    return outer.out is None or inner.out is None or outer.out == inner.size * inner.out
