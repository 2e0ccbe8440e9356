"""Print a table of results, and read and write it in a README between two marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

START_MARK, END_MARK = "<!-- table -->", "<!-- end of table -->"
"""The marks before and after the table in a README."""


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> None:
    """Print a table; the first column is left-aligned, the others are right-aligned."""
    table = Table()
    for column in columns:
        table.add_column(column, justify="left" if column == columns[0] else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def read_table(readme: Path) -> list[list[str]]:
    """Return the rows between the marks of a README, without the header."""
    marked_text = readme.read_text(encoding="utf-8").partition(START_MARK)[2].partition(END_MARK)[0]
    lines = [line for line in marked_text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def write_table(readme: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Replace the table between the marks of a README."""
    before, _, rest = readme.read_text(encoding="utf-8").partition(START_MARK)
    after = rest.partition(END_MARK)[2]
    alignment_row = "|---" + "|---:" * (len(columns) - 1) + "|"
    head, *body = [f"| {' | '.join(row)} |" for row in (columns, *rows)]
    table = "\n".join([START_MARK, "", head, alignment_row, *body, "", END_MARK])
    readme.write_text(before + table + after, encoding="utf-8")
