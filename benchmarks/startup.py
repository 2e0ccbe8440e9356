"""Measure the start of a new process: ``import plait``, the first `rearrange`, and the first `einsum`.

From the root of the repository::

    python -m benchmarks.startup [--rounds N] [--check]

Each round starts a new interpreter with NumPy imported and compiled bytecode, for plait and for einops in turn. The
results are the milliseconds of CPU time of the fastest round, which other programs on the machine hardly affect.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from math import inf
from tempfile import TemporaryDirectory

from rich.console import Console

from benchmarks.tables import print_table
from benchmarks.targets import Target

STAGES = ("import", "first rearrange", "first einsum")
"""The measured stages of a process."""

STARTUP_CODE_TEMPLATE = """
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
"""The code of a process; it prints the seconds of each stage."""


def measure_stage_ms(library: str, env: dict[str, str]) -> list[float]:
    """Return the milliseconds of each stage in one new process."""
    command = [sys.executable, "-c", STARTUP_CODE_TEMPLATE.format(library=library)]
    result = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return [float(seconds) * 1e3 for seconds in result.stdout.split()]


def measure_fastest_stage_ms(rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of each stage in its fastest round, by library; the first round is ignored."""
    best = {library: [inf] * len(STAGES) for library in ("plait", "einops")}
    with TemporaryDirectory() as bytecode:
        env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        env["PYTHONPYCACHEPREFIX"] = bytecode
        for number in range(rounds + 1):
            for library, times in best.items():
                stages = measure_stage_ms(library, env)
                if number:
                    best[library] = [min(pair) for pair in zip(times, stages, strict=True)]
    return best


def plait_startup_ms_targets(best: dict[str, list[float]]) -> list[Target]:
    """Return the performance targets of a new process with their measured values."""
    import_ms, rearrange_ms, einsum_ms = best["plait"]
    return [
        Target("import plait and the first rearrange, in milliseconds", import_ms + rearrange_ms, 20.0),
        Target("the first einsum after that, in milliseconds", einsum_ms, 15.0),
    ]


def main() -> int:
    """Run the command; with ``--check`` return 1 if a target is broken, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="the number of new processes for each library")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is broken")
    options = parser.parse_args()
    best = measure_fastest_stage_ms(options.rounds)
    console = Console()
    rows = [[library, *[f"{time:.1f}" for time in times], f"{sum(times):.1f}"] for library, times in best.items()]
    print_table(console, "A fresh process with NumPy, in ms of CPU time", ["", *STAGES, "together"], rows)
    targets = plait_startup_ms_targets(best)
    target_rows = [
        [target.description, f"{target.value:.1f}", f"{target.limit:.0f}", target.verdict] for target in targets
    ]
    print_table(console, "Performance targets", ["", "measured", "limit", ""], target_rows)
    return int(options.check and any(target.verdict == "BROKEN" for target in targets))


if __name__ == "__main__":
    sys.exit(main())
