"""``plait.einsum`` beside its peers: NumPy's, opt_einsum's and PyTorch's einsum, and what an expert writes by hand.

From the root of the repository::

    python -m benchmarks.einsum [--quick] [--framework NAME] [--case SUBSTRING] [--check] [--json FILE]

All variants of a case are checked to give the same before the clock starts; see `benchmarks.peers`.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from math import ceil, floor, log2
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.text import Text
from threadpoolctl import threadpool_limits

from benchmarks.contractions import CONTRACTIONS
from benchmarks.peers import CALLS, Case, limit_jax
from benchmarks.promise import Promise, mean
from benchmarks.race import FULL, QUICK, Effort, peaks, times
from benchmarks.standings import BESIDE, PLAIN, Row, limit, promises
from benchmarks.tables import duration, print_table, watched

LIBRARIES = ("plait", "numpy", "opt_einsum", "torch")

WIDTH = 160
"""The columns of the widest table: a terminal that has fewer breaks lines rather than leave figures out."""

PICTURE = 100
"""The columns of the picture."""


def measure(case: Case, effort: Effort) -> Row:
    """Check a case, and measure it."""
    does = case.contraction
    namespace, expressions = case.namespace(), case.expressions()
    case.check(namespace)
    seconds = times(expressions, namespace, effort)
    told = {} if case.framework != "numpy" else {name: text for name, text in expressions.items() if name != BESIDE}
    held = peaks(told, namespace)
    return Row(case.framework, does.group, does.name, does.equation, expressions, seconds, held, does.nbytes)


def measured(cases: Sequence[Case], effort: Effort) -> list[Row]:
    """Measure one case after the other, and show on a terminal how far it is."""
    name = lambda case: f"{case.framework}: {case.contraction.name}"
    return [measure(case, effort) for case in watched(cases, name)]


def report(framework: str, rows: list[Row], kept: list[Promise], console: Console) -> None:
    """Print what was measured on a framework: Markdown, where the output is no terminal."""
    variants = [variant for variant in CALLS[framework] if variant != "plait"]
    hand = ["by hand"] if any(row.by_hand for row in rows) else []
    memory = ["extra memory"] if any(row.peaks for row in rows) else []
    head = ["", "plait", *hand, *variants, "best peer", "plait / best peer", *memory]
    gap = [""] * (len(head) - 2 - len(memory))
    body = [_cells(row, variants) for row in rows]
    body.append(["geometric mean", *gap, f"{mean(row.ratio for row in rows):.2f}"])
    if PLAIN in variants:
        body.append(["with plain among the peers", *gap, f"{mean(row.strict for row in rows):.2f}"])
    print_table(console, f"{framework}: one call", head, body)
    _picture(console, rows)
    judged = [[p.text, f"{p.figure:.2f}", f"{p.limit:g}", p.where, p.verdict] for p in kept]
    print_table(console, f"What plait promises on {framework}", ["", "measured", "limit", "where", ""], judged)


def _cells(row: Row, variants: list[str]) -> list[str]:
    """A row of the table."""
    hand = [] if row.by_hand is None else [duration(row.seconds[row.by_hand])]
    others = [duration(row.seconds[variant]) if variant in row.seconds else "-" for variant in variants]
    memory = [] if row.extra is None else [f"{row.extra:+.3g}" if row.extra else "0"]
    return [row.case, duration(row.seconds["plait"]), *hand, *others, row.peer, f"{row.ratio:.2f}", *memory]


def _picture(console: Console, rows: list[Row]) -> None:
    """A bar for each case: to the left where plait is faster than the best peer, to the right where it is slower."""
    console.print("\nplait / best peer: bars to the left are faster, bars to the right slower\n", style="bold")
    console.print(*([] if console.is_terminal else ["```text"]), *bars(rows, PICTURE), sep="\n")
    if not console.is_terminal:
        console.print("```")


def bars(rows: list[Row], width: int) -> list[Text]:
    """The lines of the picture, on a logarithmic scale: a ruler of powers of two, and a bar for each case."""
    logs = [log2(row.ratio) for row in rows]
    lowest, highest = min(-1, floor(min(logs))), max(1, ceil(max(logs)))
    margin = max(len(row.case) for row in rows) + 2
    unit = max(1, (width - margin - len("│ 100.00")) // (highest - lowest))
    ruler = [" "] * width
    for power in range(lowest, highest + 1):
        label, place = f"{2**power}" if power >= 0 else f"1/{2**-power}", margin + (power - lowest) * unit
        ruler[place : place + len(label)] = label
    lines = [Text("".join(ruler).rstrip())]
    for row, exponent in zip(rows, logs, strict=True):
        faster, slower = ("█" * round(max(sign * exponent, 0) * unit) for sign in (-1, 1))
        colour = "green" if row.ratio <= 1 else "yellow" if row.ratio <= limit(row.framework) else "red"
        line = Text(f"{row.case:<{margin}}").append(f"{faster:>{-lowest * unit}}", colour)
        lines.append(line.append("│").append(f"{slower:<{highest * unit}}", colour).append(f" {row.ratio:.2f}"))
    return lines


def versions(frameworks: Sequence[str]) -> dict[str, str]:
    """What was measured with."""
    names = (*LIBRARIES, *(["jax"] if "jax" in frameworks else []))
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def parsed(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, list[Case]]:
    """The options, and the cases that they choose."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.einsum", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--framework", choices=[*CALLS], action="append", help="numpy by default; may be repeated")
    parser.add_argument("--case", default="", metavar="SUBSTRING", help="only cases with this in their group and name")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each variant takes its turn in a heat")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of all libraries, by default 1")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a promise is broken")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    options = parser.parse_args(arguments)
    options.framework = [*dict.fromkeys(options.framework or ["numpy"])]
    chosen = [does for does in CONTRACTIONS if options.case in f"{does.group} {does.name}"]
    if not chosen:
        parser.error(f"no case has {options.case!r} in its group and name")
    return options, [Case(framework, does) for framework in options.framework for does in chosen]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and say by the exit status whether the promises hold."""
    options, cases = parsed(arguments)
    effort = QUICK if options.quick else FULL
    effort = replace(effort, rounds=options.rounds or effort.rounds)
    limit_jax(options.threads)
    torch.set_num_threads(options.threads)
    with threadpool_limits(options.threads):
        rows = measured(cases, effort)
    console = Console(width=max(WIDTH, Console().width), highlight=False)
    used = versions(options.framework)
    console.print(", ".join(f"{name} {number}" for name, number in used.items()))
    kept: dict[str, Any] = {"versions": used, "threads": options.threads, "rows": [], "promises": []}
    for framework in options.framework:
        own = [row for row in rows if row.framework == framework]
        judged = promises(framework, own)
        report(framework, own, judged, console)
        kept["rows"] += [asdict(row) | {name: getattr(row, name) for name in ("peer", "ratio", "extra")} for row in own]
        kept["promises"] += [asdict(promise) | {"verdict": promise.verdict} for promise in judged]
    if options.json:
        options.json.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return int(options.check and any(promise["verdict"] == "BROKEN" for promise in kept["promises"]))


if __name__ == "__main__":
    sys.exit(main())
