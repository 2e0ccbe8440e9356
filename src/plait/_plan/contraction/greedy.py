"""Greedy searches for a contraction path: again and again the pair of tensors with the lowest score is contracted.

The score is the size of the result minus the sizes of both tensors, times a weight; a small weight gives results that
are small themselves, a large one removes large tensors early. Noise makes other paths, for restarts. Source: J. Gray
and S. Kourtis, Hyper-optimized tensor network contraction, Quantum 5, 410 (2021), section 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from math import inf, log
from random import Random
from typing import Any, NamedTuple, TypeAlias

from plait._plan.contraction.tensor_graph import PartialContraction, TensorGraph

WEIGHT_UNIT = 16
"""Weights are given in this fraction, so that scores stay exact for sizes beyond those of a float."""


PairOfNeighbours: TypeAlias = "tuple[int, int, int, int]"
"""The size of the contraction of two tensors that share an axis, the sum of their own sizes, and their numbers."""


def list_pairs(graph: TensorGraph, neighbours: list[set[int]]) -> list[PairOfNeighbours]:
    """Return the pairs of neighbours; a pair comes once."""
    terms, size_of, paired = graph.terms, graph.size_of, graph.paired
    sizes = [size_of[axes] for axes in terms]
    pairs = []
    for one, others in enumerate(neighbours):
        for other in others:
            if one < other:
                shared = terms[one] & terms[other]
                size = sizes[one] * sizes[other] // (size_of[shared] * size_of[shared & paired])
                pairs.append((size, sizes[one] + sizes[other], one, other))
    return pairs


def contract_all_greedily(
    graph: TensorGraph,
    neighbours: list[set[int]],
    pairs: Sequence[PairOfNeighbours],
    *,
    weight: int = WEIGHT_UNIT,
    noise: float = 0.0,
    seed: int = 0,
    memory_limit: int | None = None,
    max_cost: float = inf,
) -> PartialContraction | None:
    """Return the contraction of a network along a greedy path; ``None`` if it costs more than ``max_cost``.

    Args:
        graph: The tensors.
        neighbours: For each tensor its neighbours, as `TensorGraph.find_neighbours` returns them.
        pairs: The pairs of neighbours.
        weight: By which the sizes of both tensors are weighted, in sixteenths.
        noise: The standard width of the random numbers added to the logarithms of the scores.
        seed: Of the random numbers.
        memory_limit: The largest number of elements that a result may have, except that of the last step. If no pair
            is left with such a result, the last step contracts all remaining tensors.
        max_cost: The search ends when the steps cost more.
    """
    state = PartialContraction(graph)
    links = [others.copy() for others in neighbours]
    remaining = contract_greedily(
        state, links, pairs, weight=weight, noise=noise, seed=seed, memory_limit=memory_limit, max_cost=max_cost
    )
    if state.cost > max_cost:
        return None
    contract_smallest_first(state, remaining, memory_limit)
    return state


class ShrunkNetwork(NamedTuple):
    """A network in which those pairs are contracted whose results are not larger than their tensors."""

    state: PartialContraction
    links: list[set[int]]  # the neighbours of each tensor and of each result
    remaining: list[int]  # the numbers of the tensors and results that are left


def shrink_network(graph: TensorGraph, neighbours: list[set[int]], pairs: Sequence[PairOfNeighbours]) -> ShrunkNetwork:
    """Contract the pairs of neighbours whose results are not larger than both of their tensors."""
    state = PartialContraction(graph)
    links = [others.copy() for others in neighbours]
    return ShrunkNetwork(state, links, contract_greedily(state, links, pairs, weight=WEIGHT_UNIT, only_shrinking=True))


def contract_greedily(
    state: PartialContraction,
    links: list[set[int]],
    pairs: Sequence[PairOfNeighbours],
    *,
    weight: int,
    noise: float = 0.0,
    seed: int = 0,
    memory_limit: int | None = None,
    max_cost: float = inf,
    only_shrinking: bool = False,
) -> list[int]:
    """Contract pairs of neighbours, and return the numbers of the tensors that are left.

    ``links`` has the neighbours of each tensor, and gets those of each result; ``pairs`` are the first pairs. If
    ``only_shrinking``, a result must not be larger than both of its tensors. The other arguments are those of
    `contract_all_greedily`.
    """
    axes, sizes, size_of = state.axes, state.sizes, state.size_of
    random = Random(seed) if noise else None  # noqa: S311  # not for cryptography
    queue: list[tuple[Any, int, int]] = [
        (WEIGHT_UNIT * size - weight * both, one, other)
        for size, both, one, other in pairs
        if not only_shrinking or size <= sizes[one] or size <= sizes[other]
    ]
    if random:
        queue = [(_with_noise(growth, noise, random), one, other) for growth, one, other in queue]
    heapify(queue)
    is_left = [True] * len(links)
    left_count = len(links)
    while queue and state.cost <= max_cost:
        _, one, other = heappop(queue)
        if not (is_left[one] and is_left[other]):
            continue
        if memory_limit is not None and left_count > 2 and state.result_size(one, other) > memory_limit:
            continue
        is_left[one] = is_left[other] = False
        result = state.contract(one, other)
        is_left.append(True)
        left_count -= 1
        others = links[one]
        others |= links[other]
        others -= {one, other}
        links.append(others)
        result_axes, result_size, paired = axes[result], sizes[result], state.paired
        for number in sorted(others) if noise else others:  # the order of a set must not decide which noise is whose
            linked = links[number]
            linked.discard(one)
            linked.discard(other)
            linked.add(result)
            shared = result_axes & axes[number]
            size = sizes[number]
            new_size = result_size * size // (size_of[shared] * size_of[shared & paired])
            if only_shrinking and new_size > size and new_size > result_size:
                continue
            growth = WEIGHT_UNIT * new_size - weight * (result_size + size)
            heappush(queue, (_with_noise(growth, noise, random) if random else growth, number, result))
    return [number for number, left in enumerate(is_left) if left]


def _with_noise(growth: int, noise: float, random: Random) -> float:
    """Return the logarithm of a score and a random number with the Gumbel distribution, times the noise."""
    magnitude = log(growth) if growth > 0 else -log(-growth) if growth else 0.0
    return magnitude + noise * log(-log(random.random() or 0.5))


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
