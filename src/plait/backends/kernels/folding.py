"""The end of a reduction: `fold` combines the lanes of each result into one, and `finish` writes the results.

`reducing` explains lanes. Numba compiles both functions for each ``key``, the literal name of a kernel.
"""

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
"""The number of adjacent lanes from which a vectorized loop over them is faster."""

_FEW = 8
"""The largest number of lanes to fold for which all lanes are combined, although only some results are used."""

_WRITE: dict[int, Any] = {
    HALF: lambda total: halved(float(total)),
    RANK: lambda total: unranked(total),
    LATEST: lambda total: total + 1,
}


def fold(key: Any, lanes: Any, rest: Any, spares: Any, sizes: Any, zero: Any) -> Any:
    """Combine the lanes along the second of their three axes, whose lengths are ``sizes``.

    Return the array with the results, their rounding errors, and the distance between results along the first axis,
    in elements; along the third axis they are adjacent. ``spares`` is memory of the size of ``lanes`` and ``rest``.
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
        if folded // 2 * inner >= _LONG:  # combine the second half with the first, repeatedly
            for a in range(outer):
                left = folded
                while left > 1:
                    half = left // 2
                    near, far = a * span, a * span + (left - half) * inner
                    for lane in range(half * inner):
                        pair(lanes, rest, np.uint64(near + lane), np.uint64(far + lane), zero)
                    left -= half
        elif not exact and 1 < folded <= _FEW:  # combines more lanes than needed, since contiguous loops are vectorized
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
    """Write the results to ``out``, where they are ``steps`` bytes apart along two axes; divide sums by ``count``.

    ``sizes`` are the number of results along the first axis, their distance in ``lanes``, in elements, and the number
    of results along the second axis.
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
            if small == small and small != 0:  # noqa: PLR0124  # it is NaN after an infinity
                value += small
        if rounding:
            value = value * part if part else value / count
        poke(out, place, result(write(value)))

    def run(key: Any, lanes: Any, rest: Any, sizes: Any, out: Any, steps: Any, count: Any) -> None:
        outer, span, inner = sizes
        part = 1.0 / count if count & (count - 1) == 0 else 0.0  # 1/count is exact for a power of 2
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
