"""The plan: a graph of nodes from input tensors to results, and the size operations that it needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple, TypeAlias

from plait._plan.nodes import Contract, Node, Reshape, Shape, Sum
from plait._shapes.solver import PRODUCT, SizeOp, SolvedPattern

NodeWithOperands: TypeAlias = "tuple[Node, tuple[int, ...]]"
"""A node and the numbers of its operands: the input tensors are numbered first, then the result of each step."""


class Plan(NamedTuple):
    """A solved pattern lowered to nodes, for any backend; tensors and results of steps are numbered together."""

    solved: SolvedPattern
    size_ops: tuple[SizeOp, ...]  # of the solved pattern, then those that only the nodes need
    steps: tuple[NodeWithOperands, ...]  # in an order in which each node comes after the nodes whose results it takes
    outputs: tuple[int, ...]  # the numbers of the plan's results


Chain: TypeAlias = "tuple[int, tuple[int, ...]]"
"""The number of an input tensor or of a group's result, and the step numbers of the nodes that are applied to it."""


class ContractionGroup(NamedTuple):
    """A contraction with the nodes around it, or a chain of nodes alone; nodes are given by their step numbers."""

    operand_chains: tuple[Chain, ...]  # for each operand
    contraction: int | None  # ``None`` for a chain of nodes alone
    epilogue: tuple[int, ...] = ()  # the nodes applied to the result


def group_by_contraction(plan: Plan) -> tuple[list[ContractionGroup], tuple[int, ...]]:
    """Group the nodes of a plan around its contractions, and return the groups and the numbers of the plan's outputs.

    The input tensors are numbered first, then the results of the groups. A node between two contractions belongs to the
    second, except a `Sum` of the first one's result, which is an epilogue of the first.
    """
    input_count = len(plan.solved.ranks)
    contractions = [step for step, (node, _) in enumerate(plan.steps) if isinstance(node, Contract)]
    last_contraction = max(contractions, default=-1)
    use_counts = [0] * (input_count + len(plan.steps))
    for operands in (plan.outputs, *[operands for _, operands in plan.steps]):
        for operand in operands:
            use_counts[operand] += 1
    groups: list[ContractionGroup] = []
    chains: dict[int, Chain] = {number: (number, ()) for number in range(input_count)}
    """For each tensor and result of a step: the tensor or group's result it is computed from, and the nodes between."""

    def add_group(operands: tuple[Chain, ...], contraction: int | None) -> Chain:
        groups.append(ContractionGroup(operands, contraction))
        return input_count + len(groups) - 1, ()

    for step, (node, operands) in enumerate(plan.steps):
        if isinstance(node, Contract):
            chains[input_count + step] = add_group(tuple([chains[operand] for operand in operands]), step)
            continue
        origin, nodes = chains[operands[0]]
        reads_last_result = operands[0] == input_count + step - 1 and use_counts[operands[0]] == 1
        is_epilogue = step > last_contraction or isinstance(node, Sum)
        if is_epilogue and reads_last_result and not nodes and origin == input_count + len(groups) - 1 >= input_count:
            groups[-1] = groups[-1]._replace(epilogue=(*groups[-1].epilogue, step))
            chains[input_count + step] = (origin, ())
        elif use_counts[input_count + step] > 1 or len(plan.outputs) > 1:
            chains[input_count + step] = add_group(((origin, (*nodes, step)),), None)
        else:
            chains[input_count + step] = (origin, (*nodes, step))
    outputs = []
    for value in plan.outputs:
        origin, nodes = chains[value]
        outputs.append(add_group((chains[value],), None)[0] if nodes or not groups else origin)
    return groups, tuple(outputs)


def build_chain_plan(solved: SolvedPattern, size_ops: tuple[SizeOp, ...], nodes: Sequence[Node]) -> Plan:
    """Return the plan of one tensor in which each node takes the result of the node before it."""
    steps = tuple(zip(nodes, zip(range(len(nodes))), strict=True))
    return Plan(solved, size_ops, steps, (len(steps),))


def input_and_output_shapes(plan: Plan, input_shapes: Sequence[Shape] | None = None) -> list[tuple[list[Shape], Shape]]:
    """Return for each step the shapes of its operands and of its result, as slots.

    For a plan for given sizes the shapes of its inputs are given, and all shapes have lengths.
    """
    ranks = accumulate(plan.solved.ranks, initial=0)
    shapes: list[Shape] = [*(input_shapes or [tuple(range(start, stop)) for start, stop in pairwise(ranks)])]
    found: list[tuple[list[Shape], Shape]] = []
    for node, operands in plan.steps:
        operand_shapes = [shapes[number] for number in operands]
        shapes.append(node.output_shape(*operand_shapes))
        found.append((operand_shapes, shapes[-1]))
    return found


def axes_before_and_after_reshapes(plan: Plan) -> dict[int, tuple[tuple[Shape, ...], tuple[Shape, ...]]]:
    """Return for each reshape, by its step number, the axes of each dimension before it and after it.

    An axis is given as the slot of its size.
    """
    solved = plan.solved
    axes = {place: tuple([solved.slots[axis] for axis in dim]) for place, dim in enumerate(sum(solved.inputs, ()))}
    products = [op for op in plan.size_ops[len(solved.size_ops) :] if op.kind == PRODUCT]
    axes |= {solved.slot_count + number: op.factors for number, op in enumerate(products)}
    found: dict[int, tuple[tuple[Shape, ...], tuple[Shape, ...]]] = {}
    for step, (operand_shapes, shape) in enumerate(input_and_output_shapes(plan)):
        if type(plan.steps[step][0]) is Reshape:
            before, after = [tuple([axes.get(slot, (slot,)) for slot in dims]) for dims in (operand_shapes[0], shape)]
            found[step] = before, after
    return found


class SizeOpBuilder:
    """Finds the slots of the lengths of dimensions, and adds a size operation for each product that has no slot."""

    __slots__ = ("_slot_by_axes", "new_size_ops", "solved")

    def __init__(self, solved: SolvedPattern) -> None:
        self.solved = solved
        self.new_size_ops: list[SizeOp] = []
        self._slot_by_axes: dict[tuple[int, ...], int] | None = None

    @property
    def size_ops(self) -> tuple[SizeOp, ...]:
        """The size operations of the solved pattern, then the new ones."""
        return (*self.solved.size_ops, *self.new_size_ops)

    def shape_slots(self, dims: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
        """Return the slot of each dimension's length; a dimension is given as its axes."""
        slots, product_slot = self.solved.slots, self._product_slot
        return tuple([slots[axes[0]] if len(axes) == 1 else product_slot(axes) for axes in dims])

    def _product_slot(self, axes: tuple[int, ...]) -> int:
        """Return the slot of the product of some axes, and add the size operation that computes it, if needed."""
        slot_by_axes = self._slot_by_axes
        if slot_by_axes is None:  # a dimension of an input already holds the product of its axes, in its own slot
            slot_by_axes = self._slot_by_axes = {}
            for slot, dim in enumerate(sum(self.solved.inputs, ())):
                slot_by_axes.setdefault(dim, slot)
        if axes not in slot_by_axes:
            self.new_size_ops.append(SizeOp(PRODUCT, 0, tuple(map(self.solved.slots.__getitem__, axes))))
            slot_by_axes[axes] = self.solved.slot_count + len(self.new_size_ops) - 1
        return slot_by_axes[axes]
