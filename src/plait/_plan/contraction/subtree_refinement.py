"""Refinement of a contraction path: parts of its tree are replaced by the best contraction of their leaves.

A part of the tree has one node as its root and a few nodes below it as its leaves; dynamic programming finds the best
way to contract these. The nodes with the highest cost come first. Source: J. Gray and S. Kourtis, Hyper-optimized tensor
network contraction, Quantum 5, 410 (2021), section 4.3, subtree reconfiguration.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from plait._plan.contraction.contraction_tree import ContractionTree
from plait._plan.contraction.dynamic_programming import find_best_contractions

SETUP_WORK = 20
"""The work to prepare and to replace one part, in pairs of groups that dynamic programming compares."""

NEGLIGIBLE_PART = 32
"""Nodes that together cost less than the whole tree, divided by this number, are not refined."""


class SubtreeRefinement:
    """The refinement of one tree, which may be interrupted and continued.

    Attributes:
        tree: the tree, which changes.
        is_finished: whether no part can be replaced by a better one.
    """

    def __init__(self, tree: ContractionTree, max_leaves: int, memory_limit: int | None = None) -> None:
        self.tree = tree
        self.is_finished = False
        self._max_leaves, self._memory_limit = max_leaves, memory_limit
        self._queue = [(-cost, node) for node, cost in enumerate(tree.costs) if node >= tree.input_count]
        heapify(self._queue)
        self._is_queued = [True] * len(tree.costs)

    def run(self, max_work: float) -> int:
        """Replace parts until none is left or ``max_work`` is done; return the work.

        A unit of work is a pair of groups that dynamic programming compares.
        """
        tree, work = self.tree, 0
        while self._queue and work < max_work:
            priority, root = heappop(self._queue)
            cost = tree.costs[root]
            if not self._is_queued[root] or cost != -priority:
                continue  # the node was queued again with its new cost
            if cost < tree.cost // (NEGLIGIBLE_PART * len(tree.costs)):
                self._queue.clear()
                break
            self._is_queued[root] = False
            inner, leaves = tree.part_below(root, self._max_leaves)
            if len(leaves) < 3:
                continue
            best = find_best_contractions(
                [tree.axes[leaf] for leaf in leaves],
                tree.axes[root],
                tree.size_of,
                linking_axes=-1,
                max_cost=sum([tree.costs[node] for node in inner]),
                memory_limit=self._memory_limit,
            )
            work += best.work + SETUP_WORK
            if (1 << len(leaves)) - 1 in best.parts:
                tree.replace_part(inner, leaves, best)
                self._queue_again(inner)
        self.is_finished = not self._queue
        return work

    def _queue_again(self, inner: list[int]) -> None:
        """Queue the nodes of a replaced part, and those above it whose parts may contain some of them."""
        nodes, node = inner.copy(), self.tree.parents[inner[0]]
        while node >= 0 and len(nodes) < len(inner) + self._max_leaves - 2:
            nodes.append(node)
            node = self.tree.parents[node]
        for node in nodes:
            self._is_queued[node] = True
            heappush(self._queue, (-self.tree.costs[node], node))
