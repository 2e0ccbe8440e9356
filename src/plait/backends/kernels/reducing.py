"""Plans how an array is reduced in one pass over its memory.

The innermost elements of the source, which are evenly spaced, form a *row*, and each of them has an accumulator, its
*lane*. The elements of each further row are combined with the lanes one by one, a loop that the compiler vectorizes
whichever axes are reduced. At the end the lanes of the same result are *folded*, combined into one. The lanes form
three axes, of which each may have length 1: kept, folded, kept. If the lanes are few, those of several rows are stored
one after the other, as a *stack*, and are folded together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from plait.backends.kernels.dims import Dim, layout

LANES = 8192
"""The largest size of all lanes in bytes: together with a row of the source they fit into the first-level cache."""

OUTER, FOLDED, INNER = range(3)
"""The three axes of the lanes: kept, folded, kept."""


@dataclass(frozen=True)
class Reduction:
    """The plan of a reduction, which the kernel executes.

    Attributes:
        source, out: the offset of the element that is visited first, in bytes from the first element of the tensor.
        head: fourteen numbers. The lengths of the three axes of the lanes; the bytes in the source from lane to lane;
            the strides of the result in bytes along the two kept axes. Of the dimension that was added to the lanes
            last, which is computed in blocks: its length, the length of a block, the number of lanes of each of its
            elements, and its axis, such as ``FOLDED``. Of the dimension that is stacked: its length, how many of its
            elements a stack has, and its stride in bytes in the source. A zero, which `arithmetic` explains.
        outer: the loops over the kept dimensions; for each the number of iterations, the steps in bytes in the source
            and in the result, and the steps along the dimension in blocks and along the stacked dimension.
        inner: the loops over the reduced dimensions; for each the number of iterations, the step in bytes in the
            source, and the step along the dimension in blocks.
        count: how many elements are reduced to one.
        tasks: the number of iterations of the outer loops.
        size: the number of bytes that are read.
    """

    source: int
    out: int
    head: tuple[int, ...]
    outer: tuple[tuple[int, ...], ...]
    inner: tuple[tuple[int, ...], ...]
    count: int
    tasks: int
    size: int


@dataclass
class _Lanes:
    """The lanes, to which dimensions are added from the innermost outwards; the fields are explained at `Reduction`."""

    room: int
    step: int
    sizes: list[int]
    outs: list[int]
    block: int = 1
    whole: int = 1
    each: int = 1
    place: int = INNER

    def take(self, dim: Dim) -> bool:
        """Add a dimension to the lanes if it continues them in memory and has room; return whether it was added."""
        have, place = prod(self.sizes), self._place(dim)
        room = self.room // have
        if dim.source != self.step * have or place is None or room < 2 or self.block < self.whole:
            return False
        self.block, self.whole, self.each, self.place = min(dim.size, room), dim.size, have, place
        self.sizes[place] = self.block
        self.outs[place] = dim.out or 0
        return True

    def stack(self, dim: Dim) -> int:
        """Return how many elements of a dimension a stack of lanes has; 1 if its results cannot be written together."""
        here = dim.out == self.sizes[OUTER] * self.outs[OUTER] or self.sizes[OUTER] == 1
        whole = self.block == self.whole or self.place != OUTER
        return min(dim.size, self.room // prod(self.sizes)) if dim.out is not None and here and whole else 1

    def _place(self, dim: Dim) -> int | None:
        """Return the axis of the lanes to which a dimension can be added, such as ``INNER``, or ``None``."""
        outer, folded, inner = (size > 1 for size in self.sizes)
        if dim.out is None:
            return None if outer or folded else FOLDED
        if outer or (inner and not folded):
            return None
        return OUTER if folded else INNER


def reduce_plan(
    shape: Sequence[int], strides: Sequence[int], out_strides: Sequence[int], itemsize: int, room: int
) -> Reduction:
    """Plan the reduction of the last dimensions, which have no out stride, with at most ``room`` lanes.

    >>> reduce_plan((3, 4, 2, 2), (64, 8, 32, 4), (16, 4), 4, 2048).head[:3]  # windows of 2 by 2
    (4, 2, 1)
    """
    found = layout(shape, strides, out_strides)
    dims = list(found.dims)
    lanes = _Lanes(room, dims[-1].source if dims else itemsize, [1, 1, 1], [0, 0, 0])
    while dims and lanes.take(dims[-1]):
        dims.pop()
    kept = [dim for dim in dims if dim.out is not None]
    pile = kept[-1] if kept else Dim(1, 0, 0)
    deep = lanes.stack(pile)
    if deep > 1:
        kept.pop()
        if lanes.sizes[OUTER] == 1:
            lanes.outs[OUTER] = pile.out or 0
    else:
        pile = Dim(1, 0, 0)
    outer = [(dim.size, dim.source, dim.out or 0, 0, 0) for dim in kept]
    outer.append((-(-pile.size // deep), deep * pile.source, deep * (pile.out or 0), 0, deep))
    inner = [(dim.size, dim.source, 0) for dim in dims if dim.out is None]
    blocks, stride = -(-lanes.whole // lanes.block), lanes.block * lanes.each * lanes.step
    if lanes.place == FOLDED:
        inner.append((blocks, stride, lanes.block))
    else:
        outer.append((blocks, stride, lanes.block * lanes.outs[lanes.place], lanes.block, 0))
    outs = (lanes.outs[OUTER], lanes.outs[INNER])
    within = (lanes.whole, lanes.block, lanes.each, lanes.place)
    head = (*lanes.sizes, lanes.step, *outs, *within, pile.size, deep, pile.source, 0)
    count, tasks = prod(shape[len(out_strides) :]), prod([loop[0] for loop in outer])
    size = prod(shape) * itemsize
    return Reduction(found.source, found.out, head, tuple(outer), tuple(inner), count, tasks, size)
