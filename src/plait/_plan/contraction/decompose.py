"""An einsum for any sizes, as products of two tensors at a time: for frameworks whose own einsum does not serve.

Tensors are taken from left to right. Where sizes are known, `plait._plan.contraction.search` finds better products.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate, chain, pairwise
from typing import TypeAlias

from plait._plan.graph import Plan, Step
from plait._plan.nodes import Contract, Diagonal, EquationAxis, Node, Permute, Reshape, Shape, Sum, axes_of_term
from plait._shapes.solver import BROADCAST, KINDS_WITH_RESULT, PRODUCT, SizeOp

Tensor: TypeAlias = "tuple[int, dict[EquationAxis, int]]"
"""The number of a tensor or a result, and its axes in order, each with the slot of its length."""


def decompose_einsum(plan: Plan) -> Plan:
    """The plan with products of matrices or of elements in the place of each einsum.

    Diagonals are those of the last two dimensions.
    """
    builder = _Builder(plan)
    numbers = list(range(len(plan.solved.ranks)))
    for node, operands in plan.steps:
        chosen = [numbers[operand] for operand in operands]
        if isinstance(node, Contract):
            numbers.append(builder.contract(node.equation, chosen))
        else:
            numbers.append(builder.add(node, *chosen))
    outputs = tuple([numbers[output] for output in plan.outputs])
    return plan._replace(size_ops=tuple(builder.size_ops), steps=tuple(builder.steps), outputs=outputs)


class _Builder:
    """The steps, and what they need: the shapes of all tensors and results, and the arithmetic of the sizes."""

    def __init__(self, plan: Plan) -> None:
        self.shapes: list[Shape] = [tuple(range(*pair)) for pair in pairwise(accumulate(plan.solved.ranks, initial=0))]
        self.steps: list[Step] = []
        self.size_ops = list(plan.size_ops)
        self.width = plan.solved.initial_slot_count

    def add(self, node: Node, *operands: int) -> int:
        """The number of the result."""
        self.steps.append((node, operands))
        self.shapes.append(node.output_shape(*[self.shapes[operand] for operand in operands]))
        return len(self.shapes) - 1

    def contract(self, equation: str, operands: Sequence[int]) -> int:
        """The number of the result of an einsum."""
        left, _, right = equation.partition("->")
        tensors = [self._diagonals(*pair) for pair in zip(left.split(","), operands, strict=True)]
        dots = min([axis for _, slots in tensors for axis in slots if isinstance(axis, int)], default=0)
        output = axes_of_term(right, len(right.replace("...", "")) - dots)
        while len(tensors) > 1:
            one, other, *rest = tensors
            tensors = [self._product(one, other, {*output}.union(*[slots for _, slots in rest])), *rest]
        return self._arrange(self._sum(tensors[0], output), [[axis] for axis in output])

    def _size(self, kind: str, source: int, factors: Iterable[int]) -> int:
        """The slot that an operation fills."""
        operation = SizeOp(kind, source, tuple(factors))
        if operation not in self.size_ops:
            self.size_ops.append(operation)
        return self.width + [each for each in self.size_ops if each.kind in KINDS_WITH_RESULT].index(operation)

    def _diagonals(self, term: str, number: int) -> Tensor:
        axes = axes_of_term(term, len(self.shapes[number]))
        while repeated := [axis for axis in axes if axes.count(axis) > 1]:
            pair = [place for place, axis in enumerate(axes) if axis == repeated[0]][:2]
            order = (*[place for place in range(len(axes)) if place not in pair], *pair)
            number = self.add(Diagonal((len(axes) - 2, len(axes) - 1)), self.add(Permute(order), number))
            axes = [axes[place] for place in order[:-1]]
        return number, dict(zip(axes, self.shapes[number], strict=True))

    def _sum(self, tensor: Tensor, needed: Collection[EquationAxis]) -> Tensor:
        """The tensor without the axes that nothing needs."""
        number, slots = tensor
        places = tuple([place for place, axis in enumerate(slots) if axis not in needed])
        kept = {axis: slot for axis, slot in slots.items() if axis in needed}
        return (self.add(Sum(places), number), kept) if places else tensor

    def _arrange(self, tensor: Tensor, dims: Sequence[Sequence[EquationAxis]]) -> int:
        """The number of the tensor with these axes in each of its dimensions."""
        number, slots = tensor
        order = tuple([[*slots].index(axis) for axis in chain(*dims)])
        if order != tuple(sorted(order)):
            number = self.add(Permute(order), number)
        if any(len(dim) != 1 for dim in dims):
            number = self.add(Reshape(self._shape(slots, dims)), number)
        return number

    def _shape(self, slots: dict[EquationAxis, int], dims: Sequence[Sequence[EquationAxis]]) -> Shape:
        sizes = [[slots[axis] for axis in dim] for dim in dims]
        return tuple([size[0] if len(size) == 1 else self._size(PRODUCT, 0, size) for size in sizes])

    def _product(self, one: Tensor, other: Tensor, needed: Collection[EquationAxis]) -> Tensor:
        """Two tensors as one: a product of matrices where something is summed, and otherwise of elements."""
        one, other = self._sum(one, {*other[1], *needed}), self._sum(other, {*one[1], *needed})
        slots = {**other[1], **one[1]}
        dots = sorted([axis for axis in slots if isinstance(axis, int)])
        both = [axis for axis in one[1] if axis in other[1]]
        for axis in both:
            if axis in dots:  # the others have the same length in both
                slots[axis] = self._size(BROADCAST, other[1][axis], [one[1][axis]])
        loops = [*dots, *[axis for axis in both if axis in needed and axis not in dots]]
        inner = [axis for axis in both if axis not in needed]
        rows, columns = [[axis for axis in each if axis not in (*both, *dots)] for _, each in (one, other)]
        left, right = [[[axis] for axis in loops if axis in each] for _, each in (one, other)]
        dims = [[axis] for axis in (*loops, *rows, *columns)]
        kept = {axis: slots[axis] for axis in (*loops, *rows, *columns)}
        if not inner:
            left += [[axis] if axis in rows else [] for axis in (*rows, *columns)]
            right += [[axis] if axis in columns else [] for axis in (*rows, *columns)]
            operands = self._arrange(one, left), self._arrange(other, right)
            return self.add(Contract("multiply", self._shape(slots, dims)), *operands), kept
        operands = self._arrange(one, [*left, rows, inner]), self._arrange(other, [*right, inner, columns])
        merged = [*dims[: len(loops)], rows, columns]
        number = self.add(Contract("matmul", self._shape(slots, merged)), *operands)
        return (number if merged == dims else self.add(Reshape(self._shape(slots, dims)), number)), kept
