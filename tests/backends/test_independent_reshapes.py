from __future__ import annotations

from itertools import accumulate
from math import prod
from operator import mul

from hypothesis import given
from hypothesis import strategies as st

from plait.backends.common.independent_reshapes import common_factors, independent_reshapes


@st.composite
def shapes_of_one_size(draw):
    """Two shapes whose dimensions are products of adjacent common factors."""
    factors = draw(st.lists(st.integers(1, 4), max_size=6))

    def merged():
        shape = [1] * draw(st.integers(1, 4))
        places = sorted(draw(st.integers(0, len(shape) - 1)) for _ in factors)
        for place, factor in zip(places, factors, strict=True):
            shape[place] *= factor
        return tuple(shape)

    return merged(), merged()


@given(shapes_of_one_size())
def test_groups_are_adjacent_of_one_size_and_the_smallest(shapes):
    old_shape, new_shape = shapes
    old_stop, rebuilt = 0, ()
    for start, stop, run in independent_reshapes(old_shape, new_shape):
        old = old_shape[start:stop]
        assert start == old_stop
        assert prod(old) == prod(run)
        assert not {*accumulate(old[:-1], mul)} & {*accumulate(run[:-1], mul)}, "a common boundary"
        if len(old) + len(run) > 1:
            assert 1 not in {*old[:1], *old[-1:], *run[:1], *run[-1:]}, "a length of 1 is at the edge of a group"
        if min(len(old), len(run)) > 1:  # both a merge and a split: the shape between them differs from both
            assert tuple(common_factors(old, run)) not in (old, run)
        old_stop, rebuilt = stop, rebuilt + run
    assert (old_stop, rebuilt) == (len(old_shape), new_shape)
