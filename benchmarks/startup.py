"""What a fresh process takes before its first results: ``import plait``, the first `rearrange`, and the first `einsum`.

From the root of the repository::

    python -m benchmarks.startup [--rounds N] [--check]

Each round starts a new interpreter with NumPy imported and compiled bytecode, for plait and for einops in turn. The
figures are milliseconds of the process's own CPU time, the least of all rounds, so that a busy machine changes little.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from math import inf
from tempfile import TemporaryDirectory

from rich.console import Console

from benchmarks.promise import Promise
from benchmarks.tables import print_table

STAGES = ("import", "first rearrange", "first einsum")

CODE = """
from time import process_time as clock
import numpy as np
x, y = np.zeros((2, 3, 4)), np.zeros((4, 5))
start = clock()
import {library}
imported = clock()
{library}.rearrange(x, "b h w -> b (w h)")
moved = clock()
{library}.einsum(x, y, "b h w, w c -> b h c")
print(imported - start, moved - imported, clock() - moved)
"""


def measure(library: str, env: dict[str, str]) -> list[float]:
    """Milliseconds of each stage in one new process."""
    command = [sys.executable, "-c", CODE.format(library=library)]
    result = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return [float(seconds) * 1e3 for seconds in result.stdout.split()]


def least(rounds: int) -> dict[str, list[float]]:
    """The least of each stage, by library; the first round compiles the bytecode, and does not count."""
    best = {library: [inf] * len(STAGES) for library in ("plait", "einops")}
    with TemporaryDirectory() as bytecode:
        env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        env["PYTHONPYCACHEPREFIX"] = bytecode
        for number in range(rounds + 1):
            for library, times in best.items():
                found = measure(library, env)
                if number:
                    best[library] = [min(pair) for pair in zip(times, found, strict=True)]
    return best


def promises(best: dict[str, list[float]]) -> list[Promise]:
    """What plait promises of a fresh process."""
    imported, moved, contracted = best["plait"]
    return [
        Promise("import plait and the first rearrange, in milliseconds", imported + moved, 20.0),
        Promise("the first einsum after that, in milliseconds", contracted, 15.0),
    ]


def main() -> int:
    """Print the table, and with ``--check`` fail where a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="new processes of each library")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a promise is broken")
    options = parser.parse_args()
    best = least(options.rounds)
    console = Console()
    rows = [[library, *[f"{time:.1f}" for time in times], f"{sum(times):.1f}"] for library, times in best.items()]
    print_table(console, "A fresh process with NumPy, in ms of CPU time", ["", *STAGES, "together"], rows)
    kept = promises(best)
    promised = [[promise.text, f"{promise.figure:.1f}", f"{promise.limit:.0f}", promise.verdict] for promise in kept]
    print_table(console, "What plait promises", ["", "measured", "limit", ""], promised)
    return int(options.check and any(promise.verdict == "BROKEN" for promise in kept))


if __name__ == "__main__":
    sys.exit(main())
