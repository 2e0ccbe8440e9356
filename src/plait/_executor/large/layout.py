"""The steps of a plan over a tensor that lies in memory in one way, and how each is best done there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

from plait._plan.graph import Plan
from plait._plan.nodes import Reduce, Step
from plait._plan.schedule.copies import copied
from plait._plan.schedule.nodes import Centred, Copying, Reduction
from plait._plan.schedule.reductions import reduced
from plait._plan.schedule.two_pass import CENTRES, centred
from plait._plan.strides import Memory, contiguous
from plait.backends.capabilities import Passes
from plait.backends.costs import MemoryCosts


class Stage(NamedTuple):
    """One step of a plan over a tensor that lies in memory in one way.

    Attributes:
        step: the step.
        shape: of the tensor.
        strides: of the tensor, in bytes.
        target: the shape that the step leaves.
        copies: whether it makes new memory.
        way: how it is done; ``None`` is one call of the framework's.
    """

    step: Step
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    target: tuple[int, ...]
    copies: bool
    way: Reduction | Centred | Copying | None


def prices_of(passes: Passes, dtype: Any, recorded: bool, name: str) -> MemoryCosts | None:
    """What a framework charges for a reduction, or for copies, which have no name; ``None`` where one call is best."""
    if not name:
        return passes.copy_costs
    offered = passes.composite if name in CENTRES else passes.calls
    found = None if offered is None else offered(name, dtype, recorded)
    return None if found is None else found.costs


def decided(
    plan: Plan,
    registers: Sequence[int],
    strides: Sequence[int],
    itemsize: int,
    market: Callable[[str], MemoryCosts | None],
    least: int,
) -> list[Stage]:
    """The steps of a plan, and how each is done on a tensor with these strides, in bytes."""
    held = tuple(range(plan.solved.ranks[0]))
    memory = Memory([registers[register] for register in held], strides)
    stages: list[Stage] = []
    for step in plan.inputs[0]:
        shape, before = memory.shape, memory.strides
        held = step.output(held)
        target = tuple([registers[register] for register in held])
        way: Reduction | Centred | Copying | None = None
        copies = memory.apply(step, target) is not None
        if isinstance(step, Reduce):
            way = _reduced(step, shape, before, itemsize, market)
            memory.strides = left_by(shape, before, step.axes, itemsize)
        elif copies:
            costs = market("") if prod(shape) >= least else None
            if costs is not None:
                way = copied(shape, before, itemsize, costs)
            memory.strides = scaled(target, itemsize)
        stages.append(Stage(step, shape, before, target, copies, way))
    return stages


def _reduced(
    step: Reduce,
    shape: Sequence[int],
    strides: Sequence[int],
    itemsize: int,
    market: Callable[[str], MemoryCosts | None],
) -> Reduction | Centred | None:
    """The best way to reduce; ``None`` where that is one call."""
    costs = market(step.reduction)
    if costs is None:
        return None
    if step.reduction not in CENTRES:
        return reduced(shape, strides, step.axes, itemsize, costs)
    first = market(CENTRES[step.reduction])
    return None if first is None else centred(shape, strides, step.axes, itemsize, first, costs)


def left_by(shape: Sequence[int], strides: Sequence[int], axes: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """The strides of what a reduction leaves: new memory, in the order of the tensor's own."""
    kept = [place for place in range(len(shape)) if place not in axes]
    order = sorted(range(len(kept)), key=lambda place: -abs(strides[kept[place]]))
    found = dict(zip(order, scaled([shape[kept[place]] for place in order], itemsize), strict=True))
    return tuple([found[place] for place in range(len(kept))])


def scaled(shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """The strides of new memory, in bytes."""
    return tuple([stride * itemsize for stride in contiguous(shape)])
