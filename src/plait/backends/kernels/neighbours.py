"""Combines lanes of the same result that are adjacent, two or three at a time.

The distances between the lanes are constants then, with which the compiler vectorizes the loops.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.backends.kernels.kinds import EXACT, Recipe
from plait.backends.kernels.lanes import joining, lost
from plait.backends.kernels.own import own


def joining_neighbours(recipe: Recipe) -> Any:
    """Return the function that combines lanes by twos and threes, and returns how many are left of each group.

    It takes the lanes and their rounding errors, spare memory of the same sizes, the number of groups, and the number
    of lanes in each, which it divides by 2 and 3 as often as possible. If one lane is left of each group, the results
    are in the spare memory, otherwise in ``lanes`` and ``rest``.
    """
    join, exact = joining(recipe), recipe.op == EXACT

    @own(recipe.key)
    def by_twos(lanes: Any, rest: Any, found: Any, found_rest: Any, count: Any, zero: Any) -> None:
        for lane in range(count):
            one, other = np.uint64(2 * lane), np.uint64(2 * lane + 1)
            if exact:
                found_rest[lane] = rest[one] + rest[other] + lost(lanes[one], lanes[other])
            found[lane] = join(lanes[one], lanes[other], zero)

    @own(recipe.key)
    def by_threes(lanes: Any, rest: Any, found: Any, found_rest: Any, count: Any, zero: Any) -> None:
        for lane in range(count):
            one, two, three = np.uint64(3 * lane), np.uint64(3 * lane + 1), np.uint64(3 * lane + 2)
            first = join(lanes[one], lanes[two], zero)
            if exact:
                taken = lost(lanes[one], lanes[two]) + lost(first, lanes[three])
                found_rest[lane] = rest[one] + rest[two] + rest[three] + taken
            found[lane] = join(first, lanes[three], zero)

    @own(recipe.key)
    def neighbours(lanes: Any, rest: Any, spare: Any, spare_rest: Any, outer: Any, folded: Any, zero: Any) -> Any:
        while folded % 2 == 0 or folded % 3 == 0:
            if folded % 2 == 0:
                folded //= 2
                by_twos(lanes, rest, spare, spare_rest, outer * folded, zero)
            else:
                folded //= 3
                by_threes(lanes, rest, spare, spare_rest, outer * folded, zero)
            if folded > 1:
                for lane in range(outer * folded):
                    lanes[lane] = spare[lane]
                if exact:
                    for lane in range(outer * folded):
                        rest[lane] = spare_rest[lane]
        return folded

    return neighbours
