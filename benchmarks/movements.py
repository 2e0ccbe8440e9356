"""``plait.rearrange``, ``reduce`` and ``repeat`` of large arrays beside ``memcpy``, einops, and what an expert writes.

From the root of the repository::

    python -m benchmarks.movements [--quick] [--framework NAME] [--threads N] [--fast off|on|both] [--case SUBSTRING]
        [--elements N] [--sizes] [--picture FILE] [--json FILE] [--check [FILE]] [--record [FILE]]

All variants of a case are checked to give the same before the clock starts; see `benchmarks.movers`.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from threadpoolctl import threadpool_limits

from benchmarks import kept
from benchmarks.growth import QUICK_SIZES, SIZES, Growth, smooth
from benchmarks.movement_cases import MOVEMENTS, PROMISED
from benchmarks.movement_standings import SLOWER, Row, promises
from benchmarks.movement_tables import report, report_growth, report_promises, report_worse
from benchmarks.movers import Case, result, settle, warm_kernels
from benchmarks.picture import drawn
from benchmarks.promise import Promise
from benchmarks.race import FULL, QUICK, Effort, peaks, times
from benchmarks.tables import watched

LIBRARIES = ("plait", "numpy", "einops", "torch")
FRAMEWORKS = ("numpy", "torch")

WIDTH = 150
"""The columns of the widest table."""

SMALLER = 6_422_528
"""With ``--quick``, about how many elements an array has whose case is not among the promised nine."""

RUNS = 3
"""How many runs over all cases a record is made of."""

CHANCES = 3
"""How often a case is measured that seems to be worse than was kept, before it is."""


DOUBTS = 4
"""How often plait and einops are measured again where plait seems to be slower than it may be: of each the fastest
counts, so that what else the machine did is forgotten, and a way that is slower stays so."""


def measure(case: Case, effort: Effort, fast: bool) -> Row:
    """Check a case, and measure it."""
    does = case.movement
    namespace, expressions = case.namespace(), case.expressions()
    case.check(namespace)
    if fast:
        warm_kernels(expressions["plait"], namespace)
    seconds = times(expressions, namespace, effort)
    for _ in range(DOUBTS):
        if seconds["plait"] <= SLOWER * seconds["einops"]:
            break
        again = times({name: expressions[name] for name in ("plait", "einops")}, namespace, effort)
        seconds |= {name: min(seconds[name], found) for name, found in again.items()}
    held = peaks(expressions, namespace) if case.framework == "numpy" else {}
    nbytes, made = namespace["x"].nbytes, result(expressions["plait"], namespace).nbytes
    identity = (case.framework, does.group, does.name, does.pattern, does.reduction, does.dtype, does.elements)
    return Row(*identity, expressions, seconds, held, nbytes, made, fast)


def measured(cases: Sequence[Case], effort: Effort, fast: bool) -> list[Row]:
    """Measure one case after the other."""
    return [measure(case, effort, fast) for case in watched(cases, lambda case: case.name)]


def grown(cases: Sequence[Case], sizes: Sequence[int], effort: Effort) -> list[Growth]:
    """Measure plait, einops and ``memcpy`` at each of these sizes."""
    found = []
    for case in watched(cases, lambda case: case.name):
        seconds = {}
        for size in sizes:
            scaled = Case(case.framework, replace(case.movement.scaled(size), by_hand={}))
            namespace = scaled.namespace()
            scaled.check(namespace)
            seconds[scaled.movement.elements] = times(scaled.expressions(), namespace, effort)
        found.append(Growth(case.framework, case.movement.name, seconds))
    return found


def with_kernels(rows: Sequence[Row], options: argparse.Namespace) -> list[Row]:
    """The same rows, with what a process of its own finds whose plait has its kernels."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        command = [sys.executable, "-m", "benchmarks.movements", "--fast", "on", "--json", str(file)]
        command += [f"--case={options.case}", f"--threads={options.threads}"]
        command += [f"--framework={framework}" for framework in options.framework]
        command += [f"--elements={options.elements}"] if options.elements else []
        subprocess.run(command + ["--quick"] * options.quick, check=True, stdout=subprocess.DEVNULL)
        found = json.loads(file.read_text(encoding="utf-8"))["rows"]
    beside = {f"{row['framework']} {row['case']}": row["seconds"] for row in found if row["fast"]}
    return [
        replace(row, beside=beside[row.key]["plait"] / beside[row.key]["memcpy"]) if row.key in beside else row
        for row in rows
    ]


