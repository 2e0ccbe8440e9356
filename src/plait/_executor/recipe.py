"""The steps of a plan as calls: plain tuples of ints and text, which every tracer takes for constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from plait._plan.graph import Plan
from plait._plan.nodes import (
    Expand,
    Permute,
    Reduce,
    Reshape,
    Step,
    View,
)
from plait._shapes.solver import (
    CHECK,
    COMPUTING,
    NONEMPTY,
    PRODUCT,
)

Axes: TypeAlias = "tuple[tuple[int, ...], ...]"
"""For each dimension the registers of the axes in it."""

Call: TypeAlias = tuple[str, "tuple[int, ...] | None", "tuple[int, ...] | tuple[Axes, Axes] | None"]
"""A method of the backend; the registers of its shape, or else its constant; of a reshape the axes before and after."""


_SHAPED = {Reshape: "reshape", View: "view", Expand: "expand"}
_FIXED = {Permute: "permute", Reduce: "reduce"}


def call_of(step: Step) -> Call:
    """The call for a step alone."""
    kind = type(step)
    if kind in _SHAPED:
        return _SHAPED[kind], step[0], None
    return _FIXED[kind], None, step[0]


def calls_of(steps: Sequence[Step], shape: tuple[int, ...], axes: dict[int, tuple[int, ...]]) -> tuple[Call, ...]:
    """The calls for these steps, with the axes that each reshape finds and leaves."""
    calls: list[Call] = []
    for step in steps:
        before, shape = shape, step.output(shape)
        call = call_of(step)
        if call[0] == "reshape":
            groups = [tuple([axes.get(register, (register,)) for register in each]) for each in (before, shape)]
            call = (*call[:2], (groups[0], groups[1]))
        calls.append(call)
    return tuple(calls)


def axes_of(plan: Plan) -> dict[int, tuple[int, ...]]:
    """For each register that is no axis, those of the axes that it is the product of."""
    solved = plan.solved
    dims = enumerate(sum(solved.inputs, ()))
    axes = {place: tuple([solved.slots[axis] for axis in dim]) for place, dim in dims if len(dim) != 1}
    products = [row for row in plan.instructions[len(solved.size_ops) :] if row.kind == PRODUCT]
    return {**axes, **{solved.filled + number: row.factors for number, row in enumerate(products)}}


def read_by(
    plan: Plan, chains: tuple[tuple[Call, ...], ...], kinds: tuple[str, ...] = (*COMPUTING, CHECK, NONEMPTY)
) -> tuple[int, ...]:
    """The registers that a step, or an instruction of these kinds, reads."""
    rows = [row for row in plan.instructions if row.kind in kinds]
    read = {register for row in rows for register in row.factors}
    read |= {row.source for row in rows if row.kind != PRODUCT}
    read |= {register for calls in chains for _, shape, _ in calls for register in shape or ()}
    return tuple(sorted(read))
