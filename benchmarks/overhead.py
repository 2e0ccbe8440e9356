"""Measure what a call of plait adds to the framework's own call, compared with einops and einx.

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

from benchmarks.overhead_cases import OPERATIONS, OVERHEAD_CASES
from benchmarks.overhead_timing import (
    FULL_EFFORT,
    QUICK_EFFORT,
    Effort,
    find_modules_loaded_by_plait,
    measure_new_patterns,
    measure_new_shapes,
    measure_plait_import_ms,
    measure_repeated_call,
)
from benchmarks.tables import print_table
from benchmarks.targets import Target

FRAMEWORKS = ("numpy", "torch")
VERSIONED_LIBRARIES = ("plait", "numpy", "torch", "einops", "einx")


@dataclass(frozen=True)
class NativeTimeAndOverheads:
    """The measurements of one case: microseconds of the native call, and what each variant adds to it."""

    case: str
    native: float
    einops: float
    einx: float
    plait: float
    method: float

    def call_time_ratio_to_einops(self, variant: str) -> float:
        """Return the time of a variant's whole call, native work included, divided by that of einops."""
        return (self.native + getattr(self, variant)) / (self.native + self.einops)


@dataclass(frozen=True)
class FirstCall:
    """The microseconds of a first call with a new shape or a new pattern, by library."""

    operation: str
    einops: float
    plait: float

    @property
    def ratio_to_einops(self) -> float:
        """The time of plait divided by that of einops."""
        return self.plait / self.einops


@dataclass(frozen=True)
class OverheadResults:
    """All measurements.

    Attributes:
        calls: repeated calls, whose pattern and shape are in the cache.
        new_shapes: first calls with a new shape.
        new_patterns: first calls with a new pattern.
        import_ms: the milliseconds of ``import plait``.
        loaded_frameworks: the frameworks that ``import plait`` loads.
    """

    calls: list[NativeTimeAndOverheads]
    new_shapes: list[FirstCall]
    new_patterns: list[FirstCall]
    import_ms: float
    loaded_frameworks: list[str]

    def targets(self) -> list[Target]:
        """Return the performance targets with their measured values."""
        worst = max(row.call_time_ratio_to_einops("plait") for row in self.calls)
        return [
            Target(
                "a call takes, in calls of einops, in the geometric mean",
                self.mean_call_time_ratio_to_einops("plait"),
                0.6,
            ),
            Target("a call takes, in calls of einops, in the worst row", worst, 0.9),
            Target(
                "a compiled pattern's method takes, in calls of einops, in the geometric mean",
                self.mean_call_time_ratio_to_einops("method"),
                0.5,
            ),
            Target(
                "a new shape takes, in calls of einops, at worst",
                max(row.ratio_to_einops for row in self.new_shapes),
                1.0,
            ),
            Target(
                "a new pattern takes, in calls of einops, at worst",
                max(row.ratio_to_einops for row in self.new_patterns),
                2.0,
            ),
            Target("import plait, in milliseconds", self.import_ms, 15.0),
            Target("frameworks that import plait loads", len(self.loaded_frameworks), 0),
        ]

    def mean_call_time_ratio_to_einops(self, variant: str) -> float:
        """Return the geometric mean of a variant's ratios to einops."""
        return geometric_mean(row.call_time_ratio_to_einops(variant) for row in self.calls)


def measure_all(effort: Effort) -> OverheadResults:
    """Measure all cases and the import, on one thread."""
    torch.set_num_threads(1)
    calls = []
    for case in OVERHEAD_CASES:
        times = measure_repeated_call(case, effort)
        native = times.pop("native")
        calls.append(
            NativeTimeAndOverheads(case.name, native, **{variant: time - native for variant, time in times.items()})
        )
    return OverheadResults(
        calls,
        [FirstCall(operation.name, **measure_new_shapes(operation, effort)) for operation in OPERATIONS],
        [FirstCall(operation.name, **measure_new_patterns(operation, effort)) for operation in OPERATIONS],
        measure_plait_import_ms(effort),
        find_modules_loaded_by_plait(FRAMEWORKS),
    )


def print_report(results: OverheadResults, console: Console) -> None:
    """Print the measurements as tables."""
    rows = [_format_row(row) for row in results.calls]
    means = [f"{results.mean_call_time_ratio_to_einops(variant):.2f}" for variant in ("plait", "method")]
    print_table(
        console,
        "A call that has been made before, in µs: the native call, and what each adds to it",
        ["", "native", "einops adds", "einx adds", "plait adds", "method adds", "plait / einops", "method / einops"],
        [*rows, ["geometric mean", *[""] * 5, *means]],
    )
    print_table(
        console,
        "A first call, in µs, with its computation (NumPy)",
        ["", "einops", "plait", "plait / einops"],
        [
            [f"new {kind}: {row.operation}", f"{row.einops:.1f}", f"{row.plait:.1f}", f"{row.ratio_to_einops:.2f}"]
            for kind, first_calls in (("shape", results.new_shapes), ("pattern", results.new_patterns))
            for row in first_calls
        ],
    )
    print_table(
        console,
        "import plait",
        ["beyond a bare interpreter", "frameworks loaded"],
        [[f"{results.import_ms:.1f} ms", ", ".join(results.loaded_frameworks) or "none"]],
    )
    print_table(
        console,
        "Performance targets",
        ["", "measured", "limit", ""],
        [
            [target.description, f"{target.value:.2f}", f"{target.limit:g}", target.verdict]
            for target in results.targets()
        ],
    )


def _format_row(row: NativeTimeAndOverheads) -> list[str]:
    """Return the cells of a table row."""
    times = [f"{time:.2f}" for time in (row.native, row.einops, row.einx, row.plait, row.method)]
    return [
        row.case,
        *times,
        f"{row.call_time_ratio_to_einops('plait'):.2f}",
        f"{row.call_time_ratio_to_einops('method'):.2f}",
    ]


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the measured libraries, by name."""
    return {"python": platform.python_version(), **{name: version(name) for name in VERSIONED_LIBRARIES}}


def main() -> int:
    """Run the command; with ``--check`` return 1 if a target is broken, else 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is broken")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    options = parser.parse_args()
    results = measure_all(QUICK_EFFORT if options.quick else FULL_EFFORT)
    console = Console() if sys.stdout.isatty() else Console(width=140)
    console.print(", ".join(f"{name} {number}" for name, number in library_versions().items()), highlight=False)
    print_report(results, console)
    targets = results.targets()
    if options.json:
        record = {
            "versions": library_versions(),
            **asdict(results),
            "targets": [{**asdict(target), "verdict": target.verdict} for target in targets],
        }
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return int(options.check and any(target.verdict == "BROKEN" for target in targets))


if __name__ == "__main__":
    sys.exit(main())
