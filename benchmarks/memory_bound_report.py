"""The printed tables of `benchmarks.memory_bound`."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import geometric_mean

from rich.console import Console

from benchmarks.baseline import Baseline
from benchmarks.memory_bound_results import MemoryBoundResult
from benchmarks.size_scaling import SizeScaling
from benchmarks.tables import format_duration, print_table
from benchmarks.targets import Target

COLUMNS = [
    "",
    "memcpy",
    "einops",
    "by hand",
    "plait",
    "plait takes",
    "plait / einops",
    "plait / by hand",
    "extra memory",
]
"""The titles of the columns.

Under ``memcpy`` and ``plait takes`` are times; under ``einops``, ``by hand`` and ``plait`` are times divided by that of
``memcpy``; all others are ratios.
"""


def print_results(framework: str, results: Sequence[MemoryBoundResult], console: Console) -> None:
    """Print the results of a framework, and the fastest hand-written expression of each case."""
    kernels = "with kernels" if results[0].uses_kernels else "without kernels"
    columns = COLUMNS if results[0].kernel_ratio is None else [*COLUMNS[:5], "with kernels", *COLUMNS[5:]]
    means = {
        name: geometric_mean(result.ratios_to_memcpy[name] for result in results)
        for name in results[0].ratios_to_memcpy
    }
    ratios = [
        geometric_mean(result.ratio_to_einops for result in results),
        geometric_mean(result.ratio_to(result.best_handwritten) for result in results),
    ]
    last = [
        "geometric mean",
        "",
        *(_format_ratio(ratio) for ratio in means.values()),
        "",
        *map(_format_ratio, ratios),
        "",
    ]
    title = f"{framework}, {kernels}: one call, in times of memcpy"
    print_table(console, title, columns, [*(_format_row(result) for result in results), last])
    _print_best_handwritten(framework, results, console)


def _print_best_handwritten(framework: str, results: Sequence[MemoryBoundResult], console: Console) -> None:
    """Print the fastest hand-written expressions, which are too long for a table."""
    console.print(f"\n{framework}: the fastest that is written by hand\n", style="bold")
    lines = [f"{result.case:<34}{result.expressions[result.best_handwritten]}" for result in results]
    fence = [] if console.is_terminal else ["```"]
    console.print("\n".join([*fence, *lines, *fence]), soft_wrap=True, markup=False)


def _format_row(result: MemoryBoundResult) -> list[str]:
    """Return the cells of a table row."""
    ratios_to_memcpy = [_format_ratio(ratio) for ratio in result.ratios_to_memcpy.values()]
    ratios = [_format_ratio(result.ratio_to_einops), _format_ratio(result.ratio_to(result.best_handwritten))]
    extra_memory_to_input_ratio = (
        "" if result.extra_memory_to_input_ratio is None else f"{result.extra_memory_to_input_ratio:.2g}"
    )
    return [
        result.case,
        format_duration(result.seconds["memcpy"]),
        *ratios_to_memcpy,
        format_duration(result.seconds["plait"]),
        *ratios,
        extra_memory_to_input_ratio,
    ]


def _format_ratio(ratio: float) -> str:
    """Format a ratio with two or three digits."""
    return f"{ratio:.3f}" if ratio < 0.1 else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}"


def print_targets(targets: Sequence[Target], console: Console) -> None:
    """Print the performance targets, and whether they are met."""
    rows = [
        [target.description, f"{target.value:.3f}", f"{target.limit:.3g}", target.worst_case, target.verdict]
        for target in targets
    ]
    print_table(console, "Performance targets", ["", "measured", "limit", "where", ""], rows)


def print_size_scaling(scalings: Sequence[SizeScaling], console: Console) -> None:
    """Print the nanoseconds per element of ``memcpy``, einops and plait at each size."""
    columns = ["", "elements", "memcpy", "einops", "plait", "plait takes"]
    rows = [
        [
            f"{scaling.framework} {scaling.case}",
            f"{elements:,}",
            *(f"{scaling.ns_per_element_at(elements, variant):.3f}" for variant in columns[2:5]),
            format_duration(seconds["plait"]),
        ]
        for scaling in scalings
        for elements, seconds in scaling.seconds.items()
    ]
    print_table(console, "Nanoseconds per element", columns, rows)


def print_regressions(regressions: Sequence[MemoryBoundResult], baseline: Baseline, console: Console) -> None:
    """Print the regressions against the baseline."""
    if not regressions:
        console.print("\nNo ratio to einops is worse than in the baseline.")
        return
    rows = []
    for result in regressions:
        recorded = baseline.ratios[result.key]
        rows.append(
            [result.key, _format_ratio(recorded.ratio), f"{recorded.noise:.0%}", _format_ratio(result.ratio_to_einops)]
        )
    print_table(console, "Worse than in the baseline", ["", "baseline: plait / einops", "noise", "now"], rows)
