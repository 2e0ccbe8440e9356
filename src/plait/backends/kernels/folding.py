"""The end of a reduction: lanes that belong together become one, and what they hold is written."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload

from plait.backends.kernels.arithmetic import halved, unranked
from plait.backends.kernels.kinds import EXACT, HALF, LATEST, RANK, SUM, recipe_of
from plait.backends.kernels.lanes import joining, lost
from plait.backends.kernels.memory import poke
from plait.backends.kernels.neighbours import joining_neighbours
from plait.backends.kernels.own import own

_LONG = 16
"""From so many lanes on a loop of vectors pays."""

_FEW = 8
"""Up to so many lanes are joined at every place, where only some are wanted."""

_WRITE: dict[int, Any] = {
    HALF: lambda total: halved(float(total)),
    RANK: lambda total: unranked(total),
    LATEST: lambda total: total + 1,
}


def fold(key: Any, lanes: Any, rest: Any, spares: Any, sizes: Any, zero: Any) -> Any:
    """Join the lanes along the second of three axes.

    Gives the lanes, what they lost, and how far the results are apart along the first axis; along the third they are
    side by side. ``spares`` are as large as both.
    """


@overload(fold, prefer_literal=True)
def _fold(key: Any, lanes: Any, rest: Any, spares: Any, sizes: Any, zero: Any) -> Any:
    recipe = _recipe(key)
    join, neighbours, exact = joining(recipe), joining_neighbours(recipe), recipe.op == EXACT

    @own(recipe.key)
    def pair(lanes: Any, rest: Any, one: Any, other: Any, zero: Any) -> None:
        if exact:
            rest[one] += rest[other] + lost(lanes[one], lanes[other])
        lanes[one] = join(lanes[one], lanes[other], zero)

    def run(key: Any, lanes: Any, rest: Any, spares: Any, sizes: Any, zero: Any) -> Any:
        outer, folded, inner = sizes
        spare, spare_rest = spares
        if inner == 1 < folded:
            folded = neighbours(lanes, rest, spare, spare_rest, outer, folded, zero)
            if folded == 1:
                return spare, spare_rest, 1
        span = folded * inner
        if folded // 2 * inner >= _LONG:  # in halves
            for a in range(outer):
                left = folded
                while left > 1:
                    half = left // 2
                    near, far = a * span, a * span + (left - half) * inner
                    for lane in range(half * inner):
                        pair(lanes, rest, np.uint64(near + lane), np.uint64(far + lane), zero)
                    left -= half
        elif not exact and 1 < folded <= _FEW:  # most of this is thrown away, but it is done by vectors
            many = outer * span - span + inner
            for lane in range(many):
                spare[lane] = join(lanes[lane], lanes[np.uint64(lane + inner)], zero)
            for turn in range(2, folded):
                for lane in range(many):
                    spare[lane] = join(spare[lane], lanes[np.uint64(lane + turn * inner)], zero)
            return spare, rest, span
        else:
            for first in range(inner):
                for lane in range(first + inner, span, inner):
                    for a in range(outer):
                        pair(lanes, rest, np.uint64(a * span + first), np.uint64(a * span + lane), zero)
        return lanes, rest, span

    return run


def finish(key: Any, lanes: Any, rest: Any, sizes: Any, out: Any, steps: Any, count: Any) -> None:
    """Write the results, whose places are two steps apart, in bytes; sums are divided by the count.

    ``sizes`` are how many there are along the first axis, how far apart they are there, and how many along the other.
    """


@overload(finish, prefer_literal=True)
def _finish(key: Any, lanes: Any, rest: Any, sizes: Any, out: Any, steps: Any, count: Any) -> Any:
    recipe = _recipe(key)
    write, result = own(recipe.key)(_WRITE.get(recipe.how, lambda total: total)), np.dtype(recipe.result).type
    size = np.dtype(recipe.result).itemsize
    exact, rounding = recipe.op == EXACT, recipe.op in (SUM, EXACT) and recipe.total == "float64"

    @own(recipe.key)
    def put(lanes: Any, rest: Any, lane: Any, out: Any, place: Any, count: Any, part: Any) -> None:
        value = lanes[lane]
        if exact:
            small = rest[lane]
            if small == small and small != 0:  # noqa: PLR0124  # not so after an infinity
                value += small
        if rounding:
            value = value * part if part else value / count
        poke(out, place, result(write(value)))

    def run(key: Any, lanes: Any, rest: Any, sizes: Any, out: Any, steps: Any, count: Any) -> None:
        outer, span, inner = sizes
        part = 1.0 / count if count & (count - 1) == 0 else 0.0  # a power of 2, by which a product is as exact
        if span == 1 and steps[0] == size:
            for a in range(outer):
                put(lanes, rest, np.uint64(a), out, a * size, count, part)
        elif inner >= _LONG and steps[1] == size:
            for a in range(outer):
                for c in range(inner):
                    put(lanes, rest, np.uint64(a * span + c), out, a * steps[0] + c * size, count, part)
        else:
            for c in range(inner):
                for a in range(outer):
                    put(lanes, rest, np.uint64(a * span + c), out, a * steps[0] + c * steps[1], count, part)

    return run


def _recipe(key: Any) -> Any:
    return recipe_of(key.literal_value)
