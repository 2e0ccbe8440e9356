"""Compare ``plait.rearrange``, ``reduce`` and ``repeat`` of large arrays with ``memcpy``, einops and hand-written code.

From the root of the repository::

    python -m benchmarks.memory_bound [--quick] [--framework NAME] [--threads N] [--fast off|on|both] [--case SUBSTRING]
        [--elements N] [--sizes] [--picture FILE] [--json FILE] [--check [FILE]] [--record [FILE]]

The results of all variants are compared before they are timed; see `benchmarks.memory_bound_variants`.
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

from benchmarks.bar_chart import draw_svg
from benchmarks.baseline import BASELINE_FILE, Baseline, make_baseline, read_baseline
from benchmarks.memory_bound_cases import MEMORY_BOUND_OPERATIONS, TARGET_OPERATION_NAMES
from benchmarks.memory_bound_report import print_regressions, print_results, print_size_scaling, print_targets
from benchmarks.memory_bound_results import MAX_RATIO_TO_EINOPS, MemoryBoundResult, memory_bound_targets
from benchmarks.memory_bound_variants import MemoryBoundCase, configure_process, evaluate
from benchmarks.size_scaling import QUICK_SIZES, SIZES, SizeScaling, cliff_target
from benchmarks.tables import with_progress
from benchmarks.targets import Target
from benchmarks.timing import FULL_EFFORT, QUICK_EFFORT, Effort, measure_peak_bytes_by_variant, measure_seconds

VERSIONED_LIBRARIES = ("plait", "numpy", "einops", "torch")
FRAMEWORKS = ("numpy", "torch")

TABLE_WIDTH = 150
"""The width of the tables, in characters."""

QUICK_ELEMENTS = 6_422_528
"""With ``--quick``, the approximate number of elements of the arrays of cases without a performance target."""

BASELINE_RUNS = 3
"""The number of runs from which a baseline is made."""

REGRESSION_ATTEMPTS = 3
"""How often a case is measured before it counts as a regression."""

MAX_REPEATS_OF_SLOW_CASE = 4
"""How often plait and einops are measured again if plait seems too slow; the fastest time of each counts, so that
disturbances by other programs disappear."""


def measure_case(case: MemoryBoundCase, effort: Effort, uses_kernels: bool) -> MemoryBoundResult:
    """Check the results of a case, and measure it."""
    operation = case.operation
    namespace, expressions = case.namespace(), case.expressions()
    case.check_results(namespace)
    seconds = measure_seconds(expressions, namespace, effort)
    for _ in range(MAX_REPEATS_OF_SLOW_CASE):
        if seconds["plait"] <= MAX_RATIO_TO_EINOPS * seconds["einops"]:
            break
        repeated = measure_seconds({name: expressions[name] for name in ("plait", "einops")}, namespace, effort)
        seconds |= {name: min(seconds[name], again) for name, again in repeated.items()}
    peak_bytes = measure_peak_bytes_by_variant(expressions, namespace) if case.framework == "numpy" else {}
    input_bytes, output_bytes = namespace["x"].nbytes, evaluate(expressions["plait"], namespace).nbytes
    described = (operation.group, operation.name, operation.pattern, operation.reduction, operation.dtype)
    identity = (case.framework, *described, operation.elements)
    return MemoryBoundResult(*identity, expressions, seconds, peak_bytes, input_bytes, output_bytes, uses_kernels)


def measure_cases(cases: Sequence[MemoryBoundCase], effort: Effort, uses_kernels: bool) -> list[MemoryBoundResult]:
    """Measure the cases one after the other, with a progress bar."""
    return [measure_case(case, effort, uses_kernels) for case in with_progress(cases, lambda case: case.name)]


def measure_size_scaling(cases: Sequence[MemoryBoundCase], sizes: Sequence[int], effort: Effort) -> list[SizeScaling]:
    """Measure plait, einops and ``memcpy`` at each of these numbers of elements."""
    scalings = []
    for case in with_progress(cases, lambda case: case.name):
        seconds = {}
        for size in sizes:
            scaled = MemoryBoundCase(case.framework, replace(case.operation.with_elements(size), handwritten={}))
            namespace = scaled.namespace()
            scaled.check_results(namespace)
            seconds[scaled.operation.elements] = measure_seconds(scaled.expressions(), namespace, effort)
        scalings.append(SizeScaling(case.framework, case.operation.name, seconds))
    return scalings


def with_measured_kernel_ratios(
    results: Sequence[MemoryBoundResult], options: argparse.Namespace
) -> list[MemoryBoundResult]:
    """Measure plait with kernels in another process, and return the results with ``kernel_ratio`` set."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "results.json"
        command = [sys.executable, "-m", "benchmarks.memory_bound", "--fast", "on", "--json", str(file)]
        command += [f"--case={options.case}", f"--threads={options.threads}"]
        command += [f"--framework={framework}" for framework in options.framework]
        command += [f"--elements={options.elements}"] if options.elements else []
        subprocess.run(command + ["--quick"] * options.quick, check=True, stdout=subprocess.DEVNULL)
        records = json.loads(file.read_text(encoding="utf-8"))["results"]
    kernel_ratios = {
        f"{record['framework']} {record['case']}": record["seconds"]["plait"] / record["seconds"]["memcpy"]
        for record in records
        if record["uses_kernels"]
    }
    return [replace(result, kernel_ratio=kernel_ratios.get(result.key)) for result in results]


