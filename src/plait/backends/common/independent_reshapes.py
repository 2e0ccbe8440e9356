"""Split a reshape into independent groups of dimensions, for frameworks that divide a tensor into shards or chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate, pairwise
from operator import mul
from typing import Any


def independent_reshapes(
    old_shape: tuple[Any, ...], new_shape: tuple[Any, ...], measure: Callable[[Any], Any] = lambda size: size
) -> Iterator[tuple[int, int, tuple[Any, ...]]]:
    """Yield the smallest groups of adjacent dimensions that are reshaped together: start, stop, and new lengths.

    A dimension of length 1 at the edge of a group is a group of its own. Neither shape may have a dimension of length
    0. ``measure`` maps sizes to values that can be compared.

    >>> list(independent_reshapes((6, 5, 2, 2), (2, 3, 5, 4)))
    [(0, 1, (2, 3)), (1, 2, (5,)), (2, 4, (4,))]
    >>> list(independent_reshapes((2, 3), (6, 1)))
    [(0, 2, (6,)), (2, 2, (1,))]
    """
    stop = end = 0
    while stop < len(old_shape) or end < len(new_shape):
        start, first, left, right = stop, end, 1, 1
        if stop == len(old_shape) or (end < len(new_shape) and new_shape[end] == 1):
            right, end = right * new_shape[end], end + 1
        else:
            left, stop = left * old_shape[stop], stop + 1
        while measure(left) != measure(right):
            if measure(left) < measure(right):
                left, stop = left * old_shape[stop], stop + 1
            else:
                right, end = right * new_shape[end], end + 1
        yield start, stop, new_shape[first:end]


def common_factors(lengths: tuple[int, ...], other_lengths: tuple[int, ...]) -> list[int]:
    """Return factors such that each length of both tuples is the product of some adjacent factors.

    >>> common_factors((6, 4), (2, 12))
    [2, 3, 4]
    """
    cuts = sorted({*accumulate(lengths, mul), *accumulate(other_lengths, mul)} - {1})
    return [large // small for small, large in pairwise([1, *cuts])]
