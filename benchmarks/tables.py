"""How the benchmarks print a table, ruled in a terminal and Markdown elsewhere, and show how far they are."""

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


def print_table(console: Console, title: str, head: list[str], rows: list[list[str]]) -> None:
    """Print a table; all columns but the first are aligned at the right."""
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else box.MARKDOWN)
    for place, column in enumerate(head):
        table.add_column(column, justify="right" if place else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(f"\n{title}\n", style="bold")
    console.print(table)


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    unit, scale = next((pair for pair in (("s", 1), ("ms", 1e3)) if seconds * pair[1] >= 1), ("µs", 1e6))
    value = seconds * scale
    return f"{value:.{max(0, 2 - floor(log10(max(value, 1))))}f} {unit}"


def watched(items: Sequence[Item], name: Callable[[Item], str]) -> Iterator[Item]:
    """Go through them, and show on a terminal how far that is."""
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("", total=len(items))
        for item in items:
            progress.update(task, description=name(item))
            yield item
            progress.advance(task)
