"""Recursive bisection: a contraction tree from the top down, by cutting the network into two halves again and again.

The contraction of two halves costs as much as their open axes and the axes that are cut; so each cut should be small,
and the halves about equal. A half first grows from one end of the network, always by the tensor that keeps the cut the
smallest. Then single tensors change sides, as long as that makes the cut smaller. Sources: J. Gray and S. Kourtis,
Hyper-optimized tensor network contraction, Quantum 5, 410 (2021), section 4.2; C. M. Fiduccia and R. M. Mattheyses, A
linear-time heuristic for improving network partitions, 19th Design Automation Conference (1982).
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import log2

from plait._plan.contraction.greedy import ShrunkNetwork, contract_smallest_first
from plait._plan.contraction.sweep import breadth_first_order
from plait._plan.contraction.tensor_graph import PartialContraction

MIN_PART = 0.35
"""The least part of the tensors that one half has."""

MAX_FUTILE_MOVES = 8
"""How many tensors in a row change sides without a smaller cut before the search for a smaller cut ends."""

MIN_TENSORS_TO_BISECT = 8
"""Fewer tensors are contracted by ascending sizes of the results, which subtree refinement changes if need be."""


def contract_by_bisection(network: ShrunkNetwork) -> PartialContraction:
    """Return a contraction by recursive bisection of each connected part of a network, and of the products of these.

    ``network`` has the tensors that are left; they stay as they are.
    """
    state, links = network.state.copy(), network.links
    results = []
    is_seen = [False] * len(links)
    bisection = _Bisection(state, links)
    for first in network.remaining:
        if not is_seen[first]:
            part = breadth_first_order(links, first)
            for number in part:
                is_seen[number] = True
            results.append(bisection.contract(part))
    contract_smallest_first(state, results)
    return state


class _Bisection:
    """The recursive bisection of the tensors that are left of a network."""

    def __init__(self, state: PartialContraction, links: list[set[int]]) -> None:
        self._state = state
        axes, size_of = state.axes, state.size_of
        self._links = [  # for each tensor its neighbours, with the logarithms of the lengths of the common axes
            {other: log2(size_of[axes[number] & axes[other]]) for other in others}
            for number, others in enumerate(links)
        ]
        self._half_of = [0] * len(links)  # for each tensor the number of the half in which it is
        self._half_count = 0

    def contract(self, part: list[int]) -> int:
        """Contract connected tensors, and return the number of the result."""
        pending = [part]
        for members in pending:  # the list gets the halves of each of its items
            if len(members) >= MIN_TENSORS_TO_BISECT:
                pending += self._bisect(members)
        results: list[int] = []  # of the parts that come after the current one, the last one first
        taken = 0
        for members in reversed(pending):
            if len(members) >= MIN_TENSORS_TO_BISECT:
                results.append(self._state.contract(results[taken], results[taken + 1]))
                taken += 2
            else:
                results.append(self._contract_few(members))
        return results[-1]

    def _contract_few(self, members: list[int]) -> int:
        """Contract few tensors, always the pair with the smallest result, and return the number of the last one."""
        numbers = list(members)
        while len(numbers) > 1:
            _, one, other = min(
                [
                    (self._state.result_size(one, other), one, other)
                    for position, one in enumerate(numbers)
                    for other in numbers[position + 1 :]
                ]
            )
            numbers = [number for number in numbers if number not in (one, other)]
            numbers.append(self._state.contract(one, other))
        return numbers[0]

    def _bisect(self, members: list[int]) -> tuple[list[int], list[int]]:
        """Return two halves of some tensors."""
        self._half_count += 2
        half_of, outside, inside = self._half_of, self._half_count - 1, self._half_count
        for number in members:
            half_of[number] = outside
        least = max(1, int(len(members) * MIN_PART))
        grown = self._grow(members, outside, inside, len(members) - least)
        for number in grown:
            half_of[number] = inside
        self._exchange(members, outside, inside, least)
        halves: tuple[list[int], list[int]] = ([], [])
        for number in members:
            halves[half_of[number] == inside].append(number)
        return halves

    def _grow(self, members: list[int], outside: int, inside: int, most: int) -> list[int]:
        """Return the half with the smallest cut that has from as few to as many tensors as a half may have.

        It grows from an end of the tensors: one that is far from the first of them.
        """
        links, half_of = self._links, self._half_of
        order = self._breadth_first_order(members[0], outside)
        if len(order) < len(members):  # the tensors are not connected
            order = [*order, *[number for number in members if number not in {*order}]]
            return order[: len(members) // 2]
        degree = {}
        for number in members:
            degree[number] = sum([weight for other, weight in links[number].items() if half_of[other] == outside])
        growth = degree.copy()  # of the cut, if the tensor joins the half
        queue: list[tuple[float, int, int]] = [(0.0, 0, order[-1])]
        half: list[int] = []
        cut, least_cut, best_count = 0.0, float("inf"), 0
        growth[order[-1]] = 0.0
        least = len(members) - most
        while queue and len(half) < most:
            known, _, number = heappop(queue)
            if half_of[number] == inside or growth[number] != known:
                continue
            half_of[number] = inside
            half.append(number)
            cut += degree[number] if len(half) == 1 else known
            if len(half) >= least and cut < least_cut:
                least_cut, best_count = cut, len(half)
            for other, weight in links[number].items():
                if half_of[other] == outside:
                    growth[other] -= 2 * weight
                    heappush(queue, (growth[other], len(half), other))
        for number in half:
            half_of[number] = outside
        return half[:best_count]

    def _breadth_first_order(self, start: int, half: int) -> list[int]:
        """Return the tensors of a half that are connected with one, by their distance from it."""
        order, seen = [start], {start}
        for number in order:
            for other in self._links[number]:
                if self._half_of[other] == half and other not in seen:
                    seen.add(other)
                    order.append(other)
        return order

    def _exchange(self, members: list[int], outside: int, inside: int, least: int) -> None:
        """Let tensors change sides, each once, and keep the changes up to the smallest cut."""
        links, half_of = self._links, self._half_of
        gains = {}  # by how much the cut gets smaller if the tensor changes sides
        for number in members:
            own = half_of[number]
            gain = 0.0
            for other, weight in links[number].items():
                half = half_of[other]
                if half == own:
                    gain -= weight
                elif half in (outside, inside):
                    gain += weight
            gains[number] = gain
        queue = [(-gain, number) for number, gain in gains.items()]
        heapify(queue)
        count = sum([half_of[number] == inside for number in members])
        moved: list[int] = []
        best_count, total, best_total = 0, 0.0, 0.0
        while queue and len(moved) - best_count <= MAX_FUTILE_MOVES:
            loss, number = heappop(queue)
            if gains.get(number) != -loss:
                continue  # it has been moved, or was queued again with its new gain
            new_count = count - 1 if half_of[number] == inside else count + 1
            if not least <= new_count <= len(members) - least:
                continue
            count = new_count
            total += gains.pop(number)
            half_of[number] = new_half = outside + inside - half_of[number]
            moved.append(number)
            if total > best_total:
                best_count, best_total = len(moved), total
            for other, weight in links[number].items():
                if other in gains:
                    gains[other] += 2 * weight if half_of[other] != new_half else -2 * weight
                    heappush(queue, (-gains[other], other))
        for number in moved[best_count:]:
            half_of[number] = outside + inside - half_of[number]
