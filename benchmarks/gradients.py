"""Reductions of large tensors of PyTorch with their gradients, there and back, beside einops, which makes one call.

From the root of the repository::

    python -m benchmarks.gradients [--quick] [--threads N] [--case SUBSTRING] [--elements N]

The cases are those of `benchmarks.movements` that PyTorch has a gradient of, in floating types. Before the clock
starts, the gradients of both are compared: they are the same to the bit.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from statistics import geometric_mean
from typing import Any

from rich.console import Console

from benchmarks.movement_cases import MOVEMENTS
from benchmarks.movers import Case, result, settle
from benchmarks.race import FULL, QUICK, times
from benchmarks.tables import duration, print_table, watched

ELEMENTS = 6_422_528
"""About how many elements a tensor has."""

REDUCTIONS = ("min", "max", "sum", "mean")

HEAD = ["", "there: einops", "plait", "plait / einops", "there and back: einops", "plait", "plait / einops"]


def expressions(case: Case) -> tuple[dict[str, str], dict[str, str]]:
    """The reduction by both libraries, and the same with the gradient of the tensor."""
    calls = {library: text for library, text in case.expressions().items() if library in ("plait", "einops")}
    return calls, {library: f"torch.autograd.grad({text}, x, slope)[0]" for library, text in calls.items()}


def namespace(case: Case) -> dict[str, Any]:
    """What the names stand for; ``slope`` is a gradient of the result."""
    import torch

    space = case.namespace()
    space["x"].requires_grad_()
    space["slope"] = torch.rand(case.movement.output_shape, dtype=space["x"].dtype)
    return space


def check(case: Case, space: dict[str, Any]) -> None:
    """Raise where the gradients differ."""
    found = {library: result(text, space) for library, text in expressions(case)[1].items()}
    if not (found["plait"] == found["einops"]).all():
        raise AssertionError(case.name)


def chosen(text: str, elements: int) -> list[Case]:
    """The cases with this text in their group and name, of about so many elements."""
    has = [does for does in MOVEMENTS if does.reduction in REDUCTIONS and does.dtype.startswith("float")]
    cases = [Case("torch", does.scaled(elements)) for does in has if text in f"{does.group} {does.name}"]
    return [case for case in cases if case.exists and case.movement.pattern.split("->")[1].strip()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gradients", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer and shorter rounds")
    add("--threads", type=int, default=1, metavar="N", help="threads of PyTorch, by default 1")
    add("--case", default="", metavar="SUBSTRING", help="only cases with this in their group and name")
    add("--elements", type=int, default=ELEMENTS, metavar="N", help=f"of a tensor, by default about {ELEMENTS:,}")
    options = parser.parse_args(arguments)
    settle(options.threads, kernels=False)
    import torch

    torch.set_num_threads(options.threads)
    effort, rows, ratios = QUICK if options.quick else FULL, [], []
    for case in watched(chosen(options.case, options.elements), lambda case: case.name):
        space = namespace(case)
        check(case, space)
        row = [case.movement.name]
        for calls in expressions(case):
            seconds = times(calls, space, effort)
            ratios.append(seconds["plait"] / seconds["einops"])
            row += [duration(seconds["einops"]), duration(seconds["plait"]), f"{ratios[-1]:.2g}"]
        rows.append(row)
    means = [f"{geometric_mean(ratios[start::2]):.2g}" for start in range(2)] if rows else ["", ""]
    rows.append(["geometric mean", "", "", means[0], "", "", means[1]])
    print_table(Console(width=140, highlight=False), "PyTorch, with gradients", HEAD, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
