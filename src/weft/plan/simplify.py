"""Rewrites of a list of steps, as a table: each has a name and a reason, and leaves the meaning as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from weft.plan.steps import Permute, Reshape, Step


class Rewrite(NamedTuple):
    """Looks at a step and the one after it (or ``None``); returns what stands in their place, or ``None``."""

    name: str
    reason: str
    apply: Callable[[Step, Step | None], tuple[Step, ...] | None]


def _still(step: Step, follower: Step | None) -> tuple[Step, ...] | None:
    if isinstance(step, Permute) and step.order == tuple(range(len(step.order))):
        return () if follower is None else (follower,)
    return None


def _twice(step: Step, follower: Step | None) -> tuple[Step, ...] | None:
    if isinstance(step, Reshape) and isinstance(follower, Reshape):
        return (follower,)
    return None


REWRITES = (
    Rewrite("permutation that moves nothing", "a call saved", _still),
    Rewrite("reshape of a reshape", "never split what is merged again; only the last shape counts", _twice),
)


def simplify(steps: list[Step]) -> tuple[Step, ...]:
    """Apply the rewrites until none applies.

    >>> simplify([Reshape((0, 1)), Permute((0, 1)), Reshape((2,))])
    (Reshape(shape=(2,)),)
    """
    place = 0
    while place < len(steps):
        pair = (steps[place], steps[place + 1] if place + 1 < len(steps) else None)
        for rewrite in REWRITES:
            instead = rewrite.apply(*pair)
            if instead is not None:
                steps[place : place + 2] = instead
                place = max(place - 1, 0) - 1
                break
        place += 1
    return tuple(steps)
