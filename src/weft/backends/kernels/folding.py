"""The end of a reduction: lanes that belong together become one, and what they hold is written."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload, register_jitable

from weft.backends.kernels.arithmetic import halved
from weft.backends.kernels.kinds import EXACT, HALF, LATEST, SUM, recipe_of
from weft.backends.kernels.lanes import joining, lost
from weft.backends.kernels.memory import poke

_LONG = 16
"""From so many lanes on a loop of vectors pays."""

_FEW = 8
"""Up to so many lanes are joined at every place, where only some are wanted."""

_WRITE: dict[int, Any] = {
    HALF: lambda total: halved(float(total)),
    LATEST: lambda total: total + 1,
}


def fold(key: Any, lanes: Any, rest: Any, spare: Any, sizes: Any, zero: Any) -> Any:
    """Join the lanes along the second of three axes; the results are where that axis is 0 of the array returned."""


@overload(fold, prefer_literal=True)
def _fold(key: Any, lanes: Any, rest: Any, spare: Any, sizes: Any, zero: Any) -> Any:
    op = _recipe(key).op
    join, exact = joining(op), op == EXACT

    @register_jitable
    def pair(lanes: Any, rest: Any, one: Any, other: Any, zero: Any) -> None:
        if exact:
            rest[one] += rest[other] + lost(lanes[one], lanes[other])
        lanes[one] = join(lanes[one], lanes[other], zero)

    def run(key: Any, lanes: Any, rest: Any, spare: Any, sizes: Any, zero: Any) -> Any:
        outer, folded, inner = sizes
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
        elif folded == span == 2:  # a loop of vectors, since the steps are constants
            for a in range(outer):
                pair(lanes, rest, np.uint64(a + a), np.uint64(a + a + 1), zero)
        elif not exact and 1 < folded <= _FEW and inner > 1:  # most of this is thrown away, but it is done by vectors
            many = outer * span - span + inner
            for lane in range(many):
                spare[lane] = join(lanes[lane], lanes[lane + inner], zero)
            for turn in range(2, folded):
                for lane in range(many):
                    spare[lane] = join(spare[lane], lanes[lane + turn * inner], zero)
            return spare
        else:
            for first in range(inner):
                for lane in range(first + inner, span, inner):
                    for a in range(outer):
                        pair(lanes, rest, np.uint64(a * span + first), np.uint64(a * span + lane), zero)
        return lanes

    return run


def finish(key: Any, lanes: Any, rest: Any, sizes: Any, out: Any, steps: Any, count: Any) -> None:
    """Write the results, whose places are two steps apart, in bytes; sums are divided by the count."""


@overload(finish, prefer_literal=True)
def _finish(key: Any, lanes: Any, rest: Any, sizes: Any, out: Any, steps: Any, count: Any) -> Any:
    recipe = _recipe(key)
    write, result = register_jitable(_WRITE.get(recipe.how, lambda total: total)), np.dtype(recipe.result).type
    size = np.dtype(recipe.result).itemsize
    exact, rounding = recipe.op == EXACT, recipe.op in (SUM, EXACT) and recipe.total == "float64"

    @register_jitable
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
        outer, folded, inner = sizes
        part = 1.0 / count if count & (count - 1) == 0 else 0.0  # a power of 2, by which a product is as exact
        if inner >= _LONG and steps[1] == size:
            for a in range(outer):
                for c in range(inner):
                    put(lanes, rest, np.uint64(a * folded * inner + c), out, a * steps[0] + c * size, count, part)
            return
        for c in range(inner):
            for a in range(outer):
                put(lanes, rest, np.uint64(a * folded * inner + c), out, a * steps[0] + c * steps[1], count, part)

    return run


def _recipe(key: Any) -> Any:
    return recipe_of(key.literal_value)
