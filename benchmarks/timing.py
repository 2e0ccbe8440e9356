"""Measure the time and the peak memory of expressions, for `benchmarks.einsum` and `benchmarks.memory_bound`.

The expressions run in turn, so that a machine that slows down slows all of them. The fastest turn of each counts.
"""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from timeit import Timer
from typing import Any

MAX_RATIO_TO_FASTEST = 1.5
"""An expression whose time is this many times that of the fastest one is not measured again."""

CONVERGENCE_FACTOR = 0.98
"""The measurement ends when no time falls below this fraction of its value in the series before."""

IGNORED_BYTES = 65_536
"""Differences of peak memory up to this many bytes are ignored: they are Python objects and buffers of NumPy."""


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes:
        max_series: the greatest number of series; measuring ends earlier, after a series in which no time got shorter.
        rounds: the number of rounds in a series; every expression has one turn in a round.
        turn_seconds: the length of a turn, in seconds.
    """

    max_series: int
    rounds: int
    turn_seconds: float

    @property
    def max_expression_seconds_per_series(self) -> float:
        """The seconds after which an expression has no more turns in a series.

        An expression whose call takes longer than a turn is measured less often: it is either far slower than the
        others, or long enough that other programs disturb it less.
        """
        return 4 * self.rounds * self.turn_seconds


FULL_EFFORT = Effort(max_series=6, rounds=8, turn_seconds=0.02)
QUICK_EFFORT = Effort(max_series=1, rounds=5, turn_seconds=0.005)


class TimedExpression:
    """An expression with its timer; ``best_seconds`` is the time of one call in its fastest turn."""

    def __init__(self, text: str, namespace: dict[str, Any], turn_seconds: float) -> None:
        self._timer = Timer(text, globals=namespace)
        self.best_seconds = float("inf")
        self._calls = 1
        while self.run_turn() < turn_seconds / 4:  # this also warms up: it fills caches and specializes code
            self._calls *= 4
        self._calls = max(1, round(turn_seconds / self.best_seconds))

    def run_turn(self) -> float:
        """Run the expression for one turn, and return the seconds of the turn."""
        seconds = self._timer.timeit(self._calls)
        self.best_seconds = min(self.best_seconds, seconds / self._calls)
        return seconds


def measure_seconds(expressions: dict[str, str], namespace: dict[str, Any], effort: Effort) -> dict[str, float]:
    """Measure the time of expressions in turn.

    Args:
        expressions: Python expressions by the name of their variant.
        namespace: the values of the names in the expressions.
        effort: how long to measure.

    Returns:
        The fastest time of one call of each expression, in seconds, by variant.
    """
    timed = {variant: TimedExpression(text, namespace, effort.turn_seconds) for variant, text in expressions.items()}
    remaining = [*timed.values()]
    for number in range(effort.max_series):
        before = [expression.best_seconds for expression in remaining]
        _run_series(remaining, effort)
        pairs = zip(remaining, before, strict=True)
        has_converged = all(expression.best_seconds >= CONVERGENCE_FACTOR * seconds for expression, seconds in pairs)
        if number and has_converged:  # before the first series, the times are those of the warm-up
            break
        fastest = min(expression.best_seconds for expression in remaining)
        remaining = [expression for expression in remaining if expression.best_seconds < MAX_RATIO_TO_FASTEST * fastest]
    return {variant: expression.best_seconds for variant, expression in timed.items()}


def _run_series(timed: list[TimedExpression], effort: Effort) -> None:
    """Run one series of rounds."""
    spent = dict.fromkeys(timed, 0.0)
    for _ in range(effort.rounds):
        for expression in timed:
            if spent[expression] < effort.max_expression_seconds_per_series:
                spent[expression] += expression.run_turn()


def measure_peak_bytes_by_variant(expressions: dict[str, str], namespace: dict[str, Any]) -> dict[str, int]:
    """Measure the peak memory of one call of each expression, its result included, in bytes, by variant.

    ``tracemalloc`` counts Python objects and NumPy arrays, and not the buffers of a BLAS library. Each expression
    should have run before, since the memory of a cache is not a cost of the call.
    """
    peak_bytes = {}
    tracemalloc.start()
    try:
        for variant, text in expressions.items():
            call = eval(f"lambda: {text}", namespace)  # the text comes from this directory
            call()
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            call()
            peak_bytes[variant] = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    return peak_bytes
