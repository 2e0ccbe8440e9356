"""Which dimensions of a reshape belong together, for frameworks that keep parts of a tensor apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate, pairwise
from operator import mul
from typing import Any


def reshape_groups(
    before: tuple[Any, ...], after: tuple[Any, ...], measure: Callable[[Any], Any] = lambda size: size
) -> Iterator[tuple[int, int, tuple[Any, ...]]]:
    """The shortest runs of dimensions with the same elements: start, stop, and new lengths; of shapes without a 0.

    >>> list(reshape_groups((6, 5, 2, 2), (2, 3, 5, 4)))
    [(0, 1, (2, 3)), (1, 2, (5,)), (2, 4, (4,))]
    """
    stop = end = 0
    while stop < len(before) or end < len(after):
        start, first, left, right = stop, end, 1, 1
        while (start, first) == (stop, end) or measure(left) != measure(right):
            if end == len(after) or (stop < len(before) and after[end] != 1 and measure(left) <= measure(right)):
                left, stop = left * before[stop], stop + 1
            else:
                right, end = right * after[end], end + 1
        yield start, stop, after[first:end]


def common_factors(one: tuple[int, ...], other: tuple[int, ...]) -> list[int]:
    """Lengths of which both runs of dimensions are products.

    >>> common_factors((6, 4), (2, 12))
    [2, 3, 4]
    """
    cuts = sorted({*accumulate(one, mul), *accumulate(other, mul)} - {1})
    return [large // small for small, large in pairwise([1, *cuts])]
