"""Compare four ways to write multi-head attention with PyTorch's ``scaled_dot_product_attention``.

    python -m examples.attention
    python -m examples.attention --write   and put the table into README.md

``OMP_NUM_THREADS=1`` keeps all of them on one thread, where the times differ less from run to run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import track

from examples import table
from examples.attention.comparison import WAYS, Outcome, compare

README = Path(__file__).with_name("README.md")
COLUMNS = ("way", "lines of code", "largest difference", "time")


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m examples.attention", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=50, metavar="N", help="how often each way is timed (%(default)s)")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    given = parser.parse_args()
    console = Console()
    outcomes = [
        compare(name, given.rounds) for name in track(WAYS, description="comparing", console=console, transient=True)
    ]
    table.print_table(COLUMNS, [cells(outcome) for outcome in outcomes], console)
    if given.write:
        write(outcomes)
    return 0


def cells(outcome: Outcome) -> list[str]:
    """A row: the way, its lines of code, the largest difference of an element, and the ratio of the times."""
    return [outcome.name, str(outcome.lines), f"{outcome.difference:.0e}", f"{outcome.time:.2f} ×"]


def write(outcomes: list[Outcome]) -> None:
    """Put the outcomes into the table of README.md."""
    table.write_table(README, COLUMNS, [[f"[`{name}`]({name}.py)", *more] for name, *more in map(cells, outcomes)])


if __name__ == "__main__":
    sys.exit(main())
