"""Compare contraction paths of plait with those of opt_einsum and cotengra, on the networks of `network_cases`.

From the root of the repository::

    python -m benchmarks.networks [--seed N] [--case SUBSTRING] [--cotengra-seconds N] [--check] [--json FILE]

There are two sets of networks: those by which the constants of plait's path search were chosen, and others that a seed
draws. Everything runs in one process, on one thread, with default options, for arrays of float64. FLOPs are counted in
the same way for all paths. Times are CPU times, the least of several runs. The planning time is that of plait from the
text of the pattern to the function that computes it, and of the others that of ``contract_path``. The contraction time
is that of plait's function, and for the others that of opt_einsum along their path.
"""

from __future__ import annotations

import argparse
import json
import sys
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from math import inf, prod
from pathlib import Path
from statistics import geometric_mean
from time import process_time
from typing import Any

import cotengra
import numpy as np
import opt_einsum
from rich.console import Console
from threadpoolctl import threadpool_limits

import plait
from benchmarks.network_cases import FIRST_CALL_EQUATIONS, NETWORKS, NetworkCase, draw_networks
from benchmarks.tables import format_duration, print_table, with_progress
from benchmarks.targets import Target, worst_case_target
from plait._executor.compile import build_einsum_callable, check_and_solve
from plait._executor.contraction import contraction_functions_for_tensors, find_cheapest_contraction
from plait._shapes.sizes import compute_all_slots

TABLE_WIDTH = 140
"""The width of the tables, in characters; a narrower terminal wraps lines."""

MAX_FLOPS_TO_CONTRACT = 3e11
MAX_ELEMENTS_TO_CONTRACT = 2**27
"""Networks with more operations, or with a larger result, are not contracted: that would take over ten seconds."""

MAX_FLOPS_OF_LEAST = 4
"""Nor are they contracted along another path that has more operations than this many times the fewest."""

SECONDS_PER_FLOP = 3.4e-11
"""The time of a multiplication or an addition in a product of float64 matrices, from plait's cost model."""

RUNS_OF_FIRST_CALLS = 40
"""How often a first call is measured."""

MIN_BYTES_TO_LIMIT = 4 << 20
"""A contraction that takes fewer bytes is not limited: NumPy's own buffers would decide."""

LIMITED_PART = 0.3
"""The part of the memory beside the result that a limited contraction is allowed."""

RUNS = 5
MAX_SECONDS_OF_RUNS = 1.0
"""How often a planning time and a contraction time are measured, unless this takes more seconds."""

MIN_PLANNING_OF_ALLOWED = 0.5
"""The least planning time, of the allowed one, that counts for the mean of all networks."""

PLAIT, AUTO, AUTO_HQ, COTENGRA = "plait", "auto", "auto-hq", "cotengra"


@dataclass(frozen=True)
class NetworkResult:
    """What was measured for one network, by the name of the path finder.

    Attributes:
        case: the name of the network.
        tensors: the number of tensors.
        flops: the multiplications and additions along the path.
        planning: the seconds of CPU time to find the path.
        contraction: the seconds to contract the network along the path, where that is feasible.
        estimated: the seconds that plait's contraction takes at the speed of a matrix product.
        peak_of_limit: the measured peak of plait's contraction under a limit of memory, relative to it; ``None`` for
            networks that need little memory, or whose contraction is not feasible.
    """

    case: str
    tensors: int
    flops: dict[str, float]
    planning: dict[str, float]
    estimated: float
    contraction: dict[str, float] = field(default_factory=dict)
    peak_of_limit: float | None = None

    @property
    def flops_of_best_peer(self) -> float:
        """The operations of plait's path relative to the best of ``auto-hq`` and cotengra."""
        return self.flops[PLAIT] / min(self.flops[AUTO_HQ], self.flops[COTENGRA])

    @property
    def planning_of_allowed(self) -> float:
        """The planning time relative to ``auto``, or to 2.5 % of the contraction where that is more.

        It is at least `MIN_PLANNING_OF_ALLOWED`, since the mean must not follow from a contraction that takes years.
        """
        allowed = max(self.planning[AUTO], 0.025 * self.estimated)
        return max(self.planning[PLAIT] / allowed, MIN_PLANNING_OF_ALLOWED)

    @property
    def total_of_best_peer(self) -> float | None:
        """The time of planning and contraction relative to the best peer; ``None`` if it is below 1 ms, or unknown."""
        totals = {name: self.planning[name] + seconds for name, seconds in self.contraction.items()}
        if PLAIT not in totals or len(totals) < 2 or not 1e-3 <= self.contraction[PLAIT] <= 10:
            return None
        return totals[PLAIT] / min(seconds for name, seconds in totals.items() if name != PLAIT)


