"""The coalescing of axes: axes that are adjacent in every tensor that has them may be treated as one axis."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import chain


def group_adjacent_axes(
    tensors: Iterable[Iterable[Sequence[int]]], *, across: bool = False, separate: Collection[int] = ()
) -> list[tuple[int, ...]]:
    """Return the longest groups of axes that are adjacent, in this order, in every tensor that has one of them.

    A tensor is given as its dimensions, and a dimension as its axes. If ``across`` is true, the last axis of a
    dimension and the first axis of the next one count as adjacent. The axes in ``separate`` are not coalesced.

    >>> group_adjacent_axes([((0, 1), (2,)), ((2,), (3,)), ((0, 1), (3,))])
    [(0, 1), (2,), (3,)]
    >>> group_adjacent_axes([((0,), (1,), (2,)), ((2,), (0, 1))], across=True)
    [(0, 1), (2,)]
    """
    before: dict[int, int | None] = {}  # the axis before each axis; None if there are several or none
    after: dict[int, int | None] = {}
    for dims in tensors:
        for axes in (tuple(chain.from_iterable(dims)),) if across else dims:
            if len(axes) == 1:  # a fast path for the common case
                before[axes[0]] = after[axes[0]] = None
                continue
            last = None
            for axis in axes:
                if before.setdefault(axis, last) != last:
                    before[axis] = None
                if last is not None and after.setdefault(last, axis) != axis:
                    after[last] = None
                last = axis
            if last is not None:
                after[last] = None
    groups: list[tuple[int, ...]] = []
    for axis, last in before.items():  # in order of first appearance
        if last is not None and after[last] == axis and axis not in separate and last not in separate:
            groups[-1] = (*groups[-1], axis)
        else:
            groups.append((axis,))
    return groups
