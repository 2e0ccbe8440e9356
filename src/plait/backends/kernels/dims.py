"""The dimensions of a task, in the order and the number in which memory has them, whatever the tensor calls them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Dim(NamedTuple):
    """So many steps, each of so many bytes in the source and in the result; ``None`` where the result has no such."""

    size: int
    source: int
    out: int | None


class Layout(NamedTuple):
    """Dimensions from the outermost to the innermost, and where the first element is, in bytes from the given one."""

    dims: tuple[Dim, ...]
    source: int
    out: int


def layout(shape: Sequence[int], strides: Sequence[int], out_strides: Sequence[int]) -> Layout:
    """The fewest dimensions that visit the same elements; those without an out stride are reduced.

    A copy is in the order of its result, a reduction in that of its source: each writes or reads memory as it lies.

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
        if (dim.source if reducing else dim.out or 0) < 0:  # walk it backwards
            source += dim.source * (dim.size - 1)
            out += (dim.out or 0) * (dim.size - 1)
            dims.append(Dim(dim.size, -dim.source, None if dim.out is None else -dim.out))
        else:
            dims.append(dim)
    dims.sort(key=lambda dim: _step(dim.source if reducing else dim.out or 0), reverse=True)
    return Layout(tuple(_merged(dims)), source, out)


def _step(stride: int) -> float:
    """What repeats the same memory belongs outside: it would part neighbours."""
    return stride or float("inf")


def _merged(dims: Sequence[Dim]) -> list[Dim]:
    result: list[Dim] = []
    for dim in dims:
        if result and _continues(result[-1], dim):
            result[-1] = Dim(result[-1].size * dim.size, dim.source, dim.out)
        else:
            result.append(dim)
    return result


def _continues(outer: Dim, inner: Dim) -> bool:
    """Whether the outer dimension goes on where the inner one ends, on both sides."""
    if outer.source != inner.size * inner.source or (outer.out is None) != (inner.out is None):
        return False
    return outer.out is None or inner.out is None or outer.out == inner.size * inner.out
