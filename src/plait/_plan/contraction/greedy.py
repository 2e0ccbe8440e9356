"""Greedy searches for a contraction path: again and again the pair of tensors with the lowest score is contracted.

The score is the size of the result minus the sizes of both tensors, times a weight; a small weight gives results that
are small themselves, a large one removes large tensors early. Noise makes other paths, for restarts. Source: J. Gray and
S. Kourtis, Hyper-optimized tensor network contraction, Quantum 5, 410 (2021), section 4.1.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import log
from random import Random
from typing import Any

from plait._plan.contraction.tensor_graph import PartialContraction, Step, TensorGraph

WEIGHT_UNIT = 16
"""Weights are given in this fraction, so that scores stay exact for sizes beyond those of a float."""


def find_greedy_steps(
    graph: TensorGraph,
    neighbours: list[set[int]],
    *,
    weight: int = WEIGHT_UNIT,
    noise: float = 0.0,
    seed: int = 0,
    memory_limit: int | None = None,
) -> list[Step]:
    """Return the steps of a greedy path.

    Args:
        graph: The tensors.
        neighbours: For each tensor its neighbours, as `TensorGraph.find_neighbours` returns them.
        weight: By which the sizes of both tensors are weighted, in sixteenths.
        noise: The standard width of the random numbers added to the logarithms of the scores.
        seed: Of the random numbers.
        memory_limit: The largest number of elements that a result may have, except that of the last step. If no pair
            is left with such a result, the last step contracts all remaining tensors.
    """
    state = PartialContraction(graph)
    axes, sizes, size_of = state.axes, state.sizes, graph.size_of
    linked = [others.copy() for others in neighbours]
    draw = Random(seed).random

    def score(first: int, second: int) -> Any:
        shared = axes[first] & axes[second]
        both = sizes[first] + sizes[second]
        result = sizes[first] * sizes[second] // (size_of[shared] * size_of[shared & state.paired])
        growth = WEIGHT_UNIT * result - weight * both
        if not noise:
            return growth
        magnitude = log(growth) if growth > 0 else -log(-growth) if growth else 0.0
        return magnitude + noise * log(-log(draw() or 0.5))  # adds a number with the Gumbel distribution

    queue = [(score(one, other), one, other) for one, others in enumerate(linked) for other in others if one < other]
    heapify(queue)
    is_left = [True] * len(graph.terms)
    left_count = len(graph.terms)
    while queue:
        _, one, other = heappop(queue)
        if not (is_left[one] and is_left[other]):
            continue
        if memory_limit is not None and left_count > 2 and state.result_size(one, other) > memory_limit:
            continue
        is_left[one] = is_left[other] = False
        result = state.contract(one, other)
        is_left.append(True)
        left_count -= 1
        others = linked[one]
        others |= linked[other]
        others -= {one, other}
        linked.append(others)
        for number in sorted(others) if noise else others:  # the order of a set must not decide which noise is whose
            links = linked[number]
            links.discard(one)
            links.discard(other)
            links.add(result)
            heappush(queue, (score(number, result), number, result))
    contract_smallest_first(state, [number for number, left in enumerate(is_left) if left], memory_limit)
    return state.steps


def contract_smallest_first(state: PartialContraction, numbers: list[int], memory_limit: int | None = None) -> None:
    """Contract tensors that share no axes which are summed: always the two smallest ones.

    If their result exceeds the limit, the remaining tensors are contracted in one step.
    """
    queue = [(state.sizes[number], number) for number in numbers]
    heapify(queue)
    while len(queue) > 1:
        (_, one), (_, other) = heappop(queue), heappop(queue)
        if memory_limit is not None and queue and state.result_size(one, other) > memory_limit:
            state.steps.append(tuple(sorted([one, other, *[number for _, number in queue]])))
            return
        result = state.contract(one, other)
        heappush(queue, (state.sizes[result], result))
