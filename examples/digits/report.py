"""The table of outcomes: on a terminal, and in README.md, where it keeps the rows of models that this run left out."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from examples import table
from examples.digits.training import MODELS, Outcome

README = Path(__file__).parent / "README.md"
COLUMNS = ("framework", "held-out digits read", "parameters", "seconds")


def cells(outcome: Outcome) -> list[str]:
    """A row: the name of the framework, the accuracy in per cent, the number of parameters, and the seconds."""
    name = MODELS[outcome.name][0]
    return [name, f"{100 * outcome.accuracy:.1f} %", f"{outcome.parameters:,}", f"{outcome.seconds:.0f}"]


def print_table(outcomes: list[Outcome], console: Console) -> None:
    """Print the outcomes."""
    table.print_table(COLUMNS, [cells(outcome) for outcome in outcomes], console)


def write_table(outcomes: list[Outcome]) -> None:
    """Put the rows of these outcomes into the table of README.md."""
    rows = {row[0]: row for row in (*table.read_table(README), *map(cells, outcomes))}
    table.write_table(README, COLUMNS, [rows[title] for title, _ in MODELS.values() if title in rows])
