"""The composition of patterns: the common factors of two products of lengths."""

from __future__ import annotations

from itertools import pairwise
from math import prod

from hypothesis import given
from hypothesis import strategies as st

from plait._shapes.composition import indexed_common_factors

LENGTHS_STRATEGY = st.lists(st.integers(1, 12), max_size=5)


def draw_factorization(draw, total):
    """Lengths whose product is the total, drawn at random."""
    factors = []
    while total > 1:
        factors.append(draw(st.sampled_from([part for part in range(1, total + 1) if total % part == 0])))
        total //= factors[-1]
    return factors


@given(LENGTHS_STRATEGY, st.data())
def test_products_of_common_factors_are_both_products(one, data):
    other = draw_factorization(data.draw, prod(one))
    factors = indexed_common_factors(one, other)
    if factors is None:
        partial_products = sorted({prod(side[:stop]) for side in (one, other) for stop in range(len(side) + 1)})
        assert any(large % small for small, large in pairwise(partial_products))
        return
    for index, side in enumerate((one, other), 1):
        products = [prod([factor[0] for factor in factors if factor[index] == axis]) for axis in range(len(side))]
        assert products == side
        assert [factor[index] for factor in factors if factor[0] != 1] == sorted(
            factor[index] for factor in factors if factor[0] != 1
        )


def test_a_length_of_zero_is_only_a_factor_of_itself():
    assert indexed_common_factors([0, 5], [0, 5]) == [(0, 0, 0), (5, 1, 1)]
    assert indexed_common_factors([0, 5], [5, 0]) is None
    assert indexed_common_factors([0, 6], [0, 2, 3]) is None
    assert indexed_common_factors([], [1]) == []
