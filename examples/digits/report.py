"""The table of outcomes: on a terminal, and in README.md, where it keeps the rows of models that this run left out."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from examples.digits.training import MODELS, Outcome

README = Path(__file__).parent / "README.md"
START, STOP = "<!-- table -->", "<!-- end of table -->"
COLUMNS = ("framework", "held-out digits read", "parameters", "seconds")


def cells(outcome: Outcome) -> list[str]:
    """A row: the name of the framework, the accuracy in per cent, the number of parameters, and the seconds."""
    name = MODELS[outcome.name][0]
    return [name, f"{100 * outcome.accuracy:.1f} %", f"{outcome.parameters:,}", f"{outcome.seconds:.0f}"]


def print_table(outcomes: list[Outcome], console: Console) -> None:
    """Print the outcomes."""
    table = Table()
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == COLUMNS[0] else "right")
    for outcome in outcomes:
        table.add_row(*cells(outcome))
    console.print(table)


def write_table(outcomes: list[Outcome]) -> None:
    """Put the rows of these outcomes into the table of README.md."""
    before, _, rest = README.read_text(encoding="utf-8").partition(START)
    kept, _, after = rest.partition(STOP)
    rows = {line.split("|")[1].strip(): line for line in kept.splitlines() if line.startswith("|")}
    for outcome in outcomes:
        new = cells(outcome)
        rows[new[0]] = f"| {' | '.join(new)} |"
    head = [f"| {' | '.join(COLUMNS)} |", "|---|---:|---:|---:|"]
    body = [rows[title] for title, _ in MODELS.values() if title in rows]
    table = "\n".join([START, "", *head, *body, "", STOP])
    README.write_text(before + table + after, encoding="utf-8")
