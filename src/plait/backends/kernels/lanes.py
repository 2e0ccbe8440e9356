"""`begin` fills the lanes (see `reducing`) with the first row of the source, and `more` adds each further row.

Numba compiles both for each ``key``, a literal string whose recipe has the operation, the types and the conversion.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload, register_jitable

from plait.backends.kernels.arithmetic import larger, ranked_high, ranked_low, smaller, widened
from plait.backends.kernels.kinds import (
    EXACT,
    HALF,
    LATEST,
    MAX,
    MIN,
    PLAIN,
    PROD,
    RANK,
    SUM,
    TRUTH,
    TRUTH_OF_HALF,
    Recipe,
    recipe_of,
)
from plait.backends.kernels.memory import peek
from plait.backends.kernels.own import own

_JOIN: dict[int, Any] = {
    SUM: lambda held, value, zero: held + value,
    EXACT: lambda held, value, zero: held + value,
    PROD: lambda held, value, zero: held * value,
    MAX: lambda held, value, zero: larger(held, value, zero),
    MIN: lambda held, value, zero: smaller(held, value, zero),
}

_READ: dict[int, Any] = {
    PLAIN: lambda raw: raw,
    HALF: lambda raw: widened(raw),
    TRUTH: lambda raw: raw != 0,
    TRUTH_OF_HALF: lambda raw: (raw & 0x7FFF) != 0,
    LATEST: lambda raw: raw - 1,  # wraps around: NaT, the least integer, becomes the greatest
}

_RANK: dict[int, Any] = {MAX: lambda raw: ranked_high(raw), MIN: lambda raw: ranked_low(raw)}


def joining(recipe: Recipe) -> Any:
    """Return the function that combines two values into one by the recipe's operation, such as their sum."""
    return own(recipe.key)(_JOIN[recipe.op])


@register_jitable
def lost(first: Any, second: Any) -> Any:
    """Return the exact rounding error of the sum of two numbers (Knuth's two-sum)."""
    total = first + second
    part = total - first
    return (first - (total - part)) + (second - part)


def begin(key: Any, lanes: Any, rest: Any, base: Any, count: Any, step: Any) -> None:
    """Set each of ``count`` lanes to an element of the first row, and its rounding error in ``rest`` to 0.

    The row starts at ``base``, and its elements are ``step`` bytes apart.
    """


@overload(begin, prefer_literal=True)
def _begin(key: Any, lanes: Any, rest: Any, base: Any, count: Any, step: Any) -> Any:
    recipe, read, unit, total, size = _known(key)
    exact = recipe.op == EXACT

    def fill(key: Any, lanes: Any, rest: Any, base: Any, count: Any, step: Any) -> None:
        if exact:
            for lane in range(count):
                rest[lane] = 0
        if step == size:  # `size` is a constant, with which the compiler vectorizes the loop
            for lane in range(count):
                lanes[lane] = total(read(peek(base, lane * size, unit)))
        else:
            for lane in range(count):
                lanes[lane] = total(read(peek(base, lane * step, unit)))

    return fill


def more(key: Any, lanes: Any, rest: Any, base: Any, count: Any, step: Any, zero: Any) -> None:
    """Combine each of ``count`` lanes with an element of the next row; add the rounding error to ``rest``.

    The arguments are those of `begin`; ``zero`` is explained in `arithmetic`.
    """


@overload(more, prefer_literal=True)
def _more(key: Any, lanes: Any, rest: Any, base: Any, count: Any, step: Any, zero: Any) -> Any:
    recipe, read, unit, total, size = _known(key)
    join, exact = joining(recipe), recipe.op == EXACT

    def fill(key: Any, lanes: Any, rest: Any, base: Any, count: Any, step: Any, zero: Any) -> None:
        if step == size:
            for lane in range(count):
                value = total(read(peek(base, lane * size, unit)))
                if exact:
                    rest[lane] += lost(lanes[lane], value)
                lanes[lane] = join(lanes[lane], value, zero)
        else:
            for lane in range(count):
                value = total(read(peek(base, lane * step, unit)))
                if exact:
                    rest[lane] += lost(lanes[lane], value)
                lanes[lane] = join(lanes[lane], value, zero)

    return fill


def _known(key: Any) -> tuple[Recipe, Any, Any, Any, int]:
    """Return the recipe, the function that converts elements, the types of source and lanes, and an element's bytes."""
    recipe: Any = recipe_of(key.literal_value)
    read = _RANK[recipe.op] if recipe.how == RANK else _READ[recipe.how]
    unit = np.dtype(recipe.unit)
    return recipe, own(recipe.key)(read), unit.type, np.dtype(recipe.total).type, unit.itemsize
