"""Decompose an einsum for any sizes into products of two tensors.

Generated source code needs this where the framework's einsum does not support the equation. Tensors are multiplied
from left to right. For known sizes `plait._plan.contraction.search` finds cheaper products.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate, chain, pairwise
from typing import TypeAlias

from plait._plan.graph import NodeWithOperands, Plan
from plait._plan.nodes import (
    Contract,
    Diagonal,
    EquationAxis,
    Node,
    Permute,
    Reshape,
    Shape,
    Sum,
    axes_of_equation_term,
)
from plait._shapes.solver import BROADCAST, PRODUCT, SIZE_OP_KINDS_WITH_RESULT, SizeOp

LabeledTensor: TypeAlias = "tuple[int, dict[EquationAxis, int]]"
"""The number of a tensor or a result in the plan, and for each of its axes in order the slot of its length."""


def decompose_einsum(plan: Plan) -> Plan:
    """Return the plan with matrix products or elementwise products instead of each einsum.

    Two dimensions with the same axis are first made the last two, and then their diagonal is taken.
    """
    builder = _PlanBuilder(plan)
    numbers = list(range(len(plan.solved.ranks)))
    for node, operands in plan.steps:
        operand_numbers = [numbers[operand] for operand in operands]
        if isinstance(node, Contract):
            numbers.append(builder.add_einsum(node.equation, operand_numbers))
        else:
            numbers.append(builder.add_node(node, *operand_numbers))
    outputs = tuple([numbers[output] for output in plan.outputs])
    return plan._replace(size_ops=tuple(builder.size_ops), steps=tuple(builder.steps), outputs=outputs)


class _PlanBuilder:
    """Collects the steps of the decomposed plan, the shape (in slots) of each tensor, and the size operations."""

    def __init__(self, plan: Plan) -> None:
        self.shapes: list[Shape] = [tuple(range(*pair)) for pair in pairwise(accumulate(plan.solved.ranks, initial=0))]
        self.steps: list[NodeWithOperands] = []
        self.size_ops = list(plan.size_ops)
        self.initial_slot_count = plan.solved.initial_slot_count

    def add_node(self, node: Node, *operands: int) -> int:
        """Append a node, and return the number of its result."""
        self.steps.append((node, operands))
        self.shapes.append(node.output_shape(*[self.shapes[operand] for operand in operands]))
        return len(self.shapes) - 1

    def add_einsum(self, equation: str, operands: Sequence[int]) -> int:
        """Append the nodes of an einsum, and return the number of its result."""
        left, _, right = equation.partition("->")
        tensors = [self._take_diagonals(*pair) for pair in zip(left.split(","), operands, strict=True)]
        dots = min([axis for _, slots in tensors for axis in slots if isinstance(axis, int)], default=0)
        output = axes_of_equation_term(right, len(right.replace("...", "")) - dots)
        while len(tensors) > 1:
            first, second, *rest = tensors
            tensors = [self._multiply(first, second, {*output}.union(*[slots for _, slots in rest])), *rest]
        return self._arrange_dims(self._sum_unneeded(tensors[0], output), [[axis] for axis in output])

    def _size_slot(self, kind: str, source: int, factors: Iterable[int]) -> int:
        """Return the slot that a size operation fills, and add the operation if it is new."""
        size_op = SizeOp(kind, source, tuple(factors))
        if size_op not in self.size_ops:
            self.size_ops.append(size_op)
        return self.initial_slot_count + [op for op in self.size_ops if op.kind in SIZE_OP_KINDS_WITH_RESULT].index(
            size_op
        )

    def _take_diagonals(self, term: str, number: int) -> LabeledTensor:
        """Append the diagonals of the repeated axes of a tensor, and return the result with its axes."""
        axes = axes_of_equation_term(term, len(self.shapes[number]))
        while repeated := [axis for axis in axes if axes.count(axis) > 1]:
            pair = [dim for dim, axis in enumerate(axes) if axis == repeated[0]][:2]
            order = (*[dim for dim in range(len(axes)) if dim not in pair], *pair)
            number = self.add_node(Diagonal((len(axes) - 2, len(axes) - 1)), self.add_node(Permute(order), number))
            axes = [axes[dim] for dim in order[:-1]]
        return number, dict(zip(axes, self.shapes[number], strict=True))

    def _sum_unneeded(self, tensor: LabeledTensor, needed: Collection[EquationAxis]) -> LabeledTensor:
        """Append the sum over the axes that are not needed, if there are any, and return the result with its axes."""
        number, slots = tensor
        summed = tuple([dim for dim, axis in enumerate(slots) if axis not in needed])
        kept = {axis: slot for axis, slot in slots.items() if axis in needed}
        return (self.add_node(Sum(summed), number), kept) if summed else tensor

    def _arrange_dims(self, tensor: LabeledTensor, dims: Sequence[Sequence[EquationAxis]]) -> int:
        """Append the nodes that give a tensor dimensions of these axes, and return the number of the result."""
        number, slots = tensor
        order = tuple([[*slots].index(axis) for axis in chain(*dims)])
        if order != tuple(sorted(order)):
            number = self.add_node(Permute(order), number)
        if any(len(dim) != 1 for dim in dims):
            number = self.add_node(Reshape(self._shape_slots(slots, dims)), number)
        return number

    def _shape_slots(self, slots: dict[EquationAxis, int], dims: Sequence[Sequence[EquationAxis]]) -> Shape:
        """Return the slot of the length of each dimension, given its axes and the slots of their lengths."""
        sizes = [[slots[axis] for axis in dim] for dim in dims]
        return tuple([size[0] if len(size) == 1 else self._size_slot(PRODUCT, 0, size) for size in sizes])

    def _multiply(self, first: LabeledTensor, second: LabeledTensor, needed: Collection[EquationAxis]) -> LabeledTensor:
        """Append the product of two tensors, summed over the axes that are not needed, and return it with its axes.

        It is a matrix product if an axis of both is summed, otherwise elementwise.
        """
        first = self._sum_unneeded(first, {*second[1], *needed})
        second = self._sum_unneeded(second, {*first[1], *needed})
        slots = {**second[1], **first[1]}
        ellipsis = sorted([axis for axis in slots if isinstance(axis, int)])
        shared = [axis for axis in first[1] if axis in second[1]]
        for axis in shared:
            if axis in ellipsis:  # only these may broadcast; axes with a letter have the same length in both
                slots[axis] = self._size_slot(BROADCAST, second[1][axis], [first[1][axis]])
        batch = [*ellipsis, *[axis for axis in shared if axis in needed and axis not in ellipsis]]
        inner = [axis for axis in shared if axis not in needed]
        rows, columns = [[axis for axis in own if axis not in (*shared, *ellipsis)] for _, own in (first, second)]
        first_dims, second_dims = [[[axis] for axis in batch if axis in own] for _, own in (first, second)]
        product_dims = [[axis] for axis in (*batch, *rows, *columns)]
        kept = {axis: slots[axis] for axis in (*batch, *rows, *columns)}
        if not inner:
            first_dims += [[axis] if axis in rows else [] for axis in (*rows, *columns)]
            second_dims += [[axis] if axis in columns else [] for axis in (*rows, *columns)]
            operands = self._arrange_dims(first, first_dims), self._arrange_dims(second, second_dims)
            return self.add_node(Contract("multiply", self._shape_slots(slots, product_dims)), *operands), kept
        left = self._arrange_dims(first, [*first_dims, rows, inner])
        right = self._arrange_dims(second, [*second_dims, inner, columns])
        merged = [*product_dims[: len(batch)], rows, columns]
        number = self.add_node(Contract("matmul", self._shape_slots(slots, merged)), left, right)
        if merged != product_dims:
            number = self.add_node(Reshape(self._shape_slots(slots, product_dims)), number)
        return number, kept
