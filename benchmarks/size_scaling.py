"""How the time of a case scales with the size of its array.

`SizeScaling` has the nanoseconds per element for several sizes, and the greatest step between two of them, the *cliff*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.targets import Target, worst_case_target

SIZES = (64, 1024, 16_384, 262_144, 4_194_304, 25_690_112, 102_760_448)
"""The numbers of elements of an array: from 64 elements to 400 MB of ``float32``."""

QUICK_SIZES = SIZES[:5]
"""The numbers of elements with ``--quick``."""

MIN_RATIO_TO_SHORTEST_CALL = 4.0
"""The cliff is computed from sizes whose call takes longer than this many of the shortest calls.

The overhead of a call is a small part of their time.
"""

MAX_CLIFF = 2.0
"""The limit of `SizeScaling.max_growth_relative_to_memcpy`."""


@dataclass(frozen=True)
class SizeScaling:
    """The seconds of one call of a case, by number of elements and variant."""

    framework: str
    case: str
    seconds: dict[int, dict[str, float]]

    def ns_per_element_at(self, elements: int, variant: str) -> float:
        """Return the nanoseconds per element of a variant."""
        return self.seconds[elements][variant] / elements * 1e9

    @property
    def max_growth_relative_to_memcpy(self) -> float:
        """The greatest factor by which plait's time per element grows from one size to the next, divided by memcpy's.

        The division removes the steps at which an array no longer fits into a cache, which no library can avoid.
        """
        least = min(times["plait"] for times in self.seconds.values())
        sizes = [size for size, times in self.seconds.items() if times["plait"] > MIN_RATIO_TO_SHORTEST_CALL * least]
        growth_factors = [
            self._growth_factor(*pair, "plait") / max(1, self._growth_factor(*pair, "memcpy"))
            for pair in pairwise(sizes)
        ]
        return max(growth_factors, default=0)

    def _growth_factor(self, small: int, large: int, variant: str) -> float:
        """Return the factor by which the time per element of a variant grows between two sizes."""
        return self.ns_per_element_at(large, variant) / self.ns_per_element_at(small, variant)


def cliff_target(scalings: Sequence[SizeScaling]) -> Target:
    """Return the target that `SizeScaling.max_growth_relative_to_memcpy` is at most `MAX_CLIFF` in every case."""
    description = "time per element, relative to the next smaller size, divided by memcpy's"
    return worst_case_target(description, scalings, lambda scaling: scaling.max_growth_relative_to_memcpy, MAX_CLIFF)
