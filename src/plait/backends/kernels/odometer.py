"""Nested loops whose number is known only when they run."""

from __future__ import annotations

from typing import Any

from numba.extending import register_jitable


@register_jitable
def locate(loops: Any, number: Any, turns: Any, place: Any) -> None:
    """Where the loops stand at the iteration of that number: the turn of each, and the place that the steps add up to.

    A row of ``loops`` holds the count and the steps.
    """
    place[:] = 0
    for loop in range(loops.shape[0] - 1, -1, -1):
        turns[loop] = number % loops[loop, 0]
        number //= loops[loop, 0]
        for axis in range(place.size):
            place[axis] += turns[loop] * loops[loop, 1 + axis]


@register_jitable
def advance(loops: Any, turns: Any, place: Any) -> None:
    """The next iteration; after the last comes the first."""
    loop = loops.shape[0] - 1
    while loop >= 0:
        turns[loop] += 1
        last = turns[loop] == loops[loop, 0]
        back = turns[loop] - 1 if last else -1
        for axis in range(place.size):
            place[axis] -= back * loops[loop, 1 + axis]
        if not last:
            return
        turns[loop] = 0
        loop -= 1