def count_flops_and_largest(case: NetworkCase, path: Sequence[Sequence[int]]) -> tuple[int, int]:
    """Return the operations along a path, counted as opt_einsum does, and the elements of the largest result."""
    terms = [frozenset(term) for term in case.terms]
    uses = Counter(chain(case.output, *terms))
    total = largest = 0
    for positions in path:
        contracted = [terms[position] for position in positions]
        terms = [term for position, term in enumerate(terms) if position not in positions]
        axes = frozenset[int]().union(*contracted)
        for term in contracted:
            uses.subtract(term)
        kept = frozenset(axis for axis in axes if uses[axis] > 0)
        uses.update(kept)
        terms.append(kept)
        products = prod(case.sizes[axis] for axis in axes)
        total += products * (max(1, len(contracted) - 1) + (kept != axes))
        largest = max(largest, prod(case.sizes[axis] for axis in kept))
    return total, largest


def measure_least_cpu_seconds(call: Callable[[], Any], runs: int = RUNS) -> tuple[float, Any]:
    """Return the least CPU time of several runs, in seconds, and the result; few are made if they take seconds."""
    best, result, total = inf, None, 0.0
    for _ in range(runs):
        start = process_time()
        result = call()
        seconds = process_time() - start
        best, total = min(best, seconds), total + seconds
        if total > MAX_SECONDS_OF_RUNS:
            break
    return best, result


def plan_with_plait(pattern: str, shapes: Sequence[tuple[int, ...]]) -> Callable[..., Any]:
    """Return the function that computes an einsum of float64 arrays, planned without any cached result."""
    plait.cache_clear()
    types, dtypes = (np.ndarray,) * len(shapes), (np.dtype(np.float64),) * len(shapes)
    return build_einsum_callable("einsum", pattern, types, shapes, {}, dtypes, None)


def find_path_of_plait(case: NetworkCase) -> tuple[tuple[int, ...], ...]:
    """Return the path along which plait contracts a network."""
    count = len(case.terms)
    functions = contraction_functions_for_tensors((np.ndarray,) * count, (np.dtype(np.float64),) * count)
    assert functions is not None
    solved = check_and_solve("einsum", case.pattern, tuple(map(len, case.terms)), ())
    slots = compute_all_slots(solved, solved.size_ops, list(chain(*case.shapes)), {})
    contraction = find_cheapest_contraction(solved, slots, functions.costs, None)
    assert contraction is not None
    return contraction.path


def find_path_with_opt_einsum(case: NetworkCase, optimize: str) -> list[tuple[int, ...]]:
    """Return the path that opt_einsum chooses."""
    return list(opt_einsum.contract_path(case.equation, *case.shapes, shapes=True, optimize=optimize)[0])


def find_path_with_cotengra(case: NetworkCase, seconds: float) -> list[tuple[int, ...]]:
    """Return the path that cotengra finds in some seconds of CPU time."""
    if len(case.terms) < 4:
        return find_path_with_opt_einsum(case, "optimal")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about packages that are not installed
        optimizer = cotengra.HyperOptimizer(max_repeats=4, minimize="flops", reconf_opts={}, parallel=False)
        start, path = process_time(), []
        while process_time() - start < seconds:  # each call continues the search
            path = list(optimizer(list(case.terms), case.output, dict(enumerate(case.sizes))))
    return path


