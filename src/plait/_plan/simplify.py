"""Rewrites of a list of steps, as a table: each has a name and a reason, and leaves the meaning as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from plait._plan.nodes import Permute, Reshape, Step


class Rewrite(NamedTuple):
    """Looks at a step of the kind ``on`` and the one after it (or ``None``).

    ``apply`` returns what stands in their place, or ``None`` to leave them.
    """

    name: str
    reason: str
    on: type
    apply: Callable[[Step, Step | None], tuple[Step, ...] | None]


def _still(step: Step, follower: Step | None) -> tuple[Step, ...] | None:
    if step[0] != tuple(range(len(step[0]))):
        return None
    return () if follower is None else (follower,)


def _twice(_: Step, follower: Step | None) -> tuple[Step, ...] | None:
    return (follower,) if isinstance(follower, Reshape) else None


REWRITES = (
    Rewrite("permutation that moves nothing", "a call saved", Permute, _still),
    Rewrite("reshape of a reshape", "never split what is merged again; only the last shape counts", Reshape, _twice),
)


def simplify(steps: list[Step]) -> tuple[Step, ...]:
    """Apply the rewrites until none applies.

    >>> simplify([Reshape((0, 1)), Permute((0, 1)), Reshape((2,))])
    (Reshape(shape=(2,)),)
    """
    place = len(steps) - 1
    while place >= 0:
        step = steps[place]
        for rewrite in REWRITES:
            if type(step) is rewrite.on:
                follower = steps[place + 1] if place + 1 < len(steps) else None
                instead = rewrite.apply(step, follower)
                if instead is not None:
                    steps[place : place + 2] = instead
                    break
        place -= 1
    return tuple(steps)
