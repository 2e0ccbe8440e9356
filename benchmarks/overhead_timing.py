"""Measure the cost of calls and of ``import plait``, for `benchmarks.overhead`.

The compared calls run in turn, so that a machine that slows down slows all of them. The fastest round counts.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from string import ascii_lowercase
from time import perf_counter
from timeit import Timer
from typing import Any

import einops
import einops.einops as einops_caches
import numpy as np

import plait
from benchmarks.overhead_cases import SHAPE, VARIANTS, Operation, OverheadCase
from plait._executor.cache import lookup

NEW_CALLS_PER_ROUND = 400
"""The number of new shapes, or of new patterns, in a round."""

MODULE_BY_LIBRARY = {"einops": einops, "plait": plait}
"""The libraries whose first calls are compared."""


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes:
        rounds: the number of rounds; every variant has one turn in a round.
        turn_seconds: the length of a turn, in seconds.
    """

    rounds: int
    turn_seconds: float


FULL_EFFORT = Effort(rounds=15, turn_seconds=0.02)
QUICK_EFFORT = Effort(rounds=5, turn_seconds=0.005)


def measure_repeated_call(case: OverheadCase, effort: Effort) -> dict[str, float]:
    """Measure a call that was made before; return microseconds by variant."""
    namespace = case.namespace()
    timers = {variant: Timer(case.variant_expression(variant), globals=namespace) for variant in VARIANTS}
    counts = {}
    for variant, timer in timers.items():
        timer.timeit(100)  # warm up: fill caches, and let the interpreter specialize the code
        counts[variant] = max(20, round(effort.turn_seconds / (timer.timeit(200) / 200)))
    best = dict.fromkeys(VARIANTS, float("inf"))
    for _ in range(effort.rounds):
        for variant, timer in timers.items():
            best[variant] = min(best[variant], timer.timeit(counts[variant]) / counts[variant] * 1e6)
    return best


def measure_new_shapes(operation: Operation, effort: Effort) -> dict[str, float]:
    """Measure whole calls with a known pattern and a new shape; return microseconds by library."""
    sizes = product(range(2, 18, 2), range(1, 9), range(2, 18, 2), range(2, 18, 2))
    arrays = [np.zeros(shape, np.float32) for shape, _ in zip(sizes, range(NEW_CALLS_PER_ROUND), strict=False)]
    warm_up_array = np.zeros((20, 1, 2, 2), np.float32)

    def clear_shape_caches(library: str) -> None:
        einops_caches._reconstruct_from_shape.cache_clear()
        lookup.cache_clear()
        operation.call_library(MODULE_BY_LIBRARY[library], warm_up_array, operation.pattern)

    return _measure_calls(operation, [(array, operation.pattern) for array in arrays], clear_shape_caches, effort)


def measure_new_patterns(operation: Operation, effort: Effort) -> dict[str, float]:
    """Measure a call with a new pattern, with its computation; return microseconds by library."""
    names = [f"c{first}{second}" for first, second in product(ascii_lowercase, repeat=2)][:NEW_CALLS_PER_ROUND]
    patterns = [re.sub(r"\bc\b", name, operation.pattern) for name in names]
    array = np.zeros(SHAPE, np.float32)

    def clear_all_caches(_: str) -> None:
        einops_caches._reconstruct_from_shape.cache_clear()
        einops_caches._prepare_transformation_recipe.cache_clear()
        plait.cache_clear()

    return _measure_calls(operation, [(array, pattern) for pattern in patterns], clear_all_caches, effort)


def _measure_calls(
    operation: Operation, call_arguments: list[tuple[Any, str]], before_round: Callable[[str], None], effort: Effort
) -> dict[str, float]:
    """Measure calls with these tensors and patterns; return the mean microseconds of a call by library.

    ``before_round`` is called with the name of the library before each round. The garbage collector runs, as it does in
    a program.
    """
    best = dict.fromkeys(MODULE_BY_LIBRARY, float("inf"))
    for _ in range(effort.rounds):
        for library, module in MODULE_BY_LIBRARY.items():
            function = getattr(module, operation.function)
            reduction, sizes = operation.reduction, operation.sizes
            before_round(library)
            start = perf_counter()
            for tensor, pattern in call_arguments:
                function(tensor, pattern, *reduction, **sizes)
            best[library] = min(best[library], (perf_counter() - start) / len(call_arguments) * 1e6)
    return best


def measure_plait_import_ms(effort: Effort) -> float:
    """Return the milliseconds by which ``import plait`` prolongs the run of an interpreter."""
    without_import, with_import = [], []
    for _ in range(effort.rounds):
        without_import.append(_measure_interpreter_ms("pass"))
        with_import.append(_measure_interpreter_ms("import plait"))
    return min(with_import) - min(without_import)


def _measure_interpreter_ms(code: str) -> float:
    """Return the milliseconds of an interpreter process that runs this code, with modules compiled to bytecode."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    return (perf_counter() - start) * 1e3


def find_modules_loaded_by_plait(modules: Iterable[str]) -> list[str]:
    """Return which of these modules ``import plait`` loads."""
    code = "import sys, plait; print(*sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return sorted(set(modules) & set(process.stdout.split()))