def measure_network(case: NetworkCase, cotengra_seconds: float) -> NetworkResult:
    """Measure one network; check that all contractions give the same result."""
    planning, paths = {}, {}
    planning[PLAIT], call = measure_least_cpu_seconds(lambda: plan_with_plait(case.pattern, case.shapes))
    paths[PLAIT] = find_path_of_plait(case)
    for name in (AUTO, AUTO_HQ):
        planning[name], paths[name] = measure_least_cpu_seconds(lambda name=name: find_path_with_opt_einsum(case, name))
    planning[COTENGRA], paths[COTENGRA] = measure_least_cpu_seconds(
        lambda: find_path_with_cotengra(case, cotengra_seconds), 1
    )
    costs = {name: count_flops_and_largest(case, path) for name, path in paths.items()}
    flops = {name: float(count) for name, (count, _) in costs.items()}
    estimated = flops[PLAIT] * SECONDS_PER_FLOP
    result = NetworkResult(case.name, len(case.terms), flops, planning, estimated)
    max_flops = min(MAX_FLOPS_TO_CONTRACT, MAX_FLOPS_OF_LEAST * min(flops.values()))
    feasible = [
        name for name, (count, largest) in costs.items() if count <= max_flops and largest <= MAX_ELEMENTS_TO_CONTRACT
    ]
    if PLAIT in feasible:
        tensors = case.draw_tensors()
        expected = None
        for name in feasible:
            if name == PLAIT:
                contract = lambda: call(*tensors)
            else:
                expression = opt_einsum.contract_expression(case.equation, *case.shapes, optimize=paths[name])
                contract = lambda expression=expression: expression(*tensors)
            result.contraction[name], found = measure_least_cpu_seconds(contract)
            expected = found if expected is None else expected
            np.testing.assert_allclose(found, expected, rtol=1e-6)
        result = replace(result, peak_of_limit=measure_peak_of_limit(case, tensors))
    return result


def measure_peak_bytes(call: Callable[[], Any]) -> tuple[int, Any]:
    """Return the most bytes that a call allocates at once, and its result; an earlier call has planned it."""
    call()
    tracemalloc.start()
    try:
        result = call()
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


def measure_peak_of_limit(case: NetworkCase, tensors: Sequence[Any]) -> float | None:
    """Return the peak under a limit, relative to it, which is below what the contraction takes without a limit."""
    unlimited, expected = measure_peak_bytes(lambda: plait.einsum(*tensors, case.pattern))
    if unlimited < MIN_BYTES_TO_LIMIT:
        return None
    limit = expected.nbytes + int((unlimited - expected.nbytes) * LIMITED_PART)
    with plait.options(memory_limit=limit):
        peak, found = measure_peak_bytes(lambda: plait.einsum(*tensors, case.pattern))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    return peak / limit


def measure_first_calls() -> dict[str, float]:
    """Return for each equation the time of plait's first call relative to a call of ``opt_einsum.contract``.

    The first call of an equation is meant, in a program that has contracted arrays of this type before: for each run
    all caches are emptied, and then another equation is computed, which is not measured.
    """
    ratios = {}
    vector = np.ones(3)
    for equation in FIRST_CALL_EQUATIONS:
        terms = equation.split("->")[0].split(",")
        tensors = [np.ones([3 + ord(letter) % 5 for letter in term]) for term in terms]
        pattern = " ".join(equation).replace("- >", "->").replace(" ,", ",")
        best = dict.fromkeys((PLAIT, AUTO), inf)
        for _ in range(RUNS_OF_FIRST_CALLS):
            plait.cache_clear()
            plait.einsum(vector, vector, "x, x -> x")
            start = process_time()
            plait.einsum(*tensors, pattern)
            planned = process_time()
            opt_einsum.contract(equation, *tensors)
            best = {
                PLAIT: min(best[PLAIT], planned - start),
                AUTO: min(best[AUTO], process_time() - planned),
            }
        ratios[equation] = best[PLAIT] / best[AUTO]
    return ratios


