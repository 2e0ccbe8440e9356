"""The clock of `benchmarks.einsum` and `benchmarks.movements`: seconds, and bytes, of expressions that are compared.

They take turns, round by round, so that a machine that slows down slows all of them; of each the fastest turn counts.
"""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from timeit import Timer
from typing import Any

NEAR = 1.5
"""An expression that takes this many times as long as the fastest has lost, and need not be measured more exactly."""

STEADY = 0.98
"""To what part of itself a time must fall in a heat for another heat to be worth it."""

OBJECTS = 65_536
"""By how many bytes two peaks may differ before they count as different: objects of Python, and buffers of NumPy."""


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes:
        heats: how many at most; one that makes no near expression faster is the last.
        rounds: of a heat; in each, every expression has its turn.
        turn: its seconds.
    """

    heats: int
    rounds: int
    turn: float

    @property
    def patience(self) -> float:
        """The seconds after which an expression takes no further turn in a heat.

        One whose single call fills many turns is measured less often: it is far behind, or, with much to do, it is
        disturbed less by what else the machine does.
        """
        return 4 * self.rounds * self.turn


FULL = Effort(heats=6, rounds=8, turn=0.02)
QUICK = Effort(heats=1, rounds=5, turn=0.005)


class Runner:
    """An expression that takes turns; ``best`` is the seconds of one call, in its fastest turn."""

    def __init__(self, text: str, namespace: dict[str, Any], turn: float) -> None:
        self._timer = Timer(text, globals=namespace)
        self.best = float("inf")
        self._calls = 1
        while self.run() < turn / 4:  # this warms, too: caches are filled, code is specialised
            self._calls *= 4
        self._calls = max(1, round(turn / self.best))

    def run(self) -> float:
        """Take a turn; its seconds."""
        seconds = self._timer.timeit(self._calls)
        self.best = min(self.best, seconds / self._calls)
        return seconds


def times(expressions: dict[str, str], namespace: dict[str, Any], effort: Effort) -> dict[str, float]:
    """The seconds of one call, by variant."""
    runners = {variant: Runner(text, namespace, effort.turn) for variant, text in expressions.items()}
    running = [*runners.values()]
    for number in range(effort.heats):
        before = [runner.best for runner in running]
        _heat(running, effort)
        steady = all(runner.best >= STEADY * best for runner, best in zip(running, before, strict=True))
        if number and steady:  # the first heat has nothing but the warming to be compared with
            break
        fastest = min(runner.best for runner in running)
        running = [runner for runner in running if runner.best < NEAR * fastest]
    return {variant: runner.best for variant, runner in runners.items()}


def _heat(runners: list[Runner], effort: Effort) -> None:
    spent = dict.fromkeys(runners, 0.0)
    for _ in range(effort.rounds):
        for runner in runners:
            if spent[runner] < effort.patience:
                spent[runner] += runner.run()


def peaks(expressions: dict[str, str], namespace: dict[str, Any]) -> dict[str, int]:
    """The bytes that one call holds when it holds most, its result included, by variant.

    Whatever tells ``tracemalloc`` counts: Python's objects and NumPy's arrays, not the buffers of a BLAS. The calls
    should have been made before, since what fills a cache is no cost of a call.
    """
    found = {}
    tracemalloc.start()
    try:
        for variant, text in expressions.items():
            call = eval(f"lambda: {text}", namespace)  # the text is this folder's own
            call()
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            call()
            found[variant] = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    return found
