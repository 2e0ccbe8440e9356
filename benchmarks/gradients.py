"""Compare reductions of large PyTorch tensors with einops, with and without the backward pass.

From the root of the repository::

    python -m benchmarks.gradients [--quick] [--threads N] [--fast off] [--case SUBSTRING] [--elements N]

The cases are the reductions of floating-point tensors of `benchmarks.memory_bound` that PyTorch can differentiate.
Before they are timed, the gradients of both libraries are compared: those of minima, maxima, sums and means must be
equal to the bit.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from statistics import geometric_mean
from typing import Any

from rich.console import Console

from benchmarks.memory_bound_cases import MEMORY_BOUND_OPERATIONS
from benchmarks.memory_bound_variants import MemoryBoundCase, configure_process, evaluate
from benchmarks.tables import format_duration, print_table, with_progress
from benchmarks.timing import FULL_EFFORT, QUICK_EFFORT, measure_seconds

ELEMENTS = 6_422_528
"""The approximate number of elements of a tensor."""

EXACT_REDUCTIONS = ("min", "max", "sum", "mean")
"""The reductions whose gradients are equal to the bit."""

REDUCTIONS = (*EXACT_REDUCTIONS, "var", "std", "logsumexp")
"""The reductions that are measured."""

COLUMNS = ["", "forward: einops", "plait", "plait / einops", "forward and backward: einops", "plait", "plait / einops"]
"""The titles of the columns."""


def make_forward_and_gradient_expressions(case: MemoryBoundCase) -> tuple[dict[str, str], dict[str, str]]:
    """Return the forward pass of both libraries, and the forward and backward pass of both, as Python expressions."""
    calls = {library: text for library, text in case.expressions().items() if library in ("plait", "einops")}
    return calls, {library: f"torch.autograd.grad({text}, x, output_gradient)[0]" for library, text in calls.items()}


def make_namespace(case: MemoryBoundCase) -> dict[str, Any]:
    """Return the values of the names in the expressions; ``output_gradient`` is the gradient of the result."""
    import torch

    values = case.namespace()
    values["x"].requires_grad_()
    values["output_gradient"] = torch.rand(case.operation.output_shape, dtype=values["x"].dtype)
    return values


def check_gradients(case: MemoryBoundCase, values: dict[str, Any]) -> None:
    """Raise an error if the gradients of the libraries differ, in some reductions by more than rounding."""
    gradients = {
        library: evaluate(text, values) for library, text in make_forward_and_gradient_expressions(case)[1].items()
    }
    error = abs(gradients["plait"] - gradients["einops"]).max()
    is_exact = case.operation.reduction in EXACT_REDUCTIONS
    if not error <= (0 if is_exact else 1e-4 * abs(gradients["einops"]).max()):
        raise AssertionError(f"{case.name}: {error}")


def select_cases(text: str, elements: int) -> list[MemoryBoundCase]:
    """Return the cases whose group and name contain a text, with about this number of elements."""
    differentiable = [
        operation
        for operation in MEMORY_BOUND_OPERATIONS
        if operation.reduction in REDUCTIONS and operation.dtype.startswith("float")
    ]
    cases = [
        MemoryBoundCase("torch", operation.with_elements(elements))
        for operation in differentiable
        if text in f"{operation.group} {operation.name}"
    ]
    return [case for case in cases if case.is_layout_supported and case.operation.pattern.split("->")[1].strip()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gradients", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer and shorter rounds")
    add("--threads", type=int, default=1, metavar="N", help="threads of PyTorch, by default 1")
    add("--case", default="", metavar="SUBSTRING", help="only cases with this in their group and name")
    add("--elements", type=int, default=ELEMENTS, metavar="N", help=f"of a tensor, by default about {ELEMENTS:,}")
    add("--fast", choices=("off", "on"), default="on", help="whether plait uses its kernels")
    options = parser.parse_args(arguments)
    configure_process(options.threads, kernels=options.fast == "on")
    import torch

    torch.set_num_threads(options.threads)
    effort, rows, ratios = QUICK_EFFORT if options.quick else FULL_EFFORT, [], []
    for case in with_progress(select_cases(options.case, options.elements), lambda case: case.name):
        values = make_namespace(case)
        check_gradients(case, values)
        row = [case.operation.name]
        for calls in make_forward_and_gradient_expressions(case):
            seconds = measure_seconds(calls, values, effort)
            ratios.append(seconds["plait"] / seconds["einops"])
            row += [format_duration(seconds["einops"]), format_duration(seconds["plait"]), f"{ratios[-1]:.2g}"]
        rows.append(row)
    means = [f"{geometric_mean(ratios[start::2]):.2g}" for start in range(2)] if rows else ["", ""]
    rows.append(["geometric mean", "", "", means[0], "", "", means[1]])
    print_table(Console(width=140, highlight=False), "PyTorch, with gradients", COLUMNS, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
