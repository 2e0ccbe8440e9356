"""Refinement of a contraction path: parts of its tree are replaced by the best contraction of their leaves.

A part of the tree has one node as its root and a few nodes below it as its leaves; dynamic programming finds the best
way to contract these. The nodes with the highest cost come first, and small parts come before large ones, which take
longer. Source: J. Gray and S. Kourtis, Hyper-optimized tensor network contraction, Quantum 5, 410 (2021), section 4.3,
subtree reconfiguration.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from math import inf

from plait._plan.contraction.contraction_tree import ContractionTree
from plait._plan.contraction.dynamic_programming import (
    MAX_FEW_TENSORS,
    find_best_contractions,
    find_best_contractions_of_few,
)

SETUP_WORK = 20
"""The work to prepare and to replace one part, in pairs of groups that dynamic programming compares."""

ROTATION_WORK = 5
"""The work for a part of three leaves, whose contractions are compared without dynamic programming."""

NEGLIGIBLE_PART = 32
"""Nodes that together cost less than the whole tree, divided by this number, are not refined."""


class SubtreeRefinement:
    """The refinement of one tree, which may be interrupted and continued.

    Attributes:
        tree: the tree, which changes.
        is_finished: whether no part can be replaced by a better one.
    """

    def __init__(self, tree: ContractionTree, part_sizes: Sequence[int], memory_limit: int | None = None) -> None:
        self.tree = tree
        self.is_finished = False
        self._part_sizes = list(reversed(part_sizes))  # the number of leaves of parts; the current one is the last
        self._max_size = inf if memory_limit is None else memory_limit
        self._queue: list[tuple[int, int]] = []  # the negative cost and the number of each node to refine
        self._is_queued = [False] * len(tree.costs)
        self._queue_nodes(range(tree.input_count, len(tree.costs)))

    def run(self, max_work: float) -> int:
        """Replace parts until none is left or ``max_work`` is done; return the work.

        A unit of work is a pair of groups that dynamic programming compares.
        """
        tree, work = self.tree, 0
        while work < max_work:
            root = self._next_root()
            if root is None:
                self._part_sizes.pop()
                if not self._part_sizes:
                    self.is_finished = True
                    break
                self._queue_nodes(range(tree.input_count, len(tree.costs)))
                continue
            if self._part_sizes[-1] == 3:
                work += ROTATION_WORK
                if tree.rotate(root, self._max_size):
                    self._queue_nodes([root, tree.children[root][0], *tree.ancestors(root, 1)])
                continue
            inner, leaves = tree.part_below(root, self._part_sizes[-1])
            if len(leaves) <= 3:
                continue
            terms = [tree.axes[leaf] for leaf in leaves]
            cost = sum([tree.costs[node] for node in inner])
            if len(leaves) <= MAX_FEW_TENSORS:
                best = find_best_contractions_of_few(terms, tree.axes[root], tree.size_of, cost, self._max_size)
            else:
                best = find_best_contractions(
                    terms,
                    tree.axes[root],
                    tree.size_of,
                    linking_axes=-1,
                    max_cost=cost,
                    max_size=self._max_size,
                )
            work += best.work + SETUP_WORK
            if (1 << len(leaves)) - 1 in best.parts:
                tree.replace_part(inner, leaves, best)
                self._queue_nodes([*inner, *tree.ancestors(root, self._part_sizes[-1] - 2)])
        return work

    def _queue_nodes(self, nodes: Sequence[int]) -> None:
        """Add nodes to those that are refined."""
        for node in nodes:
            self._is_queued[node] = True
            heappush(self._queue, (-self.tree.costs[node], node))

    def _next_root(self) -> int | None:
        """Return the queued node with the highest cost; ``None`` if no queued node matters."""
        costs = self.tree.costs
        while self._queue:
            priority, node = heappop(self._queue)
            if not self._is_queued[node] or costs[node] != -priority:
                continue  # the node was queued again with its new cost
            if costs[node] < self.tree.cost // (NEGLIGIBLE_PART * len(costs)):
                self._queue.clear()
                return None
            self._is_queued[node] = False
            return node
        return None
