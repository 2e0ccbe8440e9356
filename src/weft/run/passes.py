"""Large tensors: how one is reduced or copied is decided when it comes, by how it lies in memory.

The cache of calls knows shapes, and not strides. So what it keeps for a large tensor looks at its memory first, and
then makes the calls that are best for that; next to the work this takes no time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any, NamedTuple, TypeAlias

from weft.backends.passes import Passes
from weft.backends.registry import one_backend
from weft.plan import Plan, Reduce, Step
from weft.plan.passes import Copying, PassPrices, Reduction, copied, reduced
from weft.plan.views import Memory, contiguous
from weft.run.calls import call_of
from weft.run.carry import copying, reducing
from weft.run.compose import compose
from weft.run.program import Program

LEAST = 2048
"""How many elements a tensor has at least that is worth a thought, where no framework says so."""

LAYOUTS = 32
"""For how many ways to lie in memory one callable keeps what is best."""

Unary: TypeAlias = Callable[[Any], Any]


class Stage(NamedTuple):
    """One step of a plan over a tensor that lies in memory in one way.

    Attributes:
        step: the step.
        shape: of the tensor.
        target: the shape that the step leaves.
        way: how it is done; ``None`` is one call of the framework's.
    """

    step: Step
    shape: tuple[int, ...]
    target: tuple[int, ...]
    way: Reduction | Copying | None


def passed(program: Program, shape: Sequence[int], sizes: dict[str, int], plain: Unary) -> Unary:
    """The callable for tensors of one shape: `plain`, or for large ones a callable that knows better ways.

    Args:
        program: the plan, of one tensor.
        shape: of the tensors.
        sizes: the given sizes.
        plain: the callable that makes one call for each step.
    """
    passes = program.backend.passes
    if passes is None or not decides(program.plan):
        return plain
    registers = program.registers(shape, sizes)
    if not is_large(program.plan, registers, passes.least):
        return plain
    known: dict[Any, Unary] = {}
    layout = passes.layout

    def call(tensor: Any) -> Any:
        key = layout(tensor)
        found = known.get(key)
        if found is None:
            if len(known) >= LAYOUTS:
                known.clear()
            found = known[key] = plain if key is None else bound(program, registers, tensor, passes) or plain
        return found(tensor)

    return call


def decides(plan: Plan) -> bool:
    """Whether there is something to be decided: a reduction, or axes that are merged and may have to be copied."""
    steps = plan.inputs[0]
    return any(type(step) is Reduce for step in steps) or any(len(axes) > 1 for axes in plan.solved.output)


def is_large(plan: Plan, registers: Sequence[int], least: int) -> bool:
    """Whether so many elements go in, or come out."""
    axes = plan.solved.registers
    written = prod([registers[axes[axis]] for dim in plan.solved.output for axis in dim])
    return written >= least or prod(registers[: plan.solved.ranks[0]]) >= least


def bound(program: Program, registers: Sequence[int], tensor: Any, passes: Passes) -> Unary | None:
    """The calls that are best for a tensor, or ``None`` where that is one for each step."""
    backend = program.backend
    dtype = backend.dtype(tensor)
    market = partial(prices_of, passes, dtype)
    stages = decided(program.plan, registers, *passes.memory(tensor), market, passes.least)
    if all(stage.way is None for stage in stages):
        return None
    made: list[tuple[Callable[[Any, Any], Any], Any]] = []
    for step, shape, target, way in stages:
        if isinstance(step, Reduce):
            reduction: Any = program.reduction
            calls = passes.calls(step.reduction, dtype)
            if isinstance(way, Reduction) and calls is not None:
                reduction = reducing(way, shape, step.axes, backend, calls)
            made.append((reduction, step.axes))
            backend = backend.any_type()
        elif isinstance(way, Copying) and passes.copy is not None:
            made.append((copying(way, target, passes.copy), None))
        else:
            method, registered, constant = call_of(step)
            made.append((getattr(backend, method), constant if registered is None else target))
    return compose(made)


def prices_of(passes: Passes, dtype: Any, name: str) -> PassPrices | None:
    """What a framework charges for a reduction, or for copies, which have no name; ``None`` where one call is best."""
    if not name:
        return None if passes.copy is None else PassPrices()
    calls = passes.calls(name, dtype)
    return None if calls is None else PassPrices(**dict(calls.prices))


def decided(
    plan: Plan,
    registers: Sequence[int],
    strides: Sequence[int],
    itemsize: int,
    market: Callable[[str], PassPrices | None],
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
        way: Reduction | Copying | None = None
        copies = memory.apply(step, target) is not None
        if isinstance(step, Reduce):
            prices = market(step.reduction)
            if prices is not None:
                way = reduced(shape, before, step.axes, itemsize, prices)
            memory.strides = left_by(shape, before, step.axes, itemsize)
        elif copies:
            prices = market("") if prod(shape) >= least else None
            if prices is not None:
                way = copied(shape, before, itemsize, prices)
            memory.strides = scaled(target, itemsize)
        stages.append(Stage(step, shape, target, way))
    return stages


def scaled(shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """The strides of new memory, in bytes."""
    return tuple([stride * itemsize for stride in contiguous(shape)])


def left_by(shape: Sequence[int], strides: Sequence[int], axes: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """The strides of what a reduction leaves: new memory, in the order of the tensor's own."""
    kept = [place for place in range(len(shape)) if place not in axes]
    order = sorted(range(len(kept)), key=lambda place: -abs(strides[kept[place]]))
    found = dict(zip(order, scaled([shape[kept[place]] for place in order], itemsize), strict=True))
    return tuple([found[place] for place in range(len(kept))])


def explained(plan: Plan, registers: Sequence[int], tensor: Any) -> tuple[tuple[str, ...], str]:
    """What `weft.explain` says of a large tensor: which rewrites are applied, or why none is.

    Args:
        plan: the plan, of one tensor.
        registers: its registers, filled.
        tensor: what the caller gave: a tensor, whose framework decides, or a shape, for which NumPy stands.
    """
    if not decides(plan):
        return (), ""
    if not hasattr(tensor, "dtype"):
        strides = scaled(registers[: plan.solved.ranks[0]], 4)
        stages = decided(plan, registers, strides, 4, lambda _: PassPrices(), LEAST)
        large = is_large(plan, registers, LEAST)
    else:
        backend = one_backend((type(tensor),))
        passes = backend.passes
        if passes is None:
            return (), f"one call of {backend.name} for each step"
        reason = passes.reason(tensor)
        if reason is not None:
            return (), f"one call of {backend.name} for each step: {reason}"
        market = partial(prices_of, passes, backend.dtype(tensor))
        stages = decided(plan, registers, *passes.memory(tensor), market, passes.least)
        large = is_large(plan, registers, passes.least)
    found = [name for stage in stages if stage.way is not None and large for name in stage.way.rewrites]
    return tuple(dict.fromkeys(found)), ""
