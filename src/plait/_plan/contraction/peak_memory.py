"""The most memory that a contraction plan needs while it runs, beyond the tensors of the caller."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

from plait._plan.graph import Plan, group_by_contraction
from plait._plan.strides import StridedView
from plait.backends.costs import AllocationRules


class PeakMemory(NamedTuple):
    """The most elements that are allocated at once while a plan runs, and what is copied.

    Attributes:
        elements: the elements of the results, copies and temporaries that exist at the same time, the final result
            included.
        copied_inputs: the numbers of the tensors of the caller that are copied.
        copies_results: whether results are copied.
    """

    elements: int
    copied_inputs: frozenset[int] = frozenset()
    copies_results: bool = False


def find_peak_memory(plan: Plan, views: Sequence[StridedView], rules: AllocationRules) -> PeakMemory:
    """Return how many elements are allocated at once while a contraction plan for given sizes runs, and what is copied.

    Args:
        plan: A plan whose nodes hold lengths.
        views: The shape and the strides, in elements, of each tensor of the caller.
        rules: What the framework allocates.
    """
    finder = _PeakFinder(plan, views, rules)
    inputs = range(len(views))
    return PeakMemory(finder.peak, frozenset(finder.copied.intersection(inputs)), not finder.copied.issubset(inputs))


class _PeakFinder:
    """Walks a plan in the order in which it runs, and adds up what is allocated."""

    def __init__(self, plan: Plan, views: Sequence[StridedView], rules: AllocationRules) -> None:
        self.peak = 0
        self.copied: set[int] = set()  # the numbers of tensors of the caller, and of results of contractions
        self._rules = rules
        self._nodes = [node for node, _ in plan.steps]
        self._live = 0  # the elements that are allocated now
        values = [(StridedView(view.shape, view.strides), 0) for view in views]
        groups, outputs = group_by_contraction(plan)
        last_use = {source: number for number, group in enumerate(groups) for source, _ in group.operand_chains}
        for number, group in enumerate(groups):
            operands = [self._run_chain(source, values[source][0], chain) for source, chain in group.operand_chains]
            view, size = operands[0]
            if group.contraction is not None:
                node = self._nodes[group.contraction]
                sources = [source for source, _ in group.operand_chains]
                view, size = self._contract(node, sources, [operand for operand, _ in operands])
                self._live -= sum([temporary for _, temporary in operands])
            for step in group.epilogue:
                view, size = self._replace(len(values), step, view, size)
            for source, _ in group.operand_chains:
                if last_use[source] == number and source not in outputs:
                    self._live -= values[source][1]
            values.append((view, size))

    def _allocate(self, size: int, scratch: int = 0) -> int:
        """Add an allocation, during which some more elements are needed for a moment."""
        self._live += size
        self.peak = max(self.peak, self._live + scratch)
        return size

    def _run_chain(self, number: int, source: StridedView, chain: Sequence[int]) -> tuple[StridedView, int]:
        """Apply the nodes before a contraction; return the view, and the size of the copy if there is one."""
        view, size = StridedView(source.shape, source.strides), 0
        for step in chain:
            view, size = self._replace(number, step, view, size)
        return view, size

    def _replace(self, number: int, step: int, view: StridedView, size: int) -> tuple[StridedView, int]:
        """Apply a node to a temporary of some elements, which is freed if the node copies it."""
        node = self._nodes[step]
        result = StridedView(view.shape, view.strides)
        copies = node.update_view_and_find_copy(result, node.output_shape(view.shape)) is not None
        if not copies:
            return result, size
        self.copied.add(number)
        new_size = self._allocate(prod(result.shape))
        self._live -= size
        return result, new_size

    def _contract(self, node: Any, sources: Sequence[int], operands: Sequence[StridedView]) -> tuple[StridedView, int]:
        """Contract operands, and return the result."""
        size, scratch = prod(node.shape), 0
        if node.method == "einsum":
            if self._rules.einsum_copies:
                self.copied.update(sources)
                scratch = size + sum([prod(operand.shape) for operand in operands])
        elif node.method in ("dot", "matmul") and self._rules.matmul_copies:
            for source, operand in zip(sources, operands, strict=True):
                if not _has_contiguous_matrices(operand):
                    self.copied.add(source)
                    scratch += prod(operand.shape)
        if (
            node.reused_operand is not None
        ):  # the result takes over the memory of an operand, which then counts as freed
            self._live += size
            return StridedView(node.shape), size
        self._allocate(size, scratch)
        return StridedView(node.shape), size


def _has_contiguous_matrices(operand: StridedView) -> bool:
    """Whether the elements along one of the last two dimensions are adjacent, so that BLAS takes the operand."""
    last_dims = [*zip(operand.shape, operand.strides, strict=True)][-2:]
    return any(stride == 1 or length == 1 for length, stride in last_dims) or not last_dims
