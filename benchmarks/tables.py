"""Print tables (with lines on a terminal, as Markdown elsewhere), durations and a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from math import floor, log10
from typing import TypeVar

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

Item = TypeVar("Item")


def print_table(console: Console, title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table; all columns but the first are right-aligned."""
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else box.MARKDOWN)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(f"\n{title}\n", style="bold")
    console.print(table)


def format_duration(seconds: float) -> str:
    """Format a duration with three significant digits and a unit, such as ``4.18 ms``."""
    unit, scale = next((pair for pair in (("s", 1), ("ms", 1e3)) if seconds * pair[1] >= 1), ("µs", 1e6))
    value = seconds * scale
    return f"{value:.{max(0, 2 - floor(log10(max(value, 1))))}f} {unit}"


def with_progress(items: Sequence[Item], name: Callable[[Item], str]) -> Iterator[Item]:
    """Yield the items, and show a progress bar with the name of the current one if standard error is a terminal."""
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("", total=len(items))
        for item in items:
            progress.update(task, description=name(item))
            yield item
            progress.advance(task)
