"""A plan as plain tuples of ints and text, which every tracer takes for a constant."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import NamedTuple, TypeAlias

from plait._plan.graph import Plan
from plait._plan.nodes import Contract, Reshape, Shape
from plait._shapes.solver import CHECK, COMPUTING, NONEMPTY, PRODUCT, SizeOp

Axes: TypeAlias = "tuple[tuple[int, ...], ...]"
"""For each dimension the slots of the axes in it."""

StepData: TypeAlias = "tuple[str, tuple[int, ...], Shape | None, tuple[int, ...] | tuple[Axes, Axes] | str | None]"
"""A method of the backend; the numbers of its operands; the slots of the shape that it takes; or else its argument.

Of a reshape that is the axes before and after, of an einsum the equation.
"""


class PlanData(NamedTuple):
    """A plan without its pattern. ``needed`` are the slots that something reads, ``computed`` those without checks."""

    ranks: tuple[int, ...]
    given: tuple[str, ...]
    constants: tuple[int, ...]
    size_ops: tuple[SizeOp, ...]
    needed: tuple[int, ...]
    computed: tuple[int, ...]
    steps: tuple[StepData, ...]
    outputs: tuple[int, ...]


def plan_data(plan: Plan) -> PlanData:
    """The plain data of a plan."""
    solved = plan.solved
    shapes: list[Shape] = [tuple(range(*pair)) for pair in pairwise(accumulate(solved.ranks, initial=0))]
    axes = _axes_of_slots(plan)
    steps: list[StepData] = []
    for node, operands in plan.steps:
        before = [shapes[number] for number in operands]
        shapes.append(node.output_shape(*before))
        if isinstance(node, Contract):
            steps.append((node.method, operands, None, node.equation))
        elif not node.takes_shape:
            steps.append((node.method, operands, None, node[0]))
        elif type(node) is Reshape:
            groups = [tuple([axes.get(slot, (slot,)) for slot in shape]) for shape in (before[0], shapes[-1])]
            steps.append((node.method, operands, node.shape, (groups[0], groups[1])))
        else:
            steps.append((node.method, operands, node[0], None))
    read = [slot for _, _, shape, _ in steps for slot in shape or ()]
    return PlanData(
        solved.ranks,
        solved.given,
        solved.constants,
        plan.size_ops,
        _slots_read(plan, read, (*COMPUTING, CHECK, NONEMPTY)),
        _slots_read(plan, read, COMPUTING),
        tuple(steps),
        plan.outputs,
    )


def _axes_of_slots(plan: Plan) -> dict[int, tuple[int, ...]]:
    """For each slot of a group, or of no axes, the slots of the axes that it is the product of."""
    solved = plan.solved
    dims = enumerate(sum(solved.inputs, ()))
    axes = {place: tuple([solved.slots[axis] for axis in dim]) for place, dim in dims if len(dim) != 1}
    products = [op for op in plan.size_ops[len(solved.size_ops) :] if op.kind == PRODUCT]
    return {**axes, **{solved.filled + number: op.factors for number, op in enumerate(products)}}


def _slots_read(plan: Plan, read: list[int], kinds: tuple[str, ...]) -> tuple[int, ...]:
    """The slots that a step, or arithmetic of these kinds, reads."""
    ops = [op for op in plan.size_ops if op.kind in kinds]
    found = {*read, *[slot for op in ops for slot in op.factors], *[op.source for op in ops if op.kind != PRODUCT]}
    return tuple(sorted(found))
