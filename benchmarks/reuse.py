"""Measure einsums with constant operands and einsums that share results, compared with opt_einsum.

From the root of the repository::

    python -m benchmarks.reuse [--quick]

The times are those of NumPy in float64. A call with constants is compared with a call of all operands, and with
``opt_einsum.contract_expression(..., constants=...)``. Einsums that share are compared with the same ones outside of
the block, and with ``opt_einsum.shared_intermediates``, whose expressions have their paths already.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import opt_einsum
from rich.console import Console

import plait
from benchmarks.tables import format_duration, print_table
from benchmarks.timing import FULL_EFFORT, QUICK_EFFORT, Effort, TimedExpression


@dataclass(frozen=True)
class ConstantsCase:
    """An equation, the shapes of its operands, and the numbers of those that are constant."""

    name: str
    equation: str
    shapes: tuple[tuple[int, ...], ...]
    constants: tuple[int, ...]


@dataclass(frozen=True)
class SharingCase:
    """Equations over the same operands, and the shapes of these."""

    name: str
    equations: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]


CONSTANTS_CASES = (
    ConstantsCase("small", "bi,ir,rj->bj", ((50, 30), (30, 20), (20, 3)), (1, 2)),
    ConstantsCase("two weights", "bi,ir,rj->bj", ((64, 512), (512, 256), (256, 128)), (1, 2)),
    ConstantsCase(
        "weights around a tensor", "ab,bic,cd,de->aie", ((64, 64), (64, 8, 64), (64, 64), (64, 64)), (0, 2, 3)
    ),
    ConstantsCase("summed weights", "bi,irs,rj->bj", ((64, 256), (256, 32, 32), (32, 64)), (1, 2)),
    ConstantsCase(
        "environment of a site",
        "ab,aic,bid,cje,djf,ef,xgi->xg",
        ((16, 16), (16, 4, 16), (16, 4, 16), (16, 4, 16), (16, 4, 16), (16, 16), (8, 8, 4)),
        (0, 1, 2, 3, 4, 5),
    ),
)

SHARING_CASES = (
    SharingCase("small chain", ("ab,bc,cd,de->ae", "ab,bc,cd,de->ea", "ab,bc,cd,de->a"), ((20, 20),) * 4),
    SharingCase("chain", ("ab,bc,cd,de->ae", "ab,bc,cd,de->ea", "ab,bc,cd,de->a"), ((200, 200),) * 4),
    SharingCase(
        "marginals of a tree",
        tuple(f"ab,bc,bd,de,df->{axis}" for axis in "abcdef"),
        ((300, 300),) * 5,
    ),
)


def build_constants_calls(case: ConstantsCase) -> dict[str, Callable[[], Any]]:
    """Return the calls of a case by name; all return the same."""
    arrays = [np.random.default_rng(seed).standard_normal(shape) for seed, shape in enumerate(case.shapes)]
    others = [array for number, array in enumerate(arrays) if number not in case.constants]
    pattern = plait.compile(case.equation)
    fixed = pattern.with_constants({number: arrays[number] for number in case.constants})
    given = [arrays[number] if number in case.constants else shape for number, shape in enumerate(case.shapes)]
    expression = opt_einsum.contract_expression(case.equation, *given, constants=case.constants)
    return {
        "plait": partial(fixed.einsum, *others),
        "plait, all operands": partial(pattern.einsum, *arrays),
        "opt_einsum": partial(expression, *others),
    }


def build_sharing_calls(case: SharingCase) -> dict[str, Callable[[], Any]]:
    """Return the calls of a case by name; all return the same list."""
    arrays = [np.random.default_rng(seed).standard_normal(shape) for seed, shape in enumerate(case.shapes)]
    expressions = [opt_einsum.contract_expression(equation, *case.shapes) for equation in case.equations]

    def call_plainly() -> list[Any]:
        return [plait.einsum(equation, *arrays) for equation in case.equations]

    def call_shared() -> list[Any]:
        with plait.share_intermediates():
            return call_plainly()

    def call_opt_einsum() -> list[Any]:
        with opt_einsum.shared_intermediates():
            return [expression(*arrays) for expression in expressions]

    return {"plait": call_shared, "plait, outside": call_plainly, "opt_einsum": call_opt_einsum}


def measure_seconds(calls: dict[str, Callable[[], Any]], effort: Effort) -> dict[str, float]:
    """Return the seconds of each call in its fastest turn; the calls run in turn."""
    for call in calls.values():  # the first call chooses a path, and would count as a turn
        call()
    timed = {name: TimedExpression("call()", {"call": call}, effort.turn_seconds) for name, call in calls.items()}
    for _ in range(effort.max_series * effort.rounds):
        for expression in timed.values():
            expression.run_turn()
    return {name: expression.best_seconds for name, expression in timed.items()}


def print_times(console: Console, title: str, times_by_case: dict[str, dict[str, float]]) -> None:
    """Print the time of plait, and its ratios to the other calls."""
    others = [name for name in next(iter(times_by_case.values())) if name != "plait"]
    rows = [
        [case, format_duration(times["plait"]), *[f"{times['plait'] / times[name]:.2f}" for name in others]]
        for case, times in times_by_case.items()
    ]
    print_table(console, title, ["", "plait", *[f"/ {name}" for name in others]], rows)


def main() -> None:
    """Run the benchmark of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter turns")
    effort = QUICK_EFFORT if parser.parse_args().quick else FULL_EFFORT
    console = Console()
    constants = {case.name: measure_seconds(build_constants_calls(case), effort) for case in CONSTANTS_CASES}
    print_times(console, "A call with constants", constants)
    sharing = {case.name: measure_seconds(build_sharing_calls(case), effort) for case in SHARING_CASES}
    print_times(console, "Calls that share their intermediate results, the block included", sharing)


if __name__ == "__main__":
    main()
