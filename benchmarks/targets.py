"""Performance targets of the benchmarks: limits for measured values, and whether they are met."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

NOISE_FACTOR = 1.15
"""The factor by which a value may exceed its limit before ``--check`` fails: the noise of a shared machine."""


@dataclass(frozen=True)
class Target:
    """A measured value and its upper limit.

    Attributes:
        description: what is measured, with its unit.
        value: the measured value.
        limit: the value should not exceed it.
        worst_case: the name of the case with the highest value, if there are several cases.
    """

    description: str
    value: float
    limit: float
    worst_case: str = ""

    @property
    def verdict(self) -> str:
        """``"holds"``, ``"within noise"`` if the limit is exceeded by less than `NOISE_FACTOR`, or ``"BROKEN"``."""
        if self.value <= self.limit:
            return "holds"
        return "within noise" if self.value <= self.limit * NOISE_FACTOR else "BROKEN"


class CaseResult(Protocol):
    """The result of one benchmark case."""

    @property
    def case(self) -> str:
        """The name of the case."""


Result = TypeVar("Result", bound=CaseResult)


def worst_case_target(
    description: str, results: Sequence[Result], value: Callable[[Result], float], limit: float
) -> Target:
    """Return the target that the highest value of these results does not exceed a limit."""
    worst = max(results, key=value)
    exceeding = sum(value(result) > limit for result in results)
    worst_case = f"{worst.case}, and {exceeding - 1} more" if exceeding > 1 else worst.case
    return Target(description, value(worst), limit, worst_case)
