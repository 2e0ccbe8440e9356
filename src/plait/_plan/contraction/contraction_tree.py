"""A contraction path of pairs as a binary tree: leaves are the tensors of a network, other nodes are results."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from plait._plan.contraction.dynamic_programming import BestContractions
from plait._plan.contraction.paths import Step
from plait._plan.contraction.tensor_graph import PartialContraction, TensorGraph


class ContractionTree:
    """A complete contraction by pairs as a tree, parts of which can be replaced.

    Nodes are numbered like the tensors of the steps: the inputs first, then the results. All lists have an item for
    each node.

    Attributes:
        children: the two nodes that are contracted; empty for an input.
        parents: the node of which this node is a child; -1 for the root.
        axes: the set of axes of the result.
        sizes: the number of elements of the result.
        costs: the cost of the contraction; 0 for an input.
        cost: the cost of all nodes together.
        size_of: for each set of axes the product of their lengths.
    """

    def __init__(self, state: PartialContraction) -> None:
        self.axes, self.sizes, self.costs = state.axes, state.sizes, state.costs
        self.input_count = len(state.axes) - len(state.steps)
        self.children: list[Step] = [*[()] * self.input_count, *state.steps]
        self.parents = [-1] * len(self.children)
        for node, children in enumerate(self.children):
            for child in children:
                self.parents[child] = node
        self.cost = state.cost
        self.size_of = state.size_of

    @classmethod
    def from_steps(cls, graph: TensorGraph, steps: Sequence[Step]) -> ContractionTree:
        """Return the tree of a path."""
        state = PartialContraction(graph)
        for one, other in steps:
            state.contract(one, other)
        return cls(state)

    @property
    def largest_result(self) -> int:
        """The number of elements of the largest result."""
        return max(self.sizes[self.input_count :])

    @property
    def largest_intermediate(self) -> int:
        """The number of elements of the largest result except the last one."""
        return max(self.sizes[self.input_count : -1], default=0)

    def steps(self) -> list[Step]:
        """Return the steps of the path."""
        order = [len(self.children) - 1]  # the root has the highest number; each node comes before its children
        for node in order:
            order += [child for child in self.children[node] if child >= self.input_count]
        number_of = [*range(len(self.children))]
        steps: list[Step] = []
        for node in reversed(order):
            one, other = self.children[node]
            number_of[node] = self.input_count + len(steps)
            steps.append((number_of[one], number_of[other]))
        return steps

    def part_below(self, root: int, max_leaves: int) -> tuple[list[int], list[int]]:
        """Return the inner nodes and the leaves of a part of the tree, which grows at the node of the highest cost."""
        inner = [root]
        leaves = [(-self.costs[child], child) for child in self.children[root]]
        heapify(leaves)
        while len(leaves) < max_leaves and leaves[0][1] >= self.input_count:  # an input costs nothing, so it comes last
            _, node = heappop(leaves)
            inner.append(node)
            for child in self.children[node]:
                heappush(leaves, (-self.costs[child], child))
        return inner, [node for _, node in leaves]

    def rotate(self, root: int, max_size: float) -> bool:
        """Replace the part of three leaves below a node by a better one, if there is one: a rotation of the tree.

        The leaves are the children of the more expensive child of the node, and the other child. Return whether the
        part is replaced. ``max_size`` is the largest number of elements that a result may have, except the root's.
        """
        inner, other = self.children[root]
        if self.costs[inner] < self.costs[other]:
            inner, other = other, inner
        if inner < self.input_count:
            return False
        axes, sizes, size_of = self.axes, self.sizes, self.size_of
        cost = best = self.costs[inner] + self.costs[root]
        found = None
        one, another = self.children[inner]
        root_axes, other_axes, other_size = axes[root], axes[other], sizes[other]
        for moved, left in ((one, another), (another, one)):  # contract one of them with the other child of the root
            shared = axes[moved] & other_axes
            if not shared:
                continue
            products = sizes[moved] * other_size // size_of[shared]
            if products >= best:
                continue
            summed = shared & ~(axes[left] | root_axes)
            new_axes = (axes[moved] | other_axes) ^ summed
            new_size = products // size_of[summed]
            shared_later = new_axes & axes[left]
            products_later = new_size * sizes[left] // size_of[shared_later]
            new_cost = 2 * products if summed else products
            new_root_cost = 2 * products_later if shared_later & ~root_axes else products_later
            if new_cost + new_root_cost < best and shared_later and new_size <= max_size:
                best = new_cost + new_root_cost
                found = (moved, left, new_axes, new_size, new_cost, new_root_cost)
        if found is None:
            return False
        moved, left, axes[inner], sizes[inner], self.costs[inner], self.costs[root] = found
        self.children[inner], self.children[root] = (moved, other), (inner, left)
        self.parents[other], self.parents[left] = inner, root
        self.cost += best - cost
        return True

    def ancestors(self, node: int, count: int) -> list[int]:
        """Return the nodes above a node, up to ``count`` of them."""
        found: list[int] = []
        while len(found) < count and (node := self.parents[node]) >= 0:
            found.append(node)
        return found

    def replace_part(self, inner: Sequence[int], leaves: Sequence[int], best: BestContractions) -> None:
        """Replace a part of the tree by the best contraction of its leaves; its root stays the same node."""
        unused = iter(inner)
        pending = [((1 << len(leaves)) - 1, next(unused))]
        for members, node in pending:
            children = []
            for part in best.parts[members]:
                if part in best.parts:
                    child = next(unused)
                    pending.append((part, child))
                else:
                    child = leaves[part.bit_length() - 1]
                children.append(child)
                self.parents[child] = node
            one, other = best.parts[members]
            _, self.axes[node], self.sizes[node], cost = best.groups[members]
            new_cost = cost - best.groups[one][3] - best.groups[other][3]
            self.cost += new_cost - self.costs[node]
            self.costs[node] = new_cost
            self.children[node] = tuple(children)
