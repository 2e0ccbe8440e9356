"""The clock: each function returns microseconds (or milliseconds, as it says), the least of several rounds.

What is compared is interleaved, round by round, so that a machine that slows down slows all of it.
"""

from __future__ import annotations

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
from benchmarks.cases import SHAPE, VARIANTS, Case, Operation
from plait._executor.cache import lookup

NEW = 400
"""How many new shapes, and new patterns, one round meets."""

LIBRARIES = {"einops": einops, "plait": plait}


@dataclass(frozen=True)
class Effort:
    """How long to measure: rounds, and the seconds of one variant's turn in a round."""

    rounds: int
    turn: float


FULL = Effort(rounds=15, turn=0.02)
QUICK = Effort(rounds=5, turn=0.005)


def call_times(case: Case, effort: Effort) -> dict[str, float]:
    """Microseconds of a call that has been made before, by variant."""
    namespace = case.namespace()
    timers = {variant: Timer(case.expression(variant), globals=namespace) for variant in VARIANTS}
    counts = {}
    for variant, timer in timers.items():
        timer.timeit(100)  # warm: caches are filled, and the interpreter has specialised the code
        counts[variant] = max(20, round(effort.turn / (timer.timeit(200) / 200)))
    best = dict.fromkeys(VARIANTS, float("inf"))
    for _ in range(effort.rounds):
        for variant, timer in timers.items():
            best[variant] = min(best[variant], timer.timeit(counts[variant]) / counts[variant] * 1e6)
    return best


def new_shape_times(operation: Operation, effort: Effort) -> dict[str, float]:
    """Microseconds of a call under a known pattern with a new shape, the work included, by library."""
    sizes = product(range(2, 18, 2), range(1, 9), range(2, 18, 2), range(2, 18, 2))
    arrays = [np.zeros(shape, np.float32) for shape, _ in zip(sizes, range(NEW), strict=False)]
    known = np.zeros((20, 1, 2, 2), np.float32)

    def prime(library: str) -> None:
        einops_caches._reconstruct_from_shape.cache_clear()
        lookup.cache_clear()
        operation.call(LIBRARIES[library], known, operation.pattern)

    return _calls(operation, [(array, operation.pattern) for array in arrays], prime, effort)


def new_pattern_times(operation: Operation, effort: Effort) -> dict[str, float]:
    """Microseconds of a call with a new pattern, the work included, by library."""
    names = [f"c{first}{second}" for first, second in product(ascii_lowercase, repeat=2)][:NEW]
    patterns = [re.sub(r"\bc\b", name, operation.pattern) for name in names]
    array = np.zeros(SHAPE, np.float32)

    def forget(_: str) -> None:
        einops_caches._reconstruct_from_shape.cache_clear()
        einops_caches._prepare_transformation_recipe.cache_clear()
        plait.cache_clear()

    return _calls(operation, [(array, pattern) for pattern in patterns], forget, effort)


def _calls(
    operation: Operation, calls: list[tuple[Any, str]], before: Callable[[str], None], effort: Effort
) -> dict[str, float]:
    """Microseconds of one of these calls, by library; the garbage collector runs, as it does in a program."""
    best = dict.fromkeys(LIBRARIES, float("inf"))
    for _ in range(effort.rounds):
        for library, module in LIBRARIES.items():
            function = getattr(module, operation.function)
            reduction, sizes = operation.reduction, operation.sizes
            before(library)
            start = perf_counter()
            for tensor, pattern in calls:
                function(tensor, pattern, *reduction, **sizes)
            best[library] = min(best[library], (perf_counter() - start) / len(calls) * 1e6)
    return best


def import_time(effort: Effort) -> float:
    """Milliseconds by which ``import plait`` prolongs a bare interpreter's life."""
    bare, whole = [], []
    for _ in range(effort.rounds):
        bare.append(_life("pass"))
        whole.append(_life("import plait"))
    return min(whole) - min(bare)


def _life(code: str) -> float:
    """Milliseconds of an interpreter that runs this."""
    start = perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (perf_counter() - start) * 1e3


def imported(modules: Iterable[str]) -> list[str]:
    """Which of these modules ``import plait`` loads."""
    code = "import sys, plait; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return sorted(set(modules) & set(found.stdout.split()))
