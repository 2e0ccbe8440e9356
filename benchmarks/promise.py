"""What a benchmark promises, and how it says whether that holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Protocol, TypeVar

NOISE = 1.15
"""How far above its limit a figure may lie before ``--check`` fails: so much do two runs on a shared machine differ."""


@dataclass(frozen=True)
class Promise:
    """A limit, the figure that should not exceed it, and where it is highest."""

    text: str
    figure: float
    limit: float
    where: str = ""

    @property
    def verdict(self) -> str:
        if self.figure <= self.limit:
            return "holds"
        return "within noise" if self.figure <= self.limit * NOISE else "BROKEN"


class Named(Protocol):
    """What was measured of one case."""

    @property
    def case(self) -> str: ...


Row = TypeVar("Row", bound=Named)


def worst(text: str, rows: Sequence[Row], figure: Callable[[Row], float], limit: float) -> Promise:
    """The promise that each of these rows keeps a limit."""
    row = max(rows, key=figure)
    above = sum(figure(other) > limit for other in rows)
    return Promise(text, figure(row), limit, f"{row.case}, and {above - 1} more" if above > 1 else row.case)


def mean(ratios: Iterable[float]) -> float:
    """The geometric mean."""
    logs = [log(ratio) for ratio in ratios]
    return exp(sum(logs) / len(logs))
