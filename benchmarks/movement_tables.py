"""How `benchmarks.movements` prints what it found."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from benchmarks.growth import Growth
from benchmarks.kept import Kept
from benchmarks.movement_standings import Row
from benchmarks.promise import Promise, mean
from benchmarks.tables import duration, print_table

HEAD = ["", "memcpy", "einops", "by hand", "plait", "plait takes", "plait / einops", "plait / by hand", "extra memory"]
"""The columns: ``memcpy`` and what plait takes as times, what the three take in times of ``memcpy``, and ratios."""


def report(framework: str, rows: Sequence[Row], console: Console) -> None:
    """Print the rows of a framework, and which way of writing it by hand was the fastest."""
    fast = "with kernels" if rows[0].fast else "without kernels"
    head = HEAD if rows[0].beside is None else [*HEAD[:5], "with kernels", *HEAD[5:]]
    means = {name: mean(row.bars[name] for row in rows) for name in rows[0].bars}
    ratios = [mean(row.ratio for row in rows), mean(row.times(row.by_hand) for row in rows)]
    last = ["geometric mean", "", *(_figure(figure) for figure in means.values()), "", *map(_figure, ratios), ""]
    title = f"{framework}, {fast}: one call, in times of memcpy"
    print_table(console, title, head, [*(_cells(row) for row in rows), last])
    _print_ways(framework, rows, console)


def _print_ways(framework: str, rows: Sequence[Row], console: Console) -> None:
    """Print the expressions, which are too long for a table."""
    console.print(f"\n{framework}: the fastest that is written by hand\n", style="bold")
    lines = [f"{row.case:<34}{row.expressions[row.by_hand]}" for row in rows]
    fence = [] if console.is_terminal else ["```"]
    console.print("\n".join([*fence, *lines, *fence]), soft_wrap=True, markup=False)


def _cells(row: Row) -> list[str]:
    bars = [_figure(figure) for figure in row.bars.values()]
    ratios = [_figure(row.ratio), _figure(row.times(row.by_hand))]
    extra = "" if row.extra is None else f"{row.extra:.2g}"
    return [row.case, duration(row.seconds["memcpy"]), *bars, duration(row.seconds["plait"]), *ratios, extra]


def _figure(figure: float) -> str:
    return f"{figure:.3f}" if figure < 0.1 else f"{figure:.2f}" if figure < 10 else f"{figure:.1f}"


def report_promises(judged: Sequence[Promise], console: Console) -> None:
    """Print what plait promises, and whether it holds."""
    rows = [[p.text, f"{p.figure:.3f}", f"{p.limit:.3g}", p.where, p.verdict] for p in judged]
    print_table(console, "What plait promises", ["", "measured", "limit", "where", ""], rows)


def report_growth(grown: Sequence[Growth], console: Console) -> None:
    """Print nanoseconds of an element at each size: plait's, einops', and those of ``memcpy``."""
    head = ["", "elements", "memcpy", "einops", "plait", "plait takes"]
    rows = [
        [
            f"{one.framework} {one.case}",
            f"{elements:,}",
            *(f"{one.elementary(elements, variant):.3f}" for variant in head[2:5]),
            duration(times["plait"]),
        ]
        for one in grown
        for elements, times in one.seconds.items()
    ]
    print_table(console, "Nanoseconds of an element", head, rows)


def report_worse(failed: Sequence[Row], before: Kept, console: Console) -> None:
    """Print what is worse than was kept."""
    if not failed:
        console.print("\nNo ratio to einops is worse than was kept.")
        return
    rows = []
    for row in failed:
        kept = before.ratios[row.key]
        rows.append([row.key, _figure(kept.ratio), f"{kept.noise:.0%}", _figure(row.ratio)])
    print_table(console, "Worse than was kept", ["", "kept: plait / einops", "noise", "now"], rows)
