"""Compare four implementations of multi-head attention with PyTorch's ``scaled_dot_product_attention``.

    python -m examples.attention
    python -m examples.attention --write   also write the table to README.md

With ``OMP_NUM_THREADS=1``, all implementations use one thread, and the times vary less.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import track

from examples import table
from examples.attention.comparison import IMPLEMENTATIONS, Comparison, compare

README = Path(__file__).with_name("README.md")
"""The file whose table is written."""

COLUMNS = ("implementation", "lines of code", "largest difference", "time")
"""The titles of the columns."""


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m examples.attention", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--rounds", type=int, default=50, metavar="N", help="how often each implementation is timed (%(default)s)"
    )
    parser.add_argument("--write", action="store_true", help="write the table to README.md")
    options = parser.parse_args()
    console = Console()
    comparisons = [
        compare(name, options.rounds)
        for name in track(IMPLEMENTATIONS, description="comparing", console=console, transient=True)
    ]
    table.print_table(COLUMNS, [format_row(comparison) for comparison in comparisons], console)
    if options.write:
        write_readme(comparisons)
    return 0


def format_row(comparison: Comparison) -> list[str]:
    """Return the cells of a table row."""
    return [comparison.name, str(comparison.lines), f"{comparison.difference:.0e}", f"{comparison.time_ratio:.2f} ×"]


def write_readme(comparisons: list[Comparison]) -> None:
    """Write the results to the table of README.md."""
    table.write_table(
        README, COLUMNS, [[f"[`{name}`]({name}.py)", *more] for name, *more in map(format_row, comparisons)]
    )


if __name__ == "__main__":
    sys.exit(main())
