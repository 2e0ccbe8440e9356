"""Two patterns as one: the factors that both sides of a dimension are made of."""

from __future__ import annotations

from itertools import pairwise
from math import prod

from hypothesis import given
from hypothesis import strategies as st

from plait._shapes.composition import common_factors

lengths = st.lists(st.integers(1, 12), max_size=5)


def split(draw, total):
    """Lengths with this product."""
    found = []
    while total > 1:
        found.append(draw(st.sampled_from([part for part in range(1, total + 1) if total % part == 0])))
        total //= found[-1]
    return found


@given(lengths, st.data())
def test_common_factors_make_up_both(one, data):
    other = split(data.draw, prod(one))
    found = common_factors(one, other)
    if found is None:
        borders = sorted({prod(side[:stop]) for side in (one, other) for stop in range(len(side) + 1)})
        assert any(large % small for small, large in pairwise(borders))
        return
    for place, side in enumerate((one, other), 1):
        made = [prod([factor[0] for factor in found if factor[place] == axis]) for axis in range(len(side))]
        assert made == side
        assert [factor[place] for factor in found if factor[0] != 1] == sorted(
            factor[place] for factor in found if factor[0] != 1
        )


def test_a_length_of_zero_has_no_factors_but_itself():
    assert common_factors([0, 5], [0, 5]) == [(0, 0, 0), (5, 1, 1)]
    assert common_factors([0, 5], [5, 0]) is None
    assert common_factors([0, 6], [0, 2, 3]) is None
    assert common_factors([], [1]) == []