def worse(rows: list[Row], cases: Sequence[Case], before: kept.Kept, effort: Effort, fast: bool) -> list[Row]:
    """The rows that are worse than was kept each time that they are measured; a busy machine gets `CHANCES`."""
    by_name = {case.name: case for case in cases}
    failed = before.worse(rows)
    for _ in range(1, CHANCES):
        failed = before.worse(measured([by_name[row.key] for row in failed], effort, fast))
    return failed


def versions() -> dict[str, str]:
    """What was measured with."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.movements", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer and shorter rounds, and fewer sizes")
    add("--framework", choices=FRAMEWORKS, action="append", help="numpy by default; may be repeated")
    add("--threads", type=int, default=1, metavar="N", help="threads of all libraries, by default 1")
    add("--fast", choices=("off", "on", "both"), default="off", help="whether plait has its kernels, by default off")
    add("--case", default="", metavar="SUBSTRING", help="only cases with this in their group and name")
    add("--elements", type=int, metavar="N", help="about how many elements an array has, by default 25 million")
    add("--sizes", action="store_true", help="the nine that are promised, or --case, from 64 elements to 400 MB")
    add("--picture", type=Path, metavar="FILE", help="draw the table, as SVG")
    add("--json", type=Path, metavar="FILE", help="write the figures to a file")
    text = "exit with 1 where a ratio to einops is worse than was kept, by more than its noise"
    add("--check", type=Path, nargs="?", const=kept.BASELINE, metavar="FILE", help=text)
    text = f"keep the ratios to einops of {RUNS} runs, and their noise"
    add("--record", type=Path, nargs="?", const=kept.BASELINE, metavar="FILE", help=text)
    options = parser.parse_args(arguments)
    options.framework = [*dict.fromkeys(options.framework or ["numpy"])]
    if not chosen(options):
        parser.error(f"no case has {options.case!r} in its group and name")
    return options


def chosen(options: argparse.Namespace) -> list[Case]:
    """The cases that the options choose."""
    found = [does for does in MOVEMENTS if options.case in f"{does.group} {does.name}"]
    if options.sizes and not options.case:
        found = [does for does in found if does.name in PROMISED]
    elements = options.elements or (SMALLER if options.quick else None)
    if elements:
        whole = PROMISED if not options.elements else frozenset[str]()
        found = [does if does.name in whole else does.scaled(elements) for does in found]
    cases = [Case(framework, does) for framework in options.framework for does in found]
    return [case for case in cases if case.exists]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and say by the exit status whether a ratio is worse than was kept."""
    options = parsed(arguments)
    before = kept.read(options.check) if options.check else None
    if before:
        options.elements = options.elements or before.elements
    settle(options.threads, kernels=options.fast == "on")
    console = Console(width=max(WIDTH, Console().width), highlight=False)
    console.print(", ".join(f"{name} {number}" for name, number in versions().items()))
    with threadpool_limits(options.threads):
        import torch

        torch.set_num_threads(options.threads)
        fast = options.fast == "on"
        if options.sizes:
            return _sizes(options, console)
        return _table(options, before, fast, console)


def _sizes(options: argparse.Namespace, console: Console) -> int:
    effort = QUICK if options.quick else FULL
    found = grown(chosen(options), QUICK_SIZES if options.quick else SIZES, effort)
    report_growth(found, console)
    promised = [smooth(found)]
    report_promises(promised, console)
    _write(options.json, {"growth": [asdict(one) for one in found]}, promised)
    return 0


def _table(options: argparse.Namespace, before: kept.Kept | None, fast: bool, console: Console) -> int:
    effort, cases = QUICK if options.quick else FULL, chosen(options)
    rows = measured(cases, effort, fast)
    if options.fast == "both":
        rows = with_kernels(rows, options)
    judged = []
    for framework in options.framework:
        own = [row for row in rows if row.framework == framework]
        report(framework, own, console)
        judged += promises(framework, own)
    report_promises(judged, console)
    if options.picture:
        options.picture.write_text(drawn(rows), encoding="utf-8")
    _write(options.json, {"threads": options.threads, "rows": [asdict(row) for row in rows]}, judged)
    if options.record:
        runs = [rows, *(measured(cases, effort, fast) for _ in range(1, RUNS))]
        kept.recorded(options.elements, versions(), runs).write(options.record)
    failed = worse(rows, cases, before, effort, fast) if before else []
    if before:
        report_worse(failed, before, console)
    return int(bool(failed))


def _write(file: Path | None, figures: dict[str, Any], judged: Sequence[Promise]) -> None:
    if file:
        told = {"versions": versions(), **figures}
        told["promises"] = [asdict(promise) | {"verdict": promise.verdict} for promise in judged]
        file.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
