"""The recorded ratios of plait to einops, and whether those of a later run are worse by more than their noise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.memory_bound_results import MemoryBoundResult

BASELINE_FILE = Path(__file__).with_name("memory_bound.json")
"""The recorded ratios that belong to the current code."""

MIN_NOISE = 0.6
"""The smallest noise that is recorded for a ratio, relative to it: machines differ more than runs on one machine."""

MAX_NOISE = 1.0
"""The greatest noise that is recorded for a ratio, relative to it: a disturbed run must not hide every regression."""

SIMILAR_RATIO, REGRESSION_RATIO = 0.7, 2.5
"""For cases whose recorded ratio exceeds the first, only a ratio above the second is a regression.

In such cases plait and einops make about the same calls, and for small arrays either of them may be twice as fast by
chance, depending on the memory that is allocated."""


@dataclass(frozen=True)
class BaselineRatio:
    """A recorded ratio of plait's time to that of einops, and its relative noise."""

    ratio: float
    noise: float

    def allows(self, ratio: float) -> bool:
        """Return whether a new ratio is not a regression."""
        limit = self.ratio * (1 + self.noise)
        return ratio <= (limit if self.ratio <= SIMILAR_RATIO else max(limit, REGRESSION_RATIO))


@dataclass(frozen=True)
class Baseline:
    """Recorded ratios.

    Attributes:
        elements: the number of elements of the arrays, approximately.
        versions: the versions of Python and the libraries, by name.
        ratios: the ratios by framework and case, such as ``"numpy max-pool 2x2"``.
    """

    elements: int
    versions: dict[str, str]
    ratios: dict[str, BaselineRatio]

    def find_regressions(self, results: Sequence[MemoryBoundResult]) -> list[MemoryBoundResult]:
        """Return the results that are regressions; a case without a recorded ratio is not one."""
        return [
            result
            for result in results
            if result.key in self.ratios and not self.ratios[result.key].allows(result.ratio_to_einops)
        ]

    def write(self, path: Path) -> None:
        """Write the baseline to a JSON file."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def make_baseline(elements: int, versions: dict[str, str], runs: Sequence[Sequence[MemoryBoundResult]]) -> Baseline:
    """Make a baseline of several runs over the same cases.

    The ratio of a case is the median over the runs; the noise is twice the relative distance of the worst run from it,
    but at least `MIN_NOISE` and at most `MAX_NOISE`.
    """
    ratios = {}
    for results in zip(*runs, strict=True):  # the results of one case
        measured = sorted(result.ratio_to_einops for result in results)
        median = measured[len(measured) // 2]
        noise = min(max(MIN_NOISE, 2 * (measured[-1] / median - 1)), MAX_NOISE)
        ratios[results[0].key] = BaselineRatio(round(median, 4), round(noise, 3))
    return Baseline(elements, versions, ratios)


def read_baseline(path: Path) -> Baseline:
    """Read a baseline from a JSON file."""
    record = json.loads(path.read_text(encoding="utf-8"))
    ratios = {key: BaselineRatio(**ratio) for key, ratio in record["ratios"].items()}
    return Baseline(record["elements"], record["versions"], ratios)