def confirm_regressions(
    results: list[MemoryBoundResult],
    cases: Sequence[MemoryBoundCase],
    baseline: Baseline,
    effort: Effort,
    uses_kernels: bool,
) -> list[MemoryBoundResult]:
    """Return the results that are regressions in each of `REGRESSION_ATTEMPTS` measurements."""
    by_name = {case.name: case for case in cases}
    regressions = baseline.find_regressions(results)
    for _ in range(1, REGRESSION_ATTEMPTS):
        repeated = measure_cases([by_name[result.key] for result in regressions], effort, uses_kernels)
        regressions = baseline.find_regressions(repeated)
    return regressions


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the measured libraries, by name."""
    return {"python": platform.python_version(), **{name: version(name) for name in VERSIONED_LIBRARIES}}


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory_bound", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer and shorter rounds, and fewer sizes")
    add("--framework", choices=FRAMEWORKS, action="append", help="numpy by default; may be repeated")
    add("--threads", type=int, default=1, metavar="N", help="threads of all libraries, by default 1")
    add(
        "--fast",
        dest="kernel_mode",
        choices=("off", "on", "both"),
        default="off",
        help="whether plait uses its kernels",
    )
    add("--case", default="", metavar="SUBSTRING", help="only cases with this in their group and name")
    add("--elements", type=int, metavar="N", help="about how many elements an array has, by default 25 million")
    text = "time per element, from 64 elements to 400 MB, of the cases with targets or of --case"
    add("--sizes", action="store_true", help=text)
    add("--picture", type=Path, metavar="FILE", help="write a bar chart, as SVG")
    add("--json", type=Path, metavar="FILE", help="write the figures to a file")
    text = "exit with 1 if a ratio to einops is worse than in the baseline by more than its noise"
    add("--check", type=Path, nargs="?", const=BASELINE_FILE, metavar="FILE", help=text)
    text = f"write the median ratios to einops of {BASELINE_RUNS} runs, and their noise, as the baseline"
    add("--record", type=Path, nargs="?", const=BASELINE_FILE, metavar="FILE", help=text)
    options = parser.parse_args(arguments)
    options.framework = [*dict.fromkeys(options.framework or ["numpy"])]
    if not select_cases(options):
        parser.error(f"no case has {options.case!r} in its group and name")
    return options


def select_cases(options: argparse.Namespace) -> list[MemoryBoundCase]:
    """Return the cases that the options select, with the arrays scaled to the requested sizes."""
    operations = [
        operation for operation in MEMORY_BOUND_OPERATIONS if options.case in f"{operation.group} {operation.name}"
    ]
    if options.sizes and not options.case:
        operations = [operation for operation in operations if operation.name in TARGET_OPERATION_NAMES]
    elements = options.elements or (QUICK_ELEMENTS if options.quick else None)
    if elements:
        unscaled = TARGET_OPERATION_NAMES if not options.elements else frozenset[str]()
        operations = [
            operation if operation.name in unscaled else operation.with_elements(elements) for operation in operations
        ]
    cases = [MemoryBoundCase(framework, operation) for framework in options.framework for operation in operations]
    return [case for case in cases if case.is_layout_supported]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if a ratio is worse than in the baseline of ``--check``, else 0."""
    options = parse_arguments(arguments)
    baseline = read_baseline(options.check) if options.check else None
    if baseline:
        options.elements = options.elements or baseline.elements
    configure_process(options.threads, kernels=options.kernel_mode == "on")
    console = Console(width=max(TABLE_WIDTH, Console().width), highlight=False)
    console.print(", ".join(f"{name} {number}" for name, number in library_versions().items()))
    with threadpool_limits(options.threads):
        import torch

        torch.set_num_threads(options.threads)
        uses_kernels = options.kernel_mode == "on"
        if options.sizes:
            return _measure_and_print_size_scaling(options, console)
        return _run_table(options, baseline, uses_kernels, console)


def _measure_and_print_size_scaling(options: argparse.Namespace, console: Console) -> int:
    """Measure and print how the times scale with the sizes of the arrays; return the exit status."""
    effort = QUICK_EFFORT if options.quick else FULL_EFFORT
    scalings = measure_size_scaling(select_cases(options), QUICK_SIZES if options.quick else SIZES, effort)
    print_size_scaling(scalings, console)
    targets = [cliff_target(scalings)]
    print_targets(targets, console)
    _write_json(options.json, {"size_scaling": [asdict(scaling) for scaling in scalings]}, targets)
    return 0


def _run_table(options: argparse.Namespace, baseline: Baseline | None, uses_kernels: bool, console: Console) -> int:
    """Measure and print the table, write the requested files, and compare with the baseline; return the exit status."""
    effort, cases = QUICK_EFFORT if options.quick else FULL_EFFORT, select_cases(options)
    results = measure_cases(cases, effort, uses_kernels)
    if options.kernel_mode == "both":
        results = with_measured_kernel_ratios(results, options)
    targets = []
    for framework in options.framework:
        framework_results = [result for result in results if result.framework == framework]
        print_results(framework, framework_results, console)
        targets += memory_bound_targets(framework, framework_results)
    print_targets(targets, console)
    if options.picture:
        options.picture.write_text(draw_svg(results), encoding="utf-8")
    _write_json(options.json, {"threads": options.threads, "results": [asdict(result) for result in results]}, targets)
    if options.record:
        runs = [results, *(measure_cases(cases, effort, uses_kernels) for _ in range(1, BASELINE_RUNS))]
        make_baseline(options.elements, library_versions(), runs).write(options.record)
    regressions = confirm_regressions(results, cases, baseline, effort, uses_kernels) if baseline else []
    if baseline:
        print_regressions(regressions, baseline, console)
    return int(bool(regressions))


def _write_json(file: Path | None, measurements: dict[str, Any], targets: Sequence[Target]) -> None:
    """Write measurements and targets as JSON, if there is a file to write to."""
    if file:
        record = {"versions": library_versions(), **measurements}
        record["targets"] = [asdict(target) | {"verdict": target.verdict} for target in targets]
        file.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
