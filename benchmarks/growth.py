"""How the time of a case grows with its size: nanoseconds of an element, and whether there is a cliff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.promise import Promise, worst

SIZES = (64, 1024, 16_384, 262_144, 4_194_304, 25_690_112, 102_760_448)
"""The elements of an array: from 64 to 400 MB of ``float32``."""

QUICK_SIZES = SIZES[:5]

CALL = 4.0
"""How many times the least time of all sizes a time must be, for the call to be a small part of it."""

CLIFF = 2.0
"""By what factor the time of an element may grow from one size to the next, beyond what that of ``memcpy`` grows."""


@dataclass(frozen=True)
class Growth:
    """The seconds of one call, by elements and variant."""

    framework: str
    case: str
    seconds: dict[int, dict[str, float]]

    def elementary(self, elements: int, variant: str) -> float:
        """Nanoseconds of an element."""
        return self.seconds[elements][variant] / elements * 1e9

    @property
    def cliff(self) -> float:
        """The greatest factor by which plait's time of an element grows from one size to the next, over memcpy's.

        The memory has cliffs of its own, where an array outgrows a cache; they are no library's doing.
        """
        least = min(times["plait"] for times in self.seconds.values())
        sizes = [size for size, times in self.seconds.items() if times["plait"] > CALL * least]
        steps = [self._step(*pair, "plait") / max(1, self._step(*pair, "memcpy")) for pair in pairwise(sizes)]
        return max(steps, default=0)

    def _step(self, small: int, large: int, variant: str) -> float:
        return self.elementary(large, variant) / self.elementary(small, variant)


def smooth(grown: Sequence[Growth]) -> Promise:
    """The promise that no case has a cliff."""
    text = "an element, in times of what it takes at the size before, over memcpy's"
    return worst(text, grown, lambda one: one.cliff, CLIFF)
