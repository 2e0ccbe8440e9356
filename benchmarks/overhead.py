"""What a call of plait adds to the framework's own call, beside einops and einx, and what plait promises.

From the root of the repository::

    python -m benchmarks.overhead [--quick] [--check] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import geometric_mean

import torch
from rich.console import Console

from benchmarks.cases import CASES, OPERATIONS
from benchmarks.measure import (
    FULL,
    QUICK,
    Effort,
    call_times,
    import_time,
    imported,
    new_pattern_times,
    new_shape_times,
)
from benchmarks.promise import Promise
from benchmarks.tables import print_table

FRAMEWORKS = ("numpy", "torch")
LIBRARIES = ("plait", "numpy", "torch", "einops", "einx")


@dataclass(frozen=True)
class Row:
    """One case: microseconds of the native call, and what each variant adds to it."""

    case: str
    native: float
    einops: float
    einx: float
    plait: float
    method: float

    def ratio(self, variant: str) -> float:
        """The time of a variant's whole call, native work included, in calls of einops."""
        return (self.native + getattr(self, variant)) / (self.native + self.einops)


@dataclass(frozen=True)
class First:
    """Microseconds of a first call: with a new shape, or a new pattern."""

    operation: str
    einops: float
    plait: float

    @property
    def ratio(self) -> float:
        return self.plait / self.einops


@dataclass(frozen=True)
class Figures:
    """All that is measured. ``import_ms`` is in milliseconds; ``loaded`` are frameworks that ``import plait`` loads."""

    calls: list[Row]
    shapes: list[First]
    patterns: list[First]
    import_ms: float
    loaded: list[str]

    def promises(self) -> list[Promise]:
        """What plait promises, with what was measured."""
        worst = max(row.ratio("plait") for row in self.calls)
        return [
            Promise("a call takes, in calls of einops, in the geometric mean", self.mean("plait"), 0.6),
            Promise("a call takes, in calls of einops, in the worst row", worst, 0.9),
            Promise(
                "a compiled pattern's method takes, in calls of einops, in the geometric mean", self.mean("method"), 0.5
            ),
            Promise("a new shape takes, in calls of einops, at worst", max(row.ratio for row in self.shapes), 1.0),
            Promise("a new pattern takes, in calls of einops, at worst", max(row.ratio for row in self.patterns), 2.0),
            Promise("import plait, in milliseconds", self.import_ms, 15.0),
            Promise("frameworks that import plait loads", len(self.loaded), 0),
        ]

    def mean(self, variant: str) -> float:
        """The geometric mean of the ratios to einops."""
        return geometric_mean(row.ratio(variant) for row in self.calls)


def measure(effort: Effort) -> Figures:
    """Measure everything, on one thread."""
    torch.set_num_threads(1)
    calls = []
    for case in CASES:
        times = call_times(case, effort)
        native = times.pop("native")
        calls.append(Row(case.name, native, **{variant: time - native for variant, time in times.items()}))
    return Figures(
        calls,
        [First(operation.name, **new_shape_times(operation, effort)) for operation in OPERATIONS],
        [First(operation.name, **new_pattern_times(operation, effort)) for operation in OPERATIONS],
        import_time(effort),
        imported(FRAMEWORKS),
    )


def report(figures: Figures, console: Console) -> None:
    """Print the figures as tables: Markdown, where the output is no terminal."""
    rows = [_row(row) for row in figures.calls]
    means = [f"{figures.mean(variant):.2f}" for variant in ("plait", "method")]
    print_table(
        console,
        "A call that has been made before, in µs: the native call, and what each adds to it",
        ["", "native", "einops adds", "einx adds", "plait adds", "method adds", "plait / einops", "method / einops"],
        [*rows, ["geometric mean", *[""] * 5, *means]],
    )
    print_table(
        console,
        "A first call, in µs, the work included (NumPy)",
        ["", "einops", "plait", "plait / einops"],
        [
            [f"new {what}: {row.operation}", f"{row.einops:.1f}", f"{row.plait:.1f}", f"{row.ratio:.2f}"]
            for what, first in (("shape", figures.shapes), ("pattern", figures.patterns))
            for row in first
        ],
    )
    print_table(
        console,
        "import plait",
        ["beyond a bare interpreter", "frameworks loaded"],
        [[f"{figures.import_ms:.1f} ms", ", ".join(figures.loaded) or "none"]],
    )
    print_table(
        console,
        "What plait promises",
        ["", "measured", "limit", ""],
        [[p.text, f"{p.figure:.2f}", f"{p.limit:g}", p.verdict] for p in figures.promises()],
    )


def _row(row: Row) -> list[str]:
    times = [f"{time:.2f}" for time in (row.native, row.einops, row.einx, row.plait, row.method)]
    return [row.case, *times, f"{row.ratio('plait'):.2f}", f"{row.ratio('method'):.2f}"]


def versions() -> dict[str, str]:
    """What was measured with."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def main() -> int:
    """Measure, print, and say by the exit status whether the promises hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a promise is broken")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    options = parser.parse_args()
    figures = measure(QUICK if options.quick else FULL)
    console = Console() if sys.stdout.isatty() else Console(width=140)
    console.print(", ".join(f"{name} {number}" for name, number in versions().items()), highlight=False)
    report(figures, console)
    promises = figures.promises()
    if options.json:
        kept = {
            "versions": versions(),
            **asdict(figures),
            "promises": [{**asdict(promise), "verdict": promise.verdict} for promise in promises],
        }
        options.json.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return int(options.check and any(promise.verdict == "BROKEN" for promise in promises))


if __name__ == "__main__":
    sys.exit(main())
