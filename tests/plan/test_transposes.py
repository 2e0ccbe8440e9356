"""Transposes of bounded rank: the shortest sequences, compared with a breadth-first search over all orders."""

from __future__ import annotations

from functools import cache
from itertools import chain, combinations, pairwise, permutations
from math import factorial

import pytest

from plait._plan.transposes import Reducibility, can_reduce, find_transposes


def transposes_of(count, max_rank):
    """Every transpose of so many axes, as the new order of the axes; no axes are coalesced."""
    found = set()
    for segment_count in range(2, min(max_rank, count) + 1):
        for cuts in combinations(range(1, count), segment_count - 1):
            segments = [range(*ends) for ends in pairwise((0, *cuts, count))]
            found.update(tuple(chain.from_iterable(order)) for order in permutations(segments))
    return sorted(found - {tuple(range(count))})


@cache
def distances(count, max_rank):
    """By order of the axes, the fewest transposes that give it; the fewest that sort it are as many.

    Those transposes that sort an order, inverted and in the opposite sequence, give it.
    """
    found = {tuple(range(count)): 0}
    transposes, frontier = transposes_of(count, max_rank), [*found]
    while len(found) < factorial(count):
        next_frontier = []
        for order in frontier:
            for transpose in transposes:
                after = tuple([order[place] for place in transpose])
                if after not in found:
                    found[after] = found[order] + 1
                    next_frontier.append(after)
        frontier = next_frontier
    return found


def apply(axes, steps, max_rank):
    """The axes after the transposes, each of which must cut them as they are into few enough segments."""
    for segments, order in steps:
        assert len(segments) <= max_rank
        assert tuple(chain.from_iterable(segments)) == axes
        axes = tuple(chain.from_iterable([segments[place] for place in order]))
    return axes


@pytest.mark.parametrize("max_rank", [3, 4, 5, 6])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, pytest.param(7, marks=pytest.mark.slow)])
def test_no_sequence_of_transposes_is_shorter(count, max_rank):
    for order, distance in distances(count, max_rank).items():
        steps = find_transposes(order, max_rank, frozenset())
        assert len(steps) == distance
        assert apply(order, steps, max_rank) == tuple(range(count))


@pytest.mark.parametrize("reducibility", [Reducibility.WHOLE, Reducibility.ORDERED])
@pytest.mark.parametrize("max_rank", [3, 4])
def test_axes_are_reduced_and_sorted_in_the_fewest_transposes(max_rank, reducibility):
    """The axes -3, -2 and -1 are reduced by one call, before, between or after the transposes."""
    count = 6
    transposes = transposes_of(count, max_rank)
    for start in [*permutations(range(-3, 3))][::7]:

        def is_done(axes):
            return can_reduce(axes, max_rank, reducibility) and [axis for axis in axes if axis >= 0] == [0, 1, 2]

        orders, distance = {start}, 0
        while not any(map(is_done, orders)):
            orders |= {tuple([axes[place] for place in transpose]) for axes in orders for transpose in transposes}
            distance += 1
        steps = find_transposes(start, max_rank, frozenset(), reducibility)
        assert len(steps) <= distance
        axes = start
        for step in steps:
            if can_reduce(axes, max_rank, reducibility):
                axes = tuple([axis for axis in axes if axis >= 0])
            axes = apply(axes, [step], max_rank)
        assert can_reduce(axes, max_rank, reducibility)
        assert [axis for axis in axes if axis >= 0] == [0, 1, 2]


@pytest.mark.parametrize("max_rank", [3, 4, 6])
@pytest.mark.parametrize("count", [12, 22])
def test_many_axes_are_sorted_without_a_long_search(count, max_rank):
    order = tuple([7 * place % (count + 1) - 1 for place in range(1, count + 1)])
    steps = find_transposes(order, max_rank, frozenset())
    assert apply(order, steps, max_rank) == tuple(range(count))
    assert len(steps) < count


def last_step_is_view(steps, starts):
    """Whether each dimension of the result is a part of one dimension that the last transpose moves."""
    if not steps:
        return True
    segments, order = steps[-1]
    return all(segments[place][0] in starts for place in order)


def has_sequence_whose_result_is_view(order, max_rank, starts, length):
    """Whether so many transposes, tried one after the other, sort the axes, and the last keeps the dimensions whole."""
    count = len(order)
    orders = {order}
    for _ in range(length - 1):
        orders = {
            tuple([each[place] for place in transpose])
            for each in orders
            for transpose in transposes_of(count, max_rank)
        }
    return any(
        all(before + 1 == axis for before, axis in pairwise((count, *each)) if axis not in starts) for each in orders
    )


@pytest.mark.parametrize("max_rank", [3, 4])
def test_result_of_the_last_transpose_is_a_view_if_a_shortest_sequence_gives_one(max_rank):
    for count in (4, 5):
        for order, distance in distances(count, max_rank).items():
            for starts in (frozenset({0, 2}), frozenset({0, 1, 3})):
                steps = find_transposes(order, max_rank, starts)
                assert len(steps) == distance
                if distance and not last_step_is_view(steps, starts):
                    assert not has_sequence_whose_result_is_view(order, max_rank, starts, distance)
