"""Which axes may be treated as one, because they are adjacent in every tensor that has them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import chain


def coalesce_axes(
    tensors: Iterable[Iterable[Sequence[int]]], *, across: bool = False, separate: Collection[int] = ()
) -> list[tuple[int, ...]]:
    """The longest runs of axes that are adjacent, in this order, wherever one of them appears.

    Where ``across`` is true, the last axis of a dimension and the first of the next are adjacent.

    >>> coalesce_axes([((0, 1), (2,)), ((2,), (3,)), ((0, 1), (3,))])
    [(0, 1), (2,), (3,)]
    >>> coalesce_axes([((0,), (1,), (2,)), ((2,), (0, 1))], across=True)
    [(0, 1), (2,)]
    """
    before: dict[int, int | None] = {}  # the axis that precedes each, None where there are several or none
    after: dict[int, int | None] = {}
    for dims in tensors:
        for axes in (tuple(chain.from_iterable(dims)),) if across else dims:
            if len(axes) == 1:  # as most are
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
    runs: list[tuple[int, ...]] = []
    for axis, last in before.items():  # in the order of their first appearance: a run is complete before the next
        if last is not None and after[last] == axis and axis not in separate and last not in separate:
            runs[-1] = (*runs[-1], axis)
        else:
            runs.append((axis,))
    return runs
