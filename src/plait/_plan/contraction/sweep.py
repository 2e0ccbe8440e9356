"""A sweep over a tensor network: one tensor after the other is contracted into a single growing tensor.

A front moves through the network, as in the boundary contraction of a matrix product state or of a lattice. The next
tensor is the one by which the front grows least, but those near to the start come first, so that the front stays
straight. Each distance from the start costs as much as a growth by a factor of two.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import log2

from plait._plan.contraction.greedy import ShrunkNetwork, contract_smallest_first
from plait._plan.contraction.tensor_graph import PartialContraction


def contract_by_sweep(network: ShrunkNetwork, start_rank: int = 0) -> PartialContraction:
    """Return a contraction by a sweep through each connected part of a network, and of the products of these parts.

    Args:
        network: The tensors that are left; they stay as they are.
        start_rank: Which tensor of a part the sweep starts with: 0 is the farthest one from the first tensor, 1 the
            next farthest, and so on.
    """
    state, links = network.state.copy(), network.links
    results = []
    is_seen = [False] * len(links)
    for first in network.remaining:
        if is_seen[first]:
            continue
        part = breadth_first_order(links, first)
        for number in part:
            is_seen[number] = True
        results.append(_sweep_part(state, links, part[-1 - start_rank % len(part)]))
    contract_smallest_first(state, results)
    return state


def breadth_first_order(neighbours: list[set[int]], start: int) -> list[int]:
    """Return the tensors that are connected with one, by their distance from it."""
    order = [start]
    seen = {start}
    for number in order:
        for other in sorted(neighbours[number] - seen):
            seen.add(other)
            order.append(other)
    return order


def _sweep_part(state: PartialContraction, links: list[set[int]], start: int) -> int:
    """Contract the tensors that are connected with one, and return the number of the result."""
    axes, sizes, size_of = state.axes, state.sizes, state.size_of
    front = newest = start
    distance = {start: 0}
    scores: dict[int, float] = {}  # of the tensors at the front, as they are now; the queue has outdated ones too
    queue: list[tuple[float, int, int]] = []
    while True:
        for number in sorted(links[newest], key=lambda number: (sizes[number], number)):
            if number in distance and number not in scores:
                continue  # it is contracted already
            distance.setdefault(number, distance[newest] + 1)
            shared = axes[front] & axes[number]
            growth = log2(sizes[number]) - log2(size_of[shared] * size_of[shared & state.paired])
            scores[number] = growth + distance[number]
            heappush(queue, (scores[number], distance[number], number))
        while queue and scores.get(queue[0][2]) != queue[0][0]:
            heappop(queue)
        if not queue:
            return front
        _, _, newest = heappop(queue)
        del scores[newest]
        front = state.contract(front, newest)
