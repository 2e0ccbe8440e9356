"""The fewest transposes of bounded rank that bring the axes of a tensor into another order.

A transpose of rank ``r`` cuts the axes, in their order, into at most ``r`` segments and reorders these. Axes that stay
side by side in the wanted order are one *block*, which an optimal sequence need not cut: leave all axes of each block
but one out of every step of a sequence, and the steps still sort what remains. One transpose joins at most ``r - 1``
pairs of neighbours, so that ``n`` blocks need at least ``(n - 1) / (r - 1)`` transposes. The search tries this number
first, then one more, and so on; it follows a transpose only if those that are left can sort what it gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from itertools import chain, combinations, groupby, pairwise, permutations
from typing import NamedTuple, TypeAlias

from plait._caches import clearable_lru_cache

Block: TypeAlias = "tuple[int, ...]"
"""Axes that stay side by side, in order. An axis that is kept has the number of its place in the wanted order; those
that are reduced have negative numbers, ascending in their original order."""

Blocks: TypeAlias = "tuple[Block, ...]"
"""The axes of a tensor, in their order."""

MAX_TRIED_TRANSPOSES = 100_000
"""The most transposes that a search tries; after them each transpose joins as many neighbours as it can."""

MAX_SEGMENTS_WITHOUT_SEARCH = 4
"""The most segments of a transpose that is chosen without a search."""


class Reducibility(Enum):
    """How the axes that a reduction removes may be divided among calls of it."""

    PARTS = "parts"
    """Some first and then the others, as those of a sum."""
    WHOLE = "whole"
    """All in one call, in any order, as those of a variance."""
    ORDERED = "ordered"
    """All in one call, in their original order, as those of a function of the caller."""


class Transpose(NamedTuple):
    """A transpose: the axes of each dimension before it, and the order of these dimensions after it."""

    segments: Blocks
    order: tuple[int, ...]


class _SearchLimitError(Exception):
    """The search has tried `MAX_TRIED_TRANSPOSES` transposes."""


@clearable_lru_cache(maxsize=1024)
def find_transposes(
    axes: Block, max_rank: int, starts: frozenset[int], reducibility: Reducibility = Reducibility.WHOLE
) -> tuple[Transpose, ...]:
    """Return the fewest transposes that sort axes, and of these sequences the one that moves the fewest bytes.

    Negative axes are reduced, by one call, as soon as they and the others are at most ``max_rank`` dimensions; the
    earlier that is, the fewer bytes the transposes after it move. Beyond `MAX_TRIED_TRANSPOSES` the sequence may be
    longer than needed.

    Args:
        axes: The axes in their order, numbered as those of a `Block`.
        max_rank: The most dimensions of a transpose, at least 3.
        starts: The places in the wanted order where a dimension of the result starts. If the last transpose cuts
            nowhere else, its result is a view of the wanted shape.
        reducibility: How the negative axes may be reduced: ``WHOLE`` or ``ORDERED``.

    Returns:
        The transposes in order.

    Examples:
        >>> find_transposes((2, 1, 0), 3, frozenset())
        (Transpose(segments=((2,), (1,), (0,)), order=(2, 1, 0)),)
        >>> len(find_transposes((4, 3, 2, 1, 0), 4, frozenset()))
        2
    """
    return _TransposeSearch(max_rank, starts, reducibility).find(axes)


def can_reduce(axes: Iterable[int], max_rank: int, reducibility: Reducibility) -> bool:
    """Whether one call can reduce the negative axes of a tensor with at most so many dimensions.

    >>> [can_reduce((0, -2, 1, -1), rank, Reducibility.ORDERED) for rank in (3, 4)]
    [False, True]
    """
    axes = tuple(axes)
    reduced = [axis for axis in axes if axis < 0]
    is_ordered = reducibility is not Reducibility.ORDERED or reduced == sorted(reduced)
    return is_ordered and len([*groupby(axes, lambda axis: axis < 0)]) <= max_rank


class _TransposeSearch:
    """A depth-first search for a sequence of a given length, of which so many transposes come before the reduction."""

    def __init__(self, max_rank: int, starts: frozenset[int], reducibility: Reducibility) -> None:
        self.max_rank, self.starts, self.reducibility = max_rank, starts, reducibility
        self.failed: set[tuple[Blocks, int, int, bool]] = set()
        self.tries_left = MAX_TRIED_TRANSPOSES

    def find(self, axes: Block) -> tuple[Transpose, ...]:
        """Return the best sequence of transposes; see `find_transposes`."""
        start = self.coalesce([(axis,) for axis in axes])
        found = None
        try:
            length = self.lower_bound(start)
            while (found := self.extend(start, length, length, must_be_view=False)) is None:
                length += 1
            for full_sized in range(1, length + 1) if _has_reduced(start) else (0,):
                for must_be_view in (True, False):
                    cheaper = self.extend(start, length, full_sized, must_be_view)
                    if cheaper is not None:
                        return cheaper
        except _SearchLimitError:
            pass
        return self.find_without_search(start) if found is None else found

    def extend(self, blocks: Blocks, length: int, full_sized: int, must_be_view: bool) -> tuple[Transpose, ...] | None:
        """Return so many transposes that sort the blocks, at most ``full_sized`` of them before the reduction."""
        has_reduced = _has_reduced(blocks)
        if len(blocks) <= 1:
            return () if length == 0 else None
        if (
            length == 0
            or (has_reduced and full_sized == 0)
            or (blocks, length, full_sized, must_be_view) in self.failed
        ):
            return None
        if length == 1 and not has_reduced:
            return self.sort_at_once(blocks, must_be_view)
        last_rank = min(self.max_rank, len(self.starts)) if must_be_view else self.max_rank
        most_blocks = last_rank + (length - 2) * (self.max_rank - 1)  # that the transposes after this one can sort
        least_joins = 0 if has_reduced or length == 1 else len(blocks) - most_blocks
        for transpose, after in self.transposes(blocks, self.max_rank, least_joins):
            if self.lower_bound(after) < length:
                rest = self.extend(after, length - 1, full_sized - 1 if _has_reduced(after) else 0, must_be_view)
                if rest is not None:
                    return (transpose, *rest)
        self.failed.add((blocks, length, full_sized, must_be_view))
        return None

    def sort_at_once(self, blocks: Blocks, must_be_view: bool) -> tuple[Transpose, ...] | None:
        """Return the transpose that sorts the blocks; ``None`` if they are too many, or if its result is no view."""
        if len(blocks) > self.max_rank or (must_be_view and not all(block[0] in self.starts for block in blocks)):
            return None
        return (Transpose(blocks, tuple(sorted(range(len(blocks)), key=blocks.__getitem__))),)

    def transposes(self, blocks: Blocks, max_segments: int, least_joins: int) -> Iterator[tuple[Transpose, Blocks]]:
        """Yield each transpose that joins so many pairs of blocks, with the blocks that it gives."""
        joins = [[self.is_joint(first, second) for second in blocks] for first in blocks]
        for segment_count in range(2, min(max_segments, len(blocks)) + 1):
            orders = _orders_that_separate_neighbours(segment_count)
            for cuts in combinations(range(1, len(blocks)), segment_count - 1):
                self.tries_left -= len(orders)
                if self.tries_left < 0:
                    raise _SearchLimitError
                starts, stops = (0, *cuts), (*cuts, len(blocks))
                for order, neighbours in orders:
                    if sum([joins[stops[first] - 1][starts[second]] for first, second in neighbours]) >= least_joins:
                        segments = [blocks[start:stop] for start, stop in zip(starts, stops, strict=True)]
                        after = self.coalesce(chain.from_iterable([segments[place] for place in order]))
                        yield Transpose(tuple([sum(segment, ()) for segment in segments]), order), after

    def find_without_search(self, blocks: Blocks) -> tuple[Transpose, ...]:
        """Return transposes of which each leaves as few blocks as one of few segments can."""
        found: list[Transpose] = []
        max_segments = min(self.max_rank, MAX_SEGMENTS_WITHOUT_SEARCH)
        while len(blocks) > 1:
            if not _has_reduced(blocks) and len(blocks) <= self.max_rank:
                return (*found, *(self.sort_at_once(blocks, must_be_view=False) or ()))
            self.tries_left = len(blocks) ** (max_segments + 1)  # there are fewer of so few segments
            best, blocks = min(self.transposes(blocks, max_segments, 1), key=lambda each: len(each[1]))
            found.append(best)
        return tuple(found)

    def lower_bound(self, blocks: Blocks) -> int:
        """Return a number of transposes below which nothing sorts the blocks."""
        if not _has_reduced(blocks):
            return -(-(len(blocks) - 1) // (self.max_rank - 1)) if blocks else 0
        kept = _join_neighbours([block for block in blocks if block[0] >= 0], self.is_joint)
        return max(1, self.lower_bound(kept))

    def is_joint(self, first: Block, second: Block) -> bool:
        """Whether the second of two neighbours is one block with the first."""
        if first[0] < 0 <= second[0] or second[0] < 0 <= first[0]:
            return False
        return first[-1] + 1 == second[0] or (first[0] < 0 and self.reducibility is Reducibility.WHOLE)

    def coalesce(self, blocks: Iterable[Block]) -> Blocks:
        """Join neighbours; leave out the axes that are reduced if a call can reduce them now."""
        joined = _join_neighbours(blocks, self.is_joint)
        if _has_reduced(joined) and can_reduce(chain.from_iterable(joined), self.max_rank, self.reducibility):
            joined = _join_neighbours([block for block in joined if block[0] >= 0], self.is_joint)
        return joined


def _has_reduced(blocks: Blocks) -> bool:
    """Whether the blocks have axes that are to be reduced."""
    return any(block[0] < 0 for block in blocks)


def _join_neighbours(blocks: Iterable[Block], is_joint: Callable[[Block, Block], bool]) -> Blocks:
    """Return the blocks with each two neighbours joined that are one block."""
    joined: list[Block] = []
    for block in blocks:
        if joined and is_joint(joined[-1], block):
            joined[-1] += block
        else:
            joined.append(block)
    return tuple(joined)


@clearable_lru_cache(maxsize=16)
def _orders_that_separate_neighbours(length: int) -> list[tuple[tuple[int, ...], list[tuple[int, int]]]]:
    """Return the orders of so many segments in which none is right behind its old neighbour, with all new neighbours.

    An order in which one is would be the order of fewer segments.

    >>> [order for order, _ in _orders_that_separate_neighbours(3)]
    [(0, 2, 1), (1, 0, 2), (2, 1, 0)]
    """
    orders = [(order, [*pairwise(order)]) for order in permutations(range(length))]
    return [(order, pairs) for order, pairs in orders if all(first + 1 != second for first, second in pairs)]
