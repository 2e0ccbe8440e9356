"""The lowering of an einsum to products of matrices, so that no tensor exceeds a given rank of at least 3.

The axes of two tensors are of four kinds, each merged into one dimension: those that both tensors and the result have,
those that one of the tensors and the result have, and those over which the product is summed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, product
from typing import NamedTuple, TypeAlias

from plait._plan.bounded_lowering import BoundedMovement, exceeds_rank
from plait._plan.contraction.paths import Path, numbered_steps
from plait._plan.graph import NodeWithOperands, Plan, SizeOpBuilder
from plait._plan.lowering import remove_redundant_nodes
from plait._plan.nodes import Contract, Expand, Node, Permute, Shape
from plait._shapes.solver import BROADCAST, SIZE_OP_KINDS_WITH_RESULT, Axes, Dims, SolvedPattern


def contraction_exceeds_rank(plan: Plan, max_rank: int, input_shapes: Sequence[Shape] | None = None) -> bool:
    """Whether the plan of an einsum gives a tensor above a rank, or has an einsum of more axes than that.

    A framework may broadcast the operands of an einsum to tensors of all its axes. ``input_shapes`` are those of a plan
    for given sizes.
    """
    return exceeds_rank(plan, max_rank, input_shapes) or any(
        len({*node.equation} - {*",->"}) > max_rank or "..." in node.equation
        for node, _ in plan.steps
        if isinstance(node, Contract)
    )


def lower_to_matrix_products(solved: SolvedPattern, path: Path, max_rank: int, *, by_matmul: bool = False) -> Plan:
    """Return the plan of an einsum of several tensors that multiplies two at a time, as matrices or stacks of them.

    The products are einsums of the framework, or with ``by_matmul`` calls of its matmul.
    """
    return _MatrixProducts(solved, max_rank, by_matmul=by_matmul).lower(path)


class _Layout(NamedTuple):
    """The order of the axes of each kind in the product of two tensors; each kind is a dimension."""

    batch: Axes  # of both tensors and of the result
    left: Axes  # of the left tensor and of the result
    summed: Axes  # of both tensors alone
    right: Axes  # of the right tensor and of the result

    def dims_of_operands_and_result(self, *, keeps_units: bool) -> list[Dims]:
        """Return the dimensions of the left matrix, of the right one and of their product.

        Only with ``keeps_units`` rows, columns and what is summed have a dimension where they have no axis.
        """
        kinds = (self.batch, self.left, self.summed), (self.batch, self.summed, self.right), self[:2] + self[3:]
        return [tuple([axes for number, axes in enumerate(dims) if axes or (keeps_units and number)]) for dims in kinds]

    def equation(self) -> str:
        """Return the equation of the product, in which each kind of axes has a letter."""
        letters = dict(zip(self, "abcd", strict=True))
        all_dims = self.dims_of_operands_and_result(keeps_units=False)
        terms = ["".join([letters[axes] for axes in dims]) for dims in all_dims]
        return f"{terms[0]},{terms[1]}->{terms[2]}"


Tensor: TypeAlias = "tuple[int, Dims]"
"""The number of an operand or of the result of a step, and its dimensions, each as its axes."""


class _MatrixProducts:
    """The steps of a plan; see `lower_to_matrix_products`."""

    def __init__(self, solved: SolvedPattern, max_rank: int, *, by_matmul: bool) -> None:
        self.solved, self.max_rank, self.by_matmul = solved, max_rank, by_matmul
        self.sizes = SizeOpBuilder(solved)
        self.steps: list[NodeWithOperands] = []

    def lower(self, path: Path) -> Plan:
        """Return the plan; tensors that a step of the path takes together are multiplied from left to right."""
        solved = self.solved
        tensors = {number: self._broadcast(number, dims) for number, dims in enumerate(solved.inputs)}
        for result, step in enumerate(numbered_steps(path, len(tensors)), len(tensors)):
            tensor, *others = [tensors.pop(number) for number in step]
            while others:
                other = others.pop(0)
                needed = {*chain(*solved.output)}.union(*[chain(*dims) for _, dims in (*others, *tensors.values())])
                tensor = self._multiply(tensor, other, needed, is_last=not others and not tensors)
            tensors[result] = tensor
        ((number, _),) = [self._move(tensor, solved.output) for tensor in tensors.values()]
        return Plan(solved, self.sizes.size_ops, tuple(self.steps), (number,))

    def _append(self, node: Node, *operands: int) -> int:
        """Add a step, and return the number of its result."""
        self.steps.append((node, operands))
        return len(self.solved.inputs) + len(self.steps) - 1

    def _broadcast(self, number: int, dims: Dims) -> Tensor:
        """Stretch the dimensions of an operand that broadcast, since only then they can be merged with others."""
        slots = self.solved.slots
        if any(len(axes) == 1 and slots[axes[0]] in _broadcast_slots(self.solved) for axes in dims):
            number = self._append(Expand(self.sizes.shape_slots(dims)), number)
        return number, dims

    def _move(self, tensor: Tensor, output: Dims) -> Tensor:
        """Add the steps that give a tensor other dimensions, and sum over the axes that are not among them."""
        number, dims = tensor
        for node in _nodes_between(dims, output, self.sizes, self.max_rank):
            number = self._append(node, number)
        return number, output

    def _multiply(self, left: Tensor, right: Tensor, needed: set[int], *, is_last: bool) -> Tensor:
        """Add the steps of the product of two tensors, in the layout that needs the fewest transposes."""
        order = tuple(chain(*self.solved.output))
        layouts = [
            (pair, layout)
            for pair in ((left, right), (right, left))
            for layout in _layouts(_axes_of(pair[0]), _axes_of(pair[1]), order, needed)
        ]

        def transpose_count(choice: tuple[tuple[Tensor, Tensor], _Layout]) -> int:
            ((_, one), (_, two)), layout = choice
            *ends, result = layout.dims_of_operands_and_result(keeps_units=self.by_matmul)
            moves = [(one, ends[0]), (two, ends[1]), *([(result, self.solved.output)] if is_last else [])]
            nodes = [_nodes_between(*move, SizeOpBuilder(self.solved), self.max_rank) for move in moves]
            return sum([isinstance(node, Permute) for node in chain(*nodes)])

        pair, layout = min(layouts, key=transpose_count)
        *ends, result = layout.dims_of_operands_and_result(keeps_units=self.by_matmul)
        operands = [self._move(tensor, end)[0] for tensor, end in zip(pair, ends, strict=True)]
        shape = self.sizes.shape_slots(result)
        node = Contract("matmul", shape) if self.by_matmul else Contract("einsum", shape, layout.equation())
        return self._append(node, *operands), result


def _nodes_between(dims: Dims, output: Dims, sizes: SizeOpBuilder, max_rank: int) -> list[Node]:
    """Return the nodes that give a tensor other dimensions, and that sum over the axes that are not among them."""
    movement = BoundedMovement(sizes, dims, max_rank)
    movement.move_to(output)
    return remove_redundant_nodes(movement.nodes)


def _axes_of(tensor: Tensor) -> Axes:
    """Return the axes of a tensor in order, each once."""
    return tuple(dict.fromkeys(chain(*tensor[1])))


def _layouts(left: Axes, right: Axes, order: Axes, needed: set[int]) -> list[_Layout]:
    """Return the layouts of a product of two tensors with these axes, in the orders of the tensors and of the output.

    ``needed`` are the axes of the result.
    """

    def sorted_as(axes: Axes, kind: Iterable[int]) -> Axes:
        wanted = [*kind]
        return (*[axis for axis in axes if axis in wanted], *[axis for axis in wanted if axis not in axes])

    batch = [axis for axis in left if axis in right and axis in needed]
    summed = [axis for axis in left if axis in right and axis not in needed]
    only_left, only_right = [
        [axis for axis in axes if axis in needed and axis not in other]
        for axes, other in ((left, right), (right, left))
    ]
    orders = product((left, right, order), (left, order), (left, right), (right, order))
    kinds = (batch, only_left, summed, only_right)
    return [*dict.fromkeys([_Layout(*map(sorted_as, each, kinds)) for each in orders])]


def _broadcast_slots(solved: SolvedPattern) -> set[int]:
    """Return the slots of lengths to which several dimensions broadcast."""
    results = [op for op in solved.size_ops if op.kind in SIZE_OP_KINDS_WITH_RESULT]
    return {slot for slot, op in enumerate(results, solved.initial_slot_count) if op.kind == BROADCAST}
