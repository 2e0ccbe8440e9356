"""Compare ``plait.einsum`` with the einsum of NumPy, opt_einsum and PyTorch, and with hand-written code.

From the root of the repository::

    python -m benchmarks.einsum [--quick] [--framework NAME] [--case SUBSTRING] [--check] [--json FILE]

The results of all variants of a case are compared before they are timed; see `benchmarks.einsum_variants`.
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
from statistics import geometric_mean
from typing import Any

import torch
from rich.console import Console
from rich.text import Text
from threadpoolctl import threadpool_limits

from benchmarks.einsum_cases import CONTRACTIONS
from benchmarks.einsum_results import (
    PLAIN_VARIANT,
    UNRANKED_VARIANT,
    EinsumResult,
    einsum_targets,
    framework_ratio_to_peer_limit,
)
from benchmarks.einsum_variants import CALL_TEMPLATES_BY_FRAMEWORK, EinsumCase, set_jax_threads
from benchmarks.tables import format_duration, print_table, with_progress
from benchmarks.targets import Target
from benchmarks.timing import FULL_EFFORT, QUICK_EFFORT, Effort, measure_peak_bytes_by_variant, measure_seconds

VERSIONED_LIBRARIES = ("plait", "numpy", "opt_einsum", "torch")

TABLE_WIDTH = 160
"""The width of the tables, in characters; a narrower terminal wraps lines."""

CHART_WIDTH = 100
"""The width of the bar chart, in characters."""


def measure_case(case: EinsumCase, effort: Effort) -> EinsumResult:
    """Check the results of a case, and measure it."""
    contraction = case.contraction
    namespace, expressions = case.namespace(), case.expressions()
    case.check_results(namespace)
    seconds = measure_seconds(expressions, namespace, effort)
    is_numpy = case.framework == "numpy"
    numpy_expressions = {name: text for name, text in expressions.items() if is_numpy and name != UNRANKED_VARIANT}
    peak_memory = measure_peak_bytes_by_variant(numpy_expressions, namespace)
    identity = (case.framework, contraction.group, contraction.name, contraction.equation)
    return EinsumResult(*identity, expressions, seconds, peak_memory, contraction.output_bytes)


def measure_cases(cases: Sequence[EinsumCase], effort: Effort) -> list[EinsumResult]:
    """Measure the cases one after the other, with a progress bar."""
    name = lambda case: f"{case.framework}: {case.contraction.name}"
    return [measure_case(case, effort) for case in with_progress(cases, name)]


def print_report(framework: str, results: list[EinsumResult], targets: list[Target], console: Console) -> None:
    """Print the table, the bar chart and the targets of a framework."""
    variants = [variant for variant in CALL_TEMPLATES_BY_FRAMEWORK[framework] if variant != "plait"]
    handwritten_column = ["by hand"] if any(result.best_handwritten for result in results) else []
    memory_column = ["extra memory"] if any(result.peak_bytes for result in results) else []
    columns = ["", "plait", *handwritten_column, *variants, "best peer", "plait / best peer", *memory_column]
    blanks = [""] * (len(columns) - 2 - len(memory_column))
    rows = [_format_row(result, variants) for result in results]
    rows.append(["geometric mean", *blanks, f"{geometric_mean(result.ratio_to_peer for result in results):.2f}"])
    if PLAIN_VARIANT in variants:
        rows.append(
            [
                "with plain among the peers",
                *blanks,
                f"{geometric_mean(result.ratio_to_peer_or_plain for result in results):.2f}",
            ]
        )
    print_table(console, f"{framework}: one call", columns, rows)
    _print_chart(console, results)
    target_rows = [
        [target.description, f"{target.value:.2f}", f"{target.limit:g}", target.worst_case, target.verdict]
        for target in targets
    ]
    print_table(console, f"Performance targets on {framework}", ["", "measured", "limit", "where", ""], target_rows)


def _format_row(result: EinsumResult, variants: list[str]) -> list[str]:
    """Return the cells of a table row."""
    best = result.best_handwritten
    handwritten = [] if best is None else [format_duration(result.seconds[best])]
    others = [format_duration(result.seconds[variant]) if variant in result.seconds else "-" for variant in variants]
    extra = result.extra_memory_over_peer_ratio
    memory = [] if extra is None else [f"{extra:+.3g}" if extra else "0"]
    plait, ratio = format_duration(result.seconds["plait"]), f"{result.ratio_to_peer:.2f}"
    return [result.case, plait, *handwritten, *others, result.best_peer, ratio, *memory]


def _print_chart(console: Console, results: list[EinsumResult]) -> None:
    """Print a bar for each case: to the left if plait is faster than the best peer, to the right if it is slower."""
    console.print("\nplait / best peer: bars to the left are faster, bars to the right slower\n", style="bold")
    console.print(*([] if console.is_terminal else ["```text"]), *format_bar_chart(results, CHART_WIDTH), sep="\n")
    if not console.is_terminal:
        console.print("```")


def format_bar_chart(results: list[EinsumResult], width: int) -> list[Text]:
    """Return the lines of the bar chart: a logarithmic scale of powers of two, and a bar for each case."""
    log_ratios = [log2(result.ratio_to_peer) for result in results]
    lowest, highest = min(-1, floor(min(log_ratios))), max(1, ceil(max(log_ratios)))
    margin = max(len(result.case) for result in results) + 2
    unit = max(1, (width - margin - len("│ 100.00")) // (highest - lowest))
    ruler = [" "] * width
    for power in range(lowest, highest + 1):
        label, column = f"{2**power}" if power >= 0 else f"1/{2**-power}", margin + (power - lowest) * unit
        ruler[column : column + len(label)] = label
    lines = [Text("".join(ruler).rstrip())]
    for result, log_ratio in zip(results, log_ratios, strict=True):
        faster, slower = ("█" * round(max(sign * log_ratio, 0) * unit) for sign in (-1, 1))
        ratio = result.ratio_to_peer
        colour = (
            "green" if ratio <= 1 else "yellow" if ratio <= framework_ratio_to_peer_limit(result.framework) else "red"
        )
        line = Text(f"{result.case:<{margin}}").append(f"{faster:>{-lowest * unit}}", colour)
        lines.append(line.append("│").append(f"{slower:<{highest * unit}}", colour).append(f" {ratio:.2f}"))
    return lines


def library_versions(frameworks: Sequence[str]) -> dict[str, str]:
    """Return the versions of Python and of the measured libraries, by name."""
    names = (*VERSIONED_LIBRARIES, *(["jax"] if "jax" in frameworks else []))
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def parse_options_and_cases(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, list[EinsumCase]]:
    """Parse the command line; return the options and the selected cases."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.einsum", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument(
        "--framework", choices=[*CALL_TEMPLATES_BY_FRAMEWORK], action="append", help="numpy by default; may be repeated"
    )
    parser.add_argument("--case", default="", metavar="SUBSTRING", help="only cases with this in their group and name")
    parser.add_argument("--rounds", type=int, metavar="N", help="how many turns each variant has in a series")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of all libraries, by default 1")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is broken")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    options = parser.parse_args(arguments)
    options.framework = [*dict.fromkeys(options.framework or ["numpy"])]
    selected = [
        contraction for contraction in CONTRACTIONS if options.case in f"{contraction.group} {contraction.name}"
    ]
    if not selected:
        parser.error(f"no case has {options.case!r} in its group and name")
    return options, [EinsumCase(framework, contraction) for framework in options.framework for contraction in selected]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; with ``--check`` return 1 if a target is broken, else 0."""
    options, cases = parse_options_and_cases(arguments)
    effort = QUICK_EFFORT if options.quick else FULL_EFFORT
    effort = replace(effort, rounds=options.rounds or effort.rounds)
    set_jax_threads(options.threads)
    torch.set_num_threads(options.threads)
    with threadpool_limits(options.threads):
        results = measure_cases(cases, effort)
    console = Console(width=max(TABLE_WIDTH, Console().width), highlight=False)
    versions = library_versions(options.framework)
    console.print(", ".join(f"{name} {number}" for name, number in versions.items()))
    record: dict[str, Any] = {"versions": versions, "threads": options.threads, "results": [], "targets": []}
    for framework in options.framework:
        framework_results = [result for result in results if result.framework == framework]
        targets = einsum_targets(framework, framework_results)
        print_report(framework, framework_results, targets, console)
        derived = ("best_peer", "ratio_to_peer", "extra_memory_over_peer_ratio")
        record["results"] += [
            asdict(result) | {name: getattr(result, name) for name in derived} for result in framework_results
        ]
        record["targets"] += [asdict(target) | {"verdict": target.verdict} for target in targets]
    if options.json:
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return int(options.check and any(target["verdict"] == "BROKEN" for target in record["targets"]))


if __name__ == "__main__":
    sys.exit(main())
