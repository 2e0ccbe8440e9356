"""Print the table of results, and write it to README.md, which keeps the rows of models that were not trained."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from examples import table
from examples.digits.training import MODELS, TrainingResult

README = Path(__file__).parent / "README.md"
"""The file whose table is written."""

COLUMNS = ("framework", "held-out digits read", "parameters", "seconds")
"""The titles of the columns."""


def format_row(result: TrainingResult) -> list[str]:
    """Return the cells of a table row."""
    name = MODELS[result.name][0]
    return [name, f"{100 * result.accuracy:.1f} %", f"{result.parameters:,}", f"{result.seconds:.0f}"]


def print_table(results: list[TrainingResult], console: Console) -> None:
    """Print the table."""
    table.print_table(COLUMNS, [format_row(result) for result in results], console)


def write_table(results: list[TrainingResult]) -> None:
    """Write the rows of these results to the table of README.md."""
    rows = {row[0]: row for row in (*table.read_table(README), *map(format_row, results))}
    table.write_table(README, COLUMNS, [rows[title] for title, _ in MODELS.values() if title in rows])
