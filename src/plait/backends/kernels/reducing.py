"""How an array is reduced in one pass over its memory.

The innermost elements are *lanes*: as many accumulators side by side, to which the next row of lanes is joined, and the
next, so that the processor's vectors work whichever axes are reduced. At the end the lanes that belong together are
folded into one. Lanes are three axes, of which each may be 1: kept, folded, kept. Where they are few, those of several
results stand in a *stack*, one after the other, and are folded together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from plait.backends.kernels.dims import Dim, layout

LANES = 8192
"""The bytes of the accumulators, at most: with their row of the source they fit a first cache."""

OUTER, FOLDED, INNER = range(3)
"""The places of the axes among the lanes."""


@dataclass(frozen=True)
class Reduction:
    """What the kernel is told.

    Attributes:
        source, out: where the first element is, in bytes from the first element of the tensors.
        head: the sizes of the three axes, the step from lane to lane and those of the result along the kept axes, in
            bytes; then of the outermost axis of the lanes, which comes in blocks: its whole size, a block's, how many
            lanes each of its elements has, and its place; then of the stack: its whole size, how many are in it at a
            time, and the step from one to the next, in bytes; last a zero.
        outer: the loops over what is kept; of each the count, the steps in bytes, and those along the blocks and along
            the stack.
        inner: the loops over what is reduced; of each the count, the step in bytes, and that along the blocks.
        count: how many elements become one.
        tasks: how often the lanes are filled.
        size: bytes that are read.
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
    """The lanes while they are being gathered, from the innermost dimension outwards."""

    room: int
    step: int
    sizes: list[int]
    outs: list[int]
    block: int = 1
    whole: int = 1
    each: int = 1
    place: int = INNER

    def take(self, dim: Dim) -> bool:
        """Whether the dimension goes on where the lanes end, and has a place among them."""
        have, place = prod(self.sizes), self._place(dim)
        room = self.room // have
        if dim.source != self.step * have or place is None or room < 2 or self.block < self.whole:
            return False
        self.block, self.whole, self.each, self.place = min(dim.size, room), dim.size, have, place
        self.sizes[place] = self.block
        self.outs[place] = dim.out or 0
        return True

    def stack(self, dim: Dim) -> int:
        """How many elements of a dimension have lanes one after the other, if its results go on, too."""
        here = dim.out == self.sizes[OUTER] * self.outs[OUTER] or self.sizes[OUTER] == 1
        whole = self.block == self.whole or self.place != OUTER
        return min(dim.size, self.room // prod(self.sizes)) if dim.out is not None and here and whole else 1

    def _place(self, dim: Dim) -> int | None:
        outer, folded, inner = (size > 1 for size in self.sizes)
        if dim.out is None:
            return None if outer or folded else FOLDED
        if outer or (inner and not folded):
            return None
        return OUTER if folded else INNER


def reduce_plan(
    shape: Sequence[int], strides: Sequence[int], out_strides: Sequence[int], itemsize: int, room: int
) -> Reduction:
    """The plan for a reduction of the dimensions that have no out stride, with room for so many lanes.

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