def network_targets(results: Sequence[NetworkResult]) -> list[Target]:
    """Return the targets of a set of networks, and whether they are met; each mean is geometric."""
    flops_of_hq = geometric_mean(result.flops[PLAIT] / result.flops[AUTO_HQ] for result in results)
    planning_of_hq = geometric_mean(result.planning[PLAIT] / result.planning[AUTO_HQ] for result in results)
    planning = geometric_mean(result.planning_of_allowed for result in results)
    totals = [ratio for result in results if (ratio := result.total_of_best_peer) is not None]
    targets = [
        Target("FLOPs, of auto-hq, mean", flops_of_hq, 0.95),
        Target("planning time, of auto-hq, mean", planning_of_hq, 0.5),
        worst_case_target(
            "FLOPs, worst, of the best of auto-hq and cotengra",
            results,
            lambda result: result.flops_of_best_peer,
            1.5,
        ),
        Target("planning time, of auto or 2.5 % of the contraction, mean", planning, 2),
    ]
    large = [result for result in results if result.tensors == 300]
    if large:
        targets.append(worst_case_target("300 tensors, seconds", large, lambda result: result.planning[PLAIT], 0.5))
    if totals:
        description = f"planning + contraction, of the best peer, {len(totals)} networks, mean"
        targets.append(Target(description, geometric_mean(totals), 0.8))
    limited = [result for result in results if result.peak_of_limit is not None]
    if limited:
        description = f"peak memory, of the limit, {len(limited)} networks"
        targets.append(worst_case_target(description, limited, lambda result: result.peak_of_limit, 1.1))
    return targets


def first_call_target(first_calls: dict[str, float]) -> Target:
    """Return the target of first calls, and whether it is met."""
    return Target("first call of 2 to 7 tensors, of oe.contract", geometric_mean(first_calls.values()), 1.5)


def print_results(title_of_set: str, results: Sequence[NetworkResult], console: Console) -> None:
    """Print the tables of a set of networks."""
    names = (PLAIT, AUTO, AUTO_HQ, COTENGRA)

    def print_figures(
        title: str, figures: Callable[[NetworkResult], dict[str, float]], text: Callable[[float], str]
    ) -> None:
        rows = []
        for result in results:
            found = figures(result)
            cells = [text(found[name]) if name in found else "-" for name in names]
            rows.append([result.case, str(result.tensors), *cells])
        print_table(console, f"{title}, {title_of_set}", ["", "tensors", *names], rows)

    print_figures("FLOPs", lambda result: result.flops, "{:.3g}".format)
    print_figures("Planning time", lambda result: result.planning, format_duration)
    print_figures("Contraction time", lambda result: result.contraction, format_duration)


def print_targets(title_of_set: str, targets: Sequence[Target], console: Console) -> None:
    """Print a table of targets."""
    rows = [
        [target.description, f"{target.value:.3g}", f"{target.limit:g}", target.worst_case, target.verdict]
        for target in targets
    ]
    print_table(console, f"Performance targets, {title_of_set}", ["", "measured", "limit", "where", ""], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; with ``--check`` return 1 if a target is broken, else 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.networks", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=9, metavar="N", help="of the networks that are drawn; default 9")
    parser.add_argument("--case", default="", metavar="SUBSTRING", help="only networks with this in their name")
    parser.add_argument(
        "--cotengra-seconds", type=float, default=2.0, metavar="N", help="the CPU time of cotengra's search"
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is broken")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    options = parser.parse_args(arguments)
    sets = {
        "known networks": [case for case in NETWORKS if options.case in case.name],
        f"networks drawn with seed {options.seed}": [
            case for case in draw_networks(options.seed) if options.case in case.name
        ],
    }
    if not any(sets.values()):
        parser.error(f"no network has {options.case!r} in its name")
    results: dict[str, list[NetworkResult]] = {}
    with threadpool_limits(1):
        for title, cases in sets.items():
            if cases:
                results[title] = [
                    measure_network(case, options.cotengra_seconds)
                    for case in with_progress(cases, lambda case: case.name)
                ]
        first_calls = measure_first_calls()
    targets = {title: network_targets(found) for title, found in results.items()}
    targets["first calls"] = [first_call_target(first_calls)]
    console = Console(width=max(TABLE_WIDTH, Console().width), highlight=False)
    for title, found in results.items():
        print_results(title, found, console)
    for title, checked in targets.items():
        print_targets(title, checked, console)
    if options.json:
        record = {
            "results": {title: [asdict(result) for result in found] for title, found in results.items()},
            "first_calls": first_calls,
            "targets": {
                title: [asdict(target) | {"verdict": target.verdict} for target in checked]
                for title, checked in targets.items()
            },
        }
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return int(options.check and any(target.verdict == "BROKEN" for target in chain(*targets.values())))


if __name__ == "__main__":
    sys.exit(main())
