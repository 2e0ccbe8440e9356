"""A table of outcomes: on a terminal, and in a README between two marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

START, STOP = "<!-- table -->", "<!-- end of table -->"


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> None:
    """Print the rows; what a row is about stands on the left, and its numbers on the right of their columns."""
    table = Table()
    for column in columns:
        table.add_column(column, justify="left" if column == columns[0] else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def read_table(readme: Path) -> list[list[str]]:
    """The rows that stand between the marks, without the head."""
    kept = readme.read_text(encoding="utf-8").partition(START)[2].partition(STOP)[0]
    lines = [line for line in kept.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def write_table(readme: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Put the rows between the marks, in place of what stands there."""
    before, _, rest = readme.read_text(encoding="utf-8").partition(START)
    after = rest.partition(STOP)[2]
    rule = "|---" + "|---:" * (len(columns) - 1) + "|"
    head, *body = [f"| {' | '.join(row)} |" for row in (columns, *rows)]
    table = "\n".join([START, "", head, rule, *body, "", STOP])
    readme.write_text(before + table + after, encoding="utf-8")
