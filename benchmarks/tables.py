"""How the benchmarks print a table: ruled in a terminal, Markdown elsewhere."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table


def print_table(console: Console, title: str, head: list[str], rows: list[list[str]]) -> None:
    """Print a table; all columns but the first are aligned at the right."""
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else box.MARKDOWN)
    for place, column in enumerate(head):
        table.add_column(column, justify="right" if place else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(f"\n{title}\n", style="bold")
    console.print(table)
