"""A tensor network as the path search sees it: sets of axes as ints, and what one pairwise contraction costs.

In an int that is a set of axes, bit ``a`` is axis ``a``, so that ``&`` and ``|`` intersect and unite sets. The cost of
a contraction is the number of its multiplications and additions: the product of the lengths of all axes of both
tensors, twice if an axis is summed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from itertools import chain, islice
from typing import TYPE_CHECKING

from plait._plan.contraction.paths import Step

if TYPE_CHECKING:
    from plait._plan.contraction.network import TensorNetwork

MAX_LENGTHS_TO_COUNT = 8
"""If the axes have at most this many different lengths, the axes of each length are counted to multiply lengths."""

MAX_LINKED_NEIGHBOURS = 16
"""Of an axis with more tensors than this, each tensor has only some of the others as neighbours: time stays linear."""


class AxisSetSizes(dict[int, int]):
    """For each set of axes the product of their lengths, computed when it is first asked for."""

    def __init__(self, lengths: Iterable[int]) -> None:
        super().__init__({0: 1})
        self._lengths = tuple([max(length, 1) for length in lengths])  # without elements, every path costs the same
        axes_by_length: dict[int, int] = {}
        for axis, length in enumerate(self._lengths):
            axes_by_length[length] = axes_by_length.get(length, 0) | 1 << axis
        self._axes_by_length = list(axes_by_length.items()) if len(axes_by_length) <= MAX_LENGTHS_TO_COUNT else None

    def __missing__(self, axes: int) -> int:
        size = 1
        if self._axes_by_length is None:
            for axis in axes_of_set(axes):
                size *= self._lengths[axis]
        else:
            for length, axes_of_length in self._axes_by_length:
                size *= length ** (axes & axes_of_length).bit_count()
        self[axes] = size
        return size


class TensorGraph:
    """The tensors of a network and the axes that connect them.

    An axis that one tensor alone has is left out, since it is summed before anything is contracted.

    Attributes:
        terms: the axes of each tensor.
        output: the axes of the result.
        tensors_by_axis: the numbers of the tensors that have an axis.
        use_counts: for each axis the number of tensors that have it, and one more if the result has it.
        paired: the axes that have two uses: the contraction of two tensors with such an axis sums over it.
        size_of: for each set of axes the product of their lengths.
    """

    def __init__(self, terms: Sequence[Iterable[int]], output: Iterable[int], lengths: Sequence[int]) -> None:
        self.tensors_by_axis: dict[int, list[int]] = {}
        for number, axes in enumerate(terms):
            for axis in dict.fromkeys(axes):
                self.tensors_by_axis.setdefault(axis, []).append(number)
        output = frozenset(output)
        self.terms = [0] * len(terms)
        self.output = self.paired = 0
        self.use_counts: dict[int, int] = {}
        for axis, numbers in self.tensors_by_axis.items():
            uses = len(numbers) + (axis in output)
            if uses == 1:
                continue
            bit = 1 << axis
            for number in numbers:
                self.terms[number] |= bit
            if axis in output:
                self.output |= bit
            if uses == 2:
                self.paired |= bit
            self.use_counts[axis] = uses
        self.size_of = AxisSetSizes(lengths)

    @classmethod
    def from_network(cls, network: TensorNetwork) -> TensorGraph:
        """Return the graph of a network."""
        return cls(network.terms, network.output, network.sizes)

    def find_neighbours(self) -> list[set[int]]:
        """Return for each tensor the others that share an axis with it which the result does not have."""
        neighbours: list[set[int]] = [set() for _ in self.terms]
        for axis, numbers in self.tensors_by_axis.items():
            if len(numbers) == 1 or self.output >> axis & 1:
                continue
            if len(numbers) == 2:  # a fast path for the common case
                one, other = numbers
                neighbours[one].add(other)
                neighbours[other].add(one)
                continue
            for position, number in enumerate(numbers):
                for other in islice(numbers, position + 1, position + 1 + MAX_LINKED_NEIGHBOURS):
                    neighbours[number].add(other)
                    neighbours[other].add(number)
        return neighbours


class PartialContraction:
    """Some steps of a path, and the results so far.

    Attributes:
        axes: for each input tensor and each result its set of axes.
        sizes: the number of elements of each.
        costs: the cost of each: 0 for an input.
        cost: the cost of all.
        steps: the steps so far.
        paired: the axes that have two uses among the tensors that are left and the result of the network.
        size_of: for each set of axes the product of their lengths.
    """

    def __init__(self, graph: TensorGraph) -> None:
        self.axes = graph.terms.copy()
        self.sizes = [graph.size_of[axes] for axes in graph.terms]
        self.costs = [0] * len(graph.terms)
        self.cost = 0
        self.steps: list[Step] = []
        self.paired = graph.paired
        self._use_counts = graph.use_counts.copy()
        self.size_of = graph.size_of

    def copy(self) -> PartialContraction:
        """Return the same steps, which can be continued independently."""
        other = copy(self)
        other.axes, other.sizes, other.costs = self.axes.copy(), self.sizes.copy(), self.costs.copy()
        other.steps, other._use_counts = self.steps.copy(), self._use_counts.copy()
        return other

    def contract(self, first: int, second: int) -> int:
        """Contract two tensors, and return the number of the result."""
        first_axes, second_axes = self.axes[first], self.axes[second]
        shared = first_axes & second_axes
        summed = shared & self.paired
        products = self.sizes[first] * self.sizes[second] // self.size_of[shared]
        if shared != summed:
            for axis in axes_of_set(shared ^ summed):
                self._use_counts[axis] -= 1
                if self._use_counts[axis] == 2:
                    self.paired |= 1 << axis
        self.axes.append((first_axes | second_axes) ^ summed)
        self.sizes.append(products // self.size_of[summed])
        cost = 2 * products if summed else products
        self.costs.append(cost)
        self.cost += cost
        self.steps.append((first, second))
        return len(self.axes) - 1

    def result_size(self, first: int, second: int) -> int:
        """Return the number of elements of the contraction of two tensors."""
        shared = self.axes[first] & self.axes[second]
        size_of = self.size_of
        return self.sizes[first] * self.sizes[second] // (size_of[shared] * size_of[shared & self.paired])


def axes_of_set(axes: int) -> Iterator[int]:
    """Yield the axes of a set in ascending order.

    >>> list(axes_of_set(0b1010))
    [1, 3]
    """
    while axes:
        lowest = axes & -axes
        yield lowest.bit_length() - 1
        axes ^= lowest


def total_cost(network: TensorNetwork, steps: Iterable[Step]) -> int:
    """Return the cost of all steps of a path; a step of several tensors is one loop over all their axes."""
    size_of = AxisSetSizes(network.sizes)
    terms: list[frozenset[int]] = [frozenset(term) for term in network.terms]
    use_counts = Counter(chain(network.output, *terms))
    total = 0
    for number, term in enumerate(terms):  # an axis of one tensor alone is summed first
        terms[number] = frozenset([axis for axis in term if use_counts[axis] > 1])
    for numbers in steps:
        contracted = [terms[number] for number in numbers]
        axes = frozenset[int]().union(*contracted)
        for term in contracted:
            use_counts.subtract(term)
        kept = frozenset([axis for axis in axes if use_counts[axis] > 0])
        use_counts.update(kept)
        products = size_of[sum([1 << axis for axis in axes])]
        total += products * (max(1, len(contracted) - 1) + (kept != axes))
        terms.append(kept)
    return total
