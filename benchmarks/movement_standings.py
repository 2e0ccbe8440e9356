"""What `benchmarks.movements` found of each case, who was best, and what plait promises about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.movement_cases import PROMISED
from benchmarks.movers import BY_HAND
from benchmarks.promise import Promise, mean, worst
from benchmarks.race import OBJECTS

SLOWER = 1.03
"""What a case may take, in times of einops."""

EINOPS = {
    "numpy": ((("max-pool 2x2", "mean-pool 2x2"), 10.0), (("sum 16x16",), 4.0)),
    "torch": ((("max-pool 2x2", "mean-pool 2x2"), 5.0),),
}
"""How many times as fast as einops some cases are, by framework."""

SUITE = {"numpy": 3.0}
"""The same in the geometric mean over the promised nine."""

KERNELS = {"copies": 2.0, "pooling": 1.0, "blocks": 1.0}
"""What a case of a group takes with kernels on NumPy, in times of ``memcpy``."""


@dataclass(frozen=True)
class Row:
    """What was measured of one case on one framework.

    Attributes:
        framework: where.
        group: of the movement, as its name, pattern and type.
        case: its name.
        pattern: with an arrow.
        reduction: its name; none of a copy.
        dtype: of the array.
        elements: of the array.
        expressions: what ran, by variant.
        seconds: of one call, by variant.
        peaks: bytes of one call, by variant; empty where the framework does not tell.
        nbytes: of the array.
        result: bytes of the result.
        fast: whether plait had its kernels.
        beside: what plait with kernels took in a process of its own, in times of ``memcpy`` there.
    """

    framework: str
    group: str
    case: str
    pattern: str
    reduction: str
    dtype: str
    elements: int
    expressions: dict[str, str]
    seconds: dict[str, float]
    peaks: dict[str, int]
    nbytes: int
    result: int
    fast: bool
    beside: float | None = None

    @property
    def key(self) -> str:
        """What it is found by, among the rows of another run."""
        return f"{self.framework} {self.case}"

    @property
    def by_hand(self) -> str:
        """The fastest variant that is written by hand."""
        return min((name for name in self.seconds if name.startswith(BY_HAND)), key=self.seconds.__getitem__)

    @property
    def bars(self) -> dict[str, float]:
        """What each took, in times of ``memcpy``."""
        found = {"einops": self.memcpys("einops"), BY_HAND: self.memcpys(self.by_hand), "plait": self.memcpys("plait")}
        return found if self.beside is None else found | {"plait, kernels": self.beside}

    @property
    def ratio(self) -> float:
        """What plait takes, in times of einops."""
        return self.times("einops")

    @property
    def extra(self) -> float | None:
        """What plait held at its peak beyond the result, in inputs; small objects are none."""
        if not self.peaks:
            return None
        return max(0, self.peaks["plait"] - self.result - OBJECTS) / self.nbytes

    def times(self, variant: str) -> float:
        """What plait takes, in times of a variant."""
        return self.seconds["plait"] / self.seconds[variant]

    def memcpys(self, variant: str) -> float:
        """What a variant takes, in times of ``memcpy``."""
        return self.seconds[variant] / self.seconds["memcpy"]


def promises(framework: str, rows: Sequence[Row]) -> list[Promise]:
    """What plait promises on a framework about what was measured."""
    kept = [worst("a case, in times of einops, at worst", rows, lambda row: row.ratio, SLOWER)]
    for names, speed in EINOPS[framework]:
        if chosen := [row for row in rows if row.case in names]:
            kept.append(worst(f"{' and '.join(names)}, in times of einops", chosen, lambda row: row.ratio, 1 / speed))
    nine = [row for row in rows if row.case in PROMISED]
    if framework in SUITE and len(nine) == len(PROMISED):
        text = "the nine, in times of einops, in the geometric mean"
        kept.append(Promise(text, mean(row.ratio for row in nine), 1 / SUITE[framework]))
    return [*kept, *with_kernels(framework, rows), *memory(rows)]


def with_kernels(framework: str, rows: Sequence[Row]) -> list[Promise]:
    """What plait promises of its kernels, where they were measured."""
    found = []
    for group, limit in KERNELS.items():
        chosen = [row for row in rows if row.group == group and (row.fast or row.beside is not None)]
        if framework == "numpy" and chosen:
            text = f"{group} with kernels, in times of memcpy, at worst"
            found.append(worst(text, chosen, lambda row: row.memcpys("plait") if row.fast else row.beside or 0, limit))
    return found


def memory(rows: Sequence[Row]) -> list[Promise]:
    """What plait promises of its memory, where it was looked at."""
    found = []
    told = [row for row in rows if row.extra is not None]
    if copies := [row for row in told if not row.reduction]:
        found.append(worst("memory of a copy beyond its result, in inputs", copies, lambda row: row.extra or 0, 0.0))
    if reductions := [row for row in told if row.reduction]:
        text = "memory of a reduction beyond its result, in inputs"
        found.append(worst(text, reductions, lambda row: row.extra or 0, 1.0))
    return found
