"""The ratios to einops that a run keeps, and whether those of a later run are worse by more than their noise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.movement_standings import Row

BASELINE = Path(__file__).with_name("movements.json")
"""The ratios that are kept with the code."""

NOISE = 0.6
"""The least noise of a ratio, as a part of it: two machines differ by more than two runs on one."""

MOST = 1.0
"""The most: one turn that something else disturbed must not let everything pass."""


ALIKE, AMISS = 0.7, 2.5
"""Above the one, plait and einops make about the same calls, and what memory each happens to get decides which is
faster, by twice where arrays are small. Only beyond the other there is something amiss."""


@dataclass(frozen=True)
class Ratio:
    """What a case takes, in times of einops, and by what part of itself that may grow before it counts as worse."""

    ratio: float
    noise: float

    def allows(self, ratio: float) -> bool:
        """Whether another ratio is no worse."""
        most = self.ratio * (1 + self.noise)
        return ratio <= (most if self.ratio <= ALIKE else max(most, AMISS))


@dataclass(frozen=True)
class Kept:
    """The ratios by framework and name of the case, for arrays of so many elements."""

    elements: int
    versions: dict[str, str]
    ratios: dict[str, Ratio]

    def worse(self, rows: Sequence[Row]) -> list[Row]:
        """The rows that are worse than was kept; one of which nothing was kept is not."""
        return [row for row in rows if row.key in self.ratios and not self.ratios[row.key].allows(row.ratio)]

    def write(self, path: Path) -> None:
        """Keep them."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def recorded(elements: int, versions: dict[str, str], runs: Sequence[Sequence[Row]]) -> Kept:
    """Of several runs over the same cases: the middle ratio of each, and the distance of the worst from it as noise."""
    ratios = {}
    for rows in zip(*runs, strict=True):
        found = sorted(row.ratio for row in rows)
        middle = found[len(found) // 2]
        ratios[rows[0].key] = Ratio(round(middle, 4), round(min(max(NOISE, 2 * (found[-1] / middle - 1)), MOST), 3))
    return Kept(elements, versions, ratios)


def read(path: Path) -> Kept:
    """What was kept."""
    found = json.loads(path.read_text(encoding="utf-8"))
    ratios = {key: Ratio(**ratio) for key, ratio in found["ratios"].items()}
    return Kept(found["elements"], found["versions"], ratios)
