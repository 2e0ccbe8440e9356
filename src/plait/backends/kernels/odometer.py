"""Counts through nested loops whose number is known only when a kernel runs, like the digits of an odometer.

A row of ``loops`` is one loop, from the outermost to the innermost: its length, then its step along each of the counted
quantities, such as bytes in the source. ``turns`` holds the index of each loop, and ``place`` the sums of the steps.
"""

from __future__ import annotations

from typing import Any

from numba.extending import register_jitable


@register_jitable
def locate(loops: Any, number: Any, turns: Any, place: Any) -> None:
    """Set ``turns`` and ``place`` to the iteration of that number."""
    place[:] = 0
    for loop in range(loops.shape[0] - 1, -1, -1):
        turns[loop] = number % loops[loop, 0]
        number //= loops[loop, 0]
        for axis in range(place.size):
            place[axis] += turns[loop] * loops[loop, 1 + axis]


@register_jitable
def advance(loops: Any, turns: Any, place: Any) -> None:
    """Set ``turns`` and ``place`` to the next iteration; after the last one comes the first."""
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
