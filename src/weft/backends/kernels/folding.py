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


_WRITE: dict[int, Any] = {
    HALF: lambda total: halved(float(total)),
    LATEST: lambda total: total + 1,
}


def fold(key: Any, lanes: Any, rest: Any, sizes: Any, zero: Any) -> None:
    """Join the lanes along the second of three axes; the results are where that axis is 0."""


@overload(fold, prefer_literal=True)
def _fold(key: Any, lanes: Any, rest: Any, sizes: Any, zero: Any) -> Any:
    op = _recipe(key).op
    join, exact = joining(op), op == EXACT

    @register_jitable
    def pair(lanes: Any, rest: Any, one: Any, other: Any, zero: Any) -> None:
        if exact:
            rest[one] += rest[other] + lost(lanes[one], lanes[other])
        lanes[one] = join(lanes[one], lanes[other], zero)

    def run(key: Any, lanes: Any, rest: Any, sizes: Any, zero: Any) -> None:
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
        else:
            for first in range(inner):
                for lane in range(first + inner, span, inner):
                    for a in range(outer):
                        pair(lanes, rest, np.uint64(a * span + first), np.uint64(a * span + lane), zero)

    return run


def finish(key: Any, lanes: Any, rest: Any, sizes: Any, out: Any, steps: Any, count: Any) -> None:
    """Write the results, whose places are two steps apart, in bytes; sums are divided by the count."""


@overload(finish, prefer_literal=True)
def _finish(key: Any, lanes: Any, rest: Any, sizes: Any, out: Any, steps: Any, count: Any) -> Any:
    recipe = _recipe(key)
    write, result = register_jitable(_WRITE.get(recipe.how, lambda total: total)), np.dtype(recipe.result).type
    exact, rounding = recipe.op == EXACT, recipe.op in (SUM, EXACT) and recipe.total == "float64"

    @register_jitable
    def put(lanes: Any, rest: Any, lane: Any, out: Any, place: Any, count: Any) -> None:
        value = lanes[lane]
        if exact:
            small = rest[lane]
            if small == small and small != 0:  # noqa: PLR0124  # not so after an infinity
                value += small
        if rounding:
            value = value / count
        poke(out, place, result(write(value)))

    def run(key: Any, lanes: Any, rest: Any, sizes: Any, out: Any, steps: Any, count: Any) -> None:
        outer, folded, inner = sizes
        if outer == 1:
            for c in range(inner):
                put(lanes, rest, c, out, c * steps[1], count)
            return
        for c in range(inner):
            for a in range(outer):
                put(lanes, rest, np.uint64(a * folded * inner + c), out, a * steps[0] + c * steps[1], count)

    return run


def _recipe(key: Any) -> Any:
    return recipe_of(key.literal_value)
