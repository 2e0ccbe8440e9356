"""Slicing: a contraction is computed block by block, so that its intermediate results fit into a limit of memory.

Some axes are divided into blocks. For each combination of blocks the tensors are sliced and contracted along the path;
the results of blocks of a summed axis are added, those of an axis of the result are stored side by side. Results that
depend on no sliced axis are computed once, before the loop over the blocks.

A greedy search divides one axis after the other, always one of those that the largest set of live tensors has, where
the loss of time is the smallest for the memory that is saved. It is repeated with random changes of this score, and for
several paths. Gray and Kourtis (Hyper-optimized tensor network contraction, Quantum 5, 410, 2021) describe slicing, but
of whole axes; here a block may have any length.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, compress
from math import exp, log, prod
from operator import itemgetter, not_, or_
from random import Random
from typing import NamedTuple

from plait._plan.contraction.network import TensorNetwork
from plait._plan.contraction.paths import Path, Step, numbered_steps, path_from_numbered_steps
from plait._shapes.solver import Axes
from plait.backends.costs import ContractionCosts

TRIALS = 8
"""How many random searches for the axes to slice follow the first one."""

MAX_STEPS_FOR_TRIALS = 200
"""Only paths of at most this many steps are searched more than once."""

MAX_CANDIDATES = 12
"""How many axes are compared when one is divided: the longest ones."""

MAX_BLOCKS = 2**30
"""A contraction in more blocks takes days: the search gives up."""

NOISE = 0.5
"""The standard deviation of the logarithm of the factor by which a random search changes a score."""

MAX_PRODUCTS = 10**290
"""More products in one block count as this number, which is in the range of a float."""

BLOCK_OVERHEAD = 3000.0
"""The nanoseconds to slice and store one block, beside the calls of its contraction."""


class MemoryLimit(NamedTuple):
    """A limit, and how much the tensors of a contraction take of it.

    Attributes:
        elements: the limit, in elements of intermediate results.
        result_factor: the memory for the whole result, if it is computed in blocks, in multiples of its elements.
        block_factors: for each operand, the memory for one of its blocks, in multiples of the block's elements: 0 where
            a block is a view, 1 for arrays on a disk.
        free_if_whole: the numbers of the operands that take no memory unless they are sliced.
        whole_axes: the axes that cannot be sliced.
        copied_operands: the numbers of the operands that are copied by the step that contracts them.
        copies_results: whether results of steps are copied.
    """

    elements: int
    result_factor: float = 1.0
    block_factors: tuple[float, ...] = ()
    free_if_whole: frozenset[int] = frozenset()
    whole_axes: frozenset[int] = frozenset()
    copied_operands: frozenset[int] = frozenset()
    copies_results: bool = False

    def with_copies(self, operands: Collection[int], copies_results: bool) -> MemoryLimit:
        """Return the limit for a contraction in which these operands are copied too, and perhaps results."""
        return self._replace(
            copied_operands=self.copied_operands.union(operands),
            copies_results=self.copies_results or copies_results,
        )

    def block_factor(self, operand: int, axes: Iterable[int], sliced_axes: Collection[int]) -> float:
        """Return the memory for a block of an operand with these axes, in multiples of its elements."""
        is_whole = not any(axis in sliced_axes for axis in axes)
        if operand >= len(self.block_factors) or (is_whole and operand in self.free_if_whole):
            return 0.0
        return self.block_factors[operand]


class SlicedPath(NamedTuple):
    """A path whose steps are in the order that needs the least memory, and the axes that are sliced.

    Attributes:
        path: the contraction path.
        block_lengths: the length of a block of each sliced axis; the loop over the first axis is the outermost.
        peak: the estimated number of elements that exist at once.
        cost: the estimated time in nanoseconds.
        computes_invariants_once: whether results that depend on no sliced axis are computed before the loop.
    """

    path: Path
    block_lengths: dict[int, int]
    peak: float
    cost: float
    computes_invariants_once: bool = True


class PartOfContraction(NamedTuple):
    """Steps that are one contraction of their own; operands are inputs, and then results of earlier parts."""

    operands: tuple[int, ...]
    terms: tuple[Axes, ...]  # the axes of each operand
    output: Axes
    path: Path


def find_slices(
    network: TensorNetwork, paths: Iterable[Path], limit: MemoryLimit, costs: ContractionCosts
) -> SlicedPath:
    """Return the path and the slices that cost least and keep the limit, or if none does, those with the lowest peak.

    Args:
        network: The tensors; axes are sliced as they are numbered there.
        paths: The paths to choose from.
        limit: How many elements may exist at once.
        costs: The costs of the framework, from which times are estimated.
    """
    found: list[tuple[tuple[float, float], SlicedPath]] = []
    for path in paths:
        steps = order_steps_for_memory(network, numbered_steps(path, len(network.terms)))
        for computes_invariants_once in (True, False):
            search = _SliceSearch(network, steps, limit, costs, computes_invariants_once)
            sliced = min(search.run_trials(), key=search.rank)
            found.append((search.rank(sliced), sliced))
            if sliced.peak <= limit.elements:
                break  # to compute results again and again needs less memory, but never less time
    return min(found, key=itemgetter(0))[1]


def block_slices(length: int, block_length: int) -> list[slice]:
    """Return the part of an axis that each block has.

    >>> block_slices(10, 4)
    [slice(0, 4, None), slice(4, 8, None), slice(8, 10, None)]
    """
    return [slice(start, min(start + block_length, length)) for start in range(0, length, block_length)]


def order_steps_for_memory(network: TensorNetwork, steps: Sequence[Step]) -> list[Step]:
    """Return the steps in the order in which the fewest elements exist at once, with their new numbers.

    Of the operands of a step, the one is computed first whose computation needs the most memory beyond its result (Liu,
    On the storage requirement in the out-of-core multifrontal method, 1986).
    """
    count = len(network.terms)
    axes = result_axes(network, steps)
    sizes = [0] * count + [prod([network.sizes[axis] for axis in each]) for each in axes[count:]]
    peaks = [0] * count
    ordered_operands: list[Step] = []
    for number, operands in enumerate(steps, count):
        order = sorted(operands, key=lambda operand: sizes[operand] - peaks[operand])
        ordered_operands.append(tuple(order))
        peak = live = 0
        for operand in order:
            peak = max(peak, live + peaks[operand])
            live += sizes[operand]
        peaks.append(max(peak, live + sizes[number]))
    new_numbers = {number: number for number in range(count)}
    new_steps: list[Step] = []
    pending = [count + len(steps) - 1] if steps else []
    while pending:
        number = pending[-1]
        missing = [operand for operand in ordered_operands[number - count] if operand not in new_numbers]
        if missing:
            pending.append(missing[0])
            continue
        pending.pop()
        new_numbers[number] = count + len(new_steps)
        new_steps.append(tuple([new_numbers[operand] for operand in steps[number - count]]))
    return new_steps


def result_axes(network: TensorNetwork, steps: Sequence[Step]) -> list[Axes]:
    """Return the axes of each tensor without repeats, and those of the result of each step."""
    axes: list[Axes] = [tuple(dict.fromkeys(term)) for term in network.terms]
    use_counts = [0] * len(network.sizes)
    for axis in chain(network.output, *axes):
        use_counts[axis] += 1
    for operands in steps:
        contracted = [*chain(*[axes[operand] for operand in operands])]
        for axis in contracted:
            use_counts[axis] -= 1
        kept = tuple([axis for axis in dict.fromkeys(contracted) if use_counts[axis]])
        for axis in kept:
            use_counts[axis] += 1
        axes.append(kept)
    axes[-1] = network.output if steps else axes[-1]
    return axes


def split_into_parts(network: TensorNetwork, sliced: SlicedPath) -> list[PartOfContraction]:
    """Return the parts that are computed once, and last the part that is computed for each combination of blocks."""
    count = len(network.terms)
    steps = numbered_steps(sliced.path, count)
    axes = result_axes(network, steps)
    if not (sliced.block_lengths and sliced.computes_invariants_once):
        return [PartOfContraction(tuple(range(count)), network.terms, network.output, sliced.path)]
    depends = find_dependent_tensors(axes, steps, sliced.block_lengths)
    members: dict[int, list[int]] = {}  # for each result that does not depend, the numbers of the steps that lead to it
    number_of = {number: number for number in range(count)}  # of inputs, and of results that are computed once
    parts: list[PartOfContraction] = []

    def add_part(steps_of_part: Sequence[int], output: Axes) -> None:
        results = {count + step for step in steps_of_part}
        sources = [op for step in steps_of_part for op in steps[step] if op not in results]
        places = {number: place for place, number in enumerate([*sources, *[count + step for step in steps_of_part]])}
        renumbered = [tuple([places[operand] for operand in steps[step]]) for step in steps_of_part]
        path = path_from_numbered_steps(renumbered, len(sources))
        terms = tuple([network.terms[source] if source < count else axes[source] for source in sources])
        parts.append(PartOfContraction(tuple([number_of[source] for source in sources]), terms, output, path))

    dependent_steps = []
    for step, operands in enumerate(steps):
        if depends[count + step]:
            dependent_steps.append(step)
            for operand in operands:
                if operand in members:
                    add_part(members[operand], axes[operand])
                    number_of[operand] = count + len(parts) - 1
        else:
            members[count + step] = [*chain(*[members.get(operand, ()) for operand in operands]), step]
    add_part(dependent_steps, network.output)
    return parts


def find_dependent_tensors(axes: Sequence[Axes], steps: Sequence[Step], sliced_axes: Collection[int]) -> list[bool]:
    """Return for each tensor, and the result of each step, whether it depends on a block of a sliced axis."""
    count = len(axes) - len(steps)
    depends = [any(axis in sliced_axes for axis in each) for each in axes[:count]]
    for operands in steps:
        depends.append(any(depends[operand] for operand in operands))
    return depends


class _SliceSearch:
    """The search for the axes to slice along one path.

    It holds the current lengths of the blocks, and what follows from them for each tensor and step. A change of one
    length updates only what depends on it.
    """

    def __init__(
        self,
        network: TensorNetwork,
        steps: Sequence[Step],
        limit: MemoryLimit,
        costs: ContractionCosts,
        computes_invariants_once: bool,
    ) -> None:
        self._network, self._steps, self._limit, self._costs = network, steps, limit, costs
        self._computes_invariants_once = computes_invariants_once
        self._count = len(network.terms)
        self._axes = result_axes(network, steps)
        self._step_axes = [tuple(dict.fromkeys(chain(*[self._axes[number] for number in ops]))) for ops in steps]
        self._flop = min(2 * costs.flop, costs.einsum_element)
        self._tensors_of_axis: list[list[int]] = [[] for _ in network.sizes]  # and results
        for number, axes in enumerate(self._axes):
            for axis in axes:
                self._tensors_of_axis[axis].append(number)
        self._steps_of_axis: list[list[int]] = [[] for _ in network.sizes]
        for step, axes in enumerate(self._step_axes):
            for axis in axes:
                self._steps_of_axis[axis].append(step)
        self._dependents_of_axis: dict[int, bytes] = {}
        self._lengths = [*network.sizes]
        self._block_counts: dict[int, int] = {}  # of each sliced axis
        self._elements = [0] * len(self._axes)  # of one block of each tensor and result
        for number in range(len(self._axes)):
            self._update_elements(number)
        self._step_costs = [0.0] * len(steps)  # of one block of each step, in nanoseconds
        for step in range(len(steps)):
            self._update_step_cost(step)

    def rank(self, found: SlicedPath) -> tuple[float, float]:
        """Return the key by which results are compared: first whether they keep the limit, then the cost."""
        excess = found.peak - self._limit.elements
        return (0.0, found.cost) if excess <= 0 else (excess, 0.0)

    def run_trials(self) -> Iterator[SlicedPath]:
        """Yield what each search finds."""
        first = self._search(None)
        yield first
        if first.block_lengths and len(self._steps) <= MAX_STEPS_FOR_TRIALS:
            for seed in range(TRIALS):
                yield self._search(Random(seed))  # noqa: S311  # not for cryptography

    def _search(self, random: Random | None) -> SlicedPath:
        """Divide axes until the limit is kept, or as far as possible; then make the blocks as long as the limit allows.

        The scores are changed at random if ``random`` is given.
        """
        sizes, lengths = self._network.sizes, self._lengths
        for axis in [*self._block_counts]:
            self._set_length(axis, sizes[axis])
        peak, live = self._peak_and_live()
        while peak > self._limit.elements and prod(self._block_counts.values()) <= MAX_BLOCKS:
            axes = {axis for number in live for axis in self._axes[number]} - self._limit.whole_axes
            longest_first = sorted(axes, key=lambda axis: (-lengths[axis], axis))
            candidates = [axis for axis in longest_first[:MAX_CANDIDATES] if lengths[axis] > 1]
            if not candidates:
                break
            cost = self._cost()
            before = self._live_elements(live)
            scores = []
            for axis in candidates:
                old_length = lengths[axis]
                self._set_length(axis, _next_shorter_length(sizes[axis], old_length))
                saved = log(before / max(self._live_elements(live), 1))
                factor = 1.0 if random is None else exp(random.gauss(0, NOISE))
                scores.append(((log(self._cost() / cost) + 0.01) / max(saved, 1e-9) * factor, axis))
                self._set_length(axis, old_length)
            _, chosen = min(scores)
            self._set_length(chosen, _next_shorter_length(sizes[chosen], lengths[chosen]))
            peak, live = self._peak_and_live()
        if peak <= self._limit.elements:
            self._lengthen_blocks()
            peak, _ = self._peak_and_live()
        return SlicedPath(
            path_from_numbered_steps(self._steps, self._count),
            self._order_loops({axis: lengths[axis] for axis in sorted(self._block_counts)}),
            peak,
            self._cost(),
            self._computes_invariants_once,
        )

    def _set_length(self, axis: int, length: int) -> None:
        """Change the length of the blocks of an axis."""
        self._lengths[axis] = length
        if length < self._network.sizes[axis]:
            self._block_counts[axis] = -(-self._network.sizes[axis] // length)
        else:
            self._block_counts.pop(axis, None)
        for number in self._tensors_of_axis[axis]:
            self._update_elements(number)
        for step in self._steps_of_axis[axis]:
            self._update_step_cost(step)

    def _update_elements(self, number: int) -> None:
        """Compute the number of elements of one block of a tensor or of a result."""
        self._elements[number] = prod([self._lengths[axis] for axis in self._axes[number]])

    def _update_step_cost(self, step: int) -> None:
        """Compute the cost of one block of a step."""
        operands = self._steps[step]
        moved = min(sum([self._elements[number] for number in (*operands, self._count + step)]), MAX_PRODUCTS)
        products = prod([self._lengths[axis] for axis in self._step_axes[step]])
        product = self._flop if len(operands) <= 2 else (len(operands) - 1) * self._costs.einsum_element
        cost = min(products, MAX_PRODUCTS) * product + moved * self._costs.matmul_element + self._costs.dot_overhead
        self._step_costs[step] = cost

    def _lengthen_blocks(self) -> None:
        """Make each block as long as the limit allows, and then the blocks of an axis about equally long."""
        sizes, lengths = self._network.sizes, self._lengths
        for axis in sorted(self._block_counts, key=lambda axis: (lengths[axis] / sizes[axis], axis)):
            shortest, longest = lengths[axis], sizes[axis]
            while shortest < longest:
                middle = (shortest + longest + 1) // 2
                self._set_length(axis, middle)
                if self._peak_and_live()[0] <= self._limit.elements:
                    shortest = middle
                else:
                    longest = middle - 1
            block_count = -(-sizes[axis] // shortest)
            self._set_length(axis, -(-sizes[axis] // block_count))

    def _order_loops(self, block_lengths: dict[int, int]) -> dict[int, int]:
        """Return the sliced axes in the order of the loops: the more is read for a block of an axis, the outer."""

        def read_elements(axis: int) -> int:
            terms = [self._network.terms[number] for number in self._tensors_of_axis[axis] if number < self._count]
            return sum([prod([self._network.sizes[each] for each in term]) for term in terms])

        return dict(sorted(block_lengths.items(), key=lambda item: -read_elements(item[0])))

    def _live_elements(self, live: Collection[int]) -> int:
        """Return the number of elements of one block of each of some tensors."""
        return sum([self._elements[number] for number in live])

    def _find_dependents(self) -> bytes:
        """Return for each tensor and result 1 if it is computed for each combination of blocks, else 0."""
        tensor_count = len(self._axes)
        if not self._computes_invariants_once:
            return bytes([1]) * tensor_count
        found = bytes(tensor_count)
        for axis in self._block_counts:
            dependents = self._dependents_of_axis.get(axis)
            if dependents is None:
                dependents = bytes(find_dependent_tensors(self._axes, self._steps, (axis,)))
                self._dependents_of_axis[axis] = dependents
            found = bytes(map(or_, found, dependents))
        return found

    def _peak_and_live(self) -> tuple[float, list[int]]:
        """Return the most elements that exist at once, and the numbers of the tensors that exist then."""
        sliced, elements = self._block_counts, self._elements
        count, last = self._count, self._count + len(self._steps) - 1
        depends = self._find_dependents()
        live: dict[int, None] = {}
        held = 0.0
        for number in range(count):
            factor = self._limit.block_factor(number, self._axes[number], sliced)
            if factor:
                live[number] = None
                held += factor * elements[number]
        if sliced:
            held += self._limit.result_factor * prod([self._network.sizes[axis] for axis in self._network.output])
        else:
            held += max(self._limit.result_factor - 1, 0) * elements[last]
        peak, peak_live = held, [*live]
        for is_in_loop in (False, True):
            for step, operands in enumerate(self._steps):
                if depends[count + step] != is_in_loop:
                    continue
                live[count + step] = None
                held += elements[count + step]
                copied = [operand for operand in operands if self._is_copied(operand)]
                if count + step == last and self._limit.copies_results:
                    copied.append(last)
                needed = held + sum([elements[operand] for operand in copied])
                if needed > peak:
                    peak, peak_live = needed, [*live, *copied]
                for operand in operands:
                    if operand >= count and depends[operand] == is_in_loop:  # others are kept for the next blocks
                        del live[operand]
                        held -= elements[operand]
        return peak, peak_live

    def _is_copied(self, operand: int) -> bool:
        """Whether the step that contracts an operand copies it first."""
        return operand in self._limit.copied_operands if operand < self._count else self._limit.copies_results

    def _cost(self) -> float:
        """Return the estimated nanoseconds of all blocks together."""
        block_count = prod(self._block_counts.values())
        depends = self._find_dependents()[self._count :]
        repeated = sum(compress(self._step_costs, depends))
        once = sum(compress(self._step_costs, map(not_, depends)))
        overhead = BLOCK_OVERHEAD * block_count if self._block_counts else 0.0
        return min(overhead + repeated * block_count + once, 1e300)


def _next_shorter_length(length: int, block_length: int) -> int:
    """Return the length of the blocks if there are twice as many."""
    return max(1, -(-length // (2 * -(-length // block_length))))
