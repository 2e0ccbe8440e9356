"""What `benchmarks.einsum` found of each case, who was best, and what plait promises about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.contractions import LIGHT
from benchmarks.peers import BY_HAND
from benchmarks.promise import Promise, mean, worst
from benchmarks.race import OBJECTS

BESIDE = "torch"
"""The variant on NumPy that is shown, and that nobody is compared with: another library's loops."""

PLAIN = "plain"
"""``np.einsum`` as it is called: one loop over all axes."""


@dataclass(frozen=True)
class Row:
    """What was measured of one case on one framework.

    Attributes:
        framework: where.
        group: of the contraction, as its name and equation.
        case: its name.
        equation: in the classical form.
        expressions: what ran, by variant.
        seconds: of one call, by variant.
        peaks: bytes of one call, by variant; empty where the framework does not tell.
        nbytes: of the result.
    """

    framework: str
    group: str
    case: str
    equation: str
    expressions: dict[str, str]
    seconds: dict[str, float]
    peaks: dict[str, int]
    nbytes: int

    @property
    def by_hand(self) -> str | None:
        """The fastest variant that is written by hand."""
        return self._fastest(variant for variant in self.seconds if variant.startswith(BY_HAND))

    @property
    def peer(self) -> str:
        """The fastest of those whom plait is compared with.

        Where the call costs more than the work, no library that reads an equation can be as fast as an expression
        that was written for it; there these libraries are compared with one another.
        """
        skipped = ("plait", BESIDE, *([] if self.group in LIGHT else [PLAIN]))
        names = [variant for variant in self.seconds if self.framework != "numpy" or variant not in skipped]
        if self.group in LIGHT:
            names = [variant for variant in names if not variant.startswith(BY_HAND)]
        return self._fastest(variant for variant in names if variant != "plait") or ""

    @property
    def ratio(self) -> float:
        """What plait takes, in times of the best peer."""
        return self.times(self.peer)

    @property
    def strict(self) -> float:
        """The same, with plain ``np.einsum`` among the peers of every case."""
        return max(self.ratio, self.times(PLAIN)) if PLAIN in self.seconds else self.ratio

    @property
    def extra(self) -> float | None:
        """By how much plait's peak exceeds that of the best peer, in results."""
        if not self.peaks:
            return None
        more = self.peaks["plait"] - self.peaks[self.peer]
        return (max(more - OBJECTS, 0) + min(more + OBJECTS, 0)) / self.nbytes

    def times(self, variant: str) -> float:
        """What plait takes, in times of a variant."""
        return self.seconds["plait"] / self.seconds[variant]

    def _fastest(self, variants: Iterable[str]) -> str | None:
        return min(variants, key=self.seconds.__getitem__, default=None)


def limit(framework: str) -> float:
    """What a case may take, in times of the best peer."""
    return 1.15 if framework == "numpy" else 1.05


def promises(framework: str, rows: list[Row]) -> list[Promise]:
    """What plait promises on a framework, with what was measured."""
    kept = [worst("a case, in times of the best peer, at worst", rows, lambda row: row.ratio, limit(framework))]
    if framework != "numpy":
        return kept
    text = "the geometric mean, with plain np.einsum among the peers"
    kept.append(Promise(text, mean(row.strict for row in rows), 1.0))
    light = [row for row in rows if row.group in LIGHT]
    if light:
        text = "a tiny case or a view, in times of plain np.einsum, at worst"
        kept.append(worst(text, light, lambda row: row.times(PLAIN), 1.0))
    text = "memory at its peak beyond the best peer's, in results, at worst"
    return [*kept, worst(text, rows, lambda row: row.extra or 0.0, 1.0)]
