"""What a benchmark promises, and how it says whether that holds."""

from __future__ import annotations

from dataclasses import dataclass

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
