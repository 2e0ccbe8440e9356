"""Large tensors: how one is reduced or copied is decided when it comes, by how it lies in memory.

The cache of calls knows shapes, and not strides. So what it keeps for a large tensor looks at its memory first, and
then makes the calls that are best for that; next to the work this takes no time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any, TypeAlias

from plait._executor.compose import compose
from plait._executor.large.kernels import filled, said, task
from plait._executor.large.layout import (
    Stage,
    decided,
    prices_of,
    scaled,
)
from plait._executor.large.reductions import Made, copying, reducing
from plait._executor.large.two_pass import centring
from plait._executor.program import Program, decides, rounds
from plait._executor.recipe import call_of
from plait._plan.graph import Plan
from plait._plan.nodes import Reduce
from plait._plan.schedule.nodes import Centred, Copying, Reduction
from plait.backends.capabilities import Passes
from plait.backends.costs import MemoryCosts
from plait.backends.interface import Backend
from plait.backends.registry import one_backend

LEAST = 2048
"""How many elements a tensor has at least that is worth a thought, where no framework says so."""

LAYOUTS = 32
"""For how many ways to lie in memory one callable keeps what is best."""

Unary: TypeAlias = Callable[[Any], Any]


def passed(program: Program, shape: Sequence[int], sizes: dict[str, int], plain: Unary) -> Unary:
    """The callable for tensors of one shape: `plain`, or for large ones a callable that knows better ways.

    Args:
        program: the plan, of one tensor.
        shape: of the tensors.
        sizes: the given sizes.
        plain: the callable that makes one call for each step.
    """
    passes = program.backend.passes
    if passes is None or not program.decides:
        return plain
    size = prod(shape)
    if program.stretches:
        size = max(size, largest(program.plan, program.registers(shape, sizes)))
    if size < (passes.rounded if program.rounds else passes.least):
        return plain
    known: dict[Any, Unary | None] = {}
    """By layout, what is best; ``None`` where there was one call, and nothing is decided yet."""
    layout, eager = passes.layout, program.rounds or size >= passes.eager

    def call(tensor: Any) -> Any:
        key = layout(tensor)
        found = known.get(key)
        if found is None:
            decide = eager or key in known
            if len(known) >= LAYOUTS:
                known.clear()
            if key is None:
                found = plain
            elif decide:
                found = bound(program, program.registers(shape, sizes), tensor, passes) or plain
            known[key] = found
        return (found or plain)(tensor)

    return call


def bound(program: Program, registers: Sequence[int], tensor: Any, passes: Passes) -> Unary | None:
    """The calls that are best for a tensor, or ``None`` where that is one for each step."""
    backend, dtype, recorded = program.backend, program.backend.dtype(tensor), passes.recorded(tensor)
    market = partial(prices_of, passes, dtype, recorded)
    made: list[tuple[Made, Any]] = []
    better = False
    for stage in decided(program.plan, registers, *passes.memory(tensor), market, passes.least):
        method, registered, constant = call_of(stage.step)
        plain: Any = program.reduction if method == "reduce" else getattr(backend, method)
        function = carried(stage, plain, backend, passes, dtype, recorded)
        better = better or function is not plain
        made.append((function, constant if registered is None else stage.target))
        if isinstance(stage.step, Reduce):
            backend, dtype = backend.for_any_type(), None  # what comes after is of another type, and small
    return compose(made) if better else None


def carried(stage: Stage, plain: Made, backend: Backend, passes: Passes, dtype: Any, recorded: bool) -> Made:
    """A step as a function of a tensor and its constant: in several calls or by a kernel where that is better."""
    step, way, function = stage.step, stage.way, plain
    if dtype is None or not stage.copies:
        return plain
    if isinstance(step, Reduce) and isinstance(way, Centred):
        composite = None if passes.composite is None else passes.composite(step.reduction, dtype, recorded)
        return plain if composite is None else centring(way, stage.shape, step.axes, backend, composite)
    calls = passes.calls(step.reduction, dtype, recorded) if isinstance(step, Reduce) else None
    if isinstance(step, Reduce):
        if calls is None:
            return plain
        if isinstance(way, Reduction):
            function = reducing(way, stage.shape, step.axes, backend, calls)
    elif isinstance(way, Copying) and passes.copy is not None:
        function = copying(way, stage.target, passes.copy)
    found = task(step, stage.shape, stage.strides, passes, calls, dtype)
    return function if found is None else filled(found, passes, calls, backend, function)


def largest(plan: Plan, registers: Sequence[int]) -> int:
    """How many elements go in or come out, whichever is more."""
    axes = plan.solved.slots
    written = prod([registers[axes[axis]] for dim in plan.solved.output for axis in dim])
    return max(written, prod(registers[: plan.solved.ranks[0]]))


def explained(plan: Plan, registers: Sequence[int], tensor: Any) -> tuple[tuple[str, ...], list[str]]:
    """What `plait.explain` says of a large tensor: which rewrites are applied; and what else there is to say of it.

    Args:
        plan: the plan, of one tensor.
        registers: its registers, filled.
        tensor: what the caller gave: a tensor, whose framework decides, or a shape, for which NumPy stands.
    """
    if not decides(plan):
        return (), []
    if not hasattr(tensor, "dtype"):
        strides = scaled(registers[: plan.solved.ranks[0]], 4)
        large = largest(plan, registers) >= LEAST
        return _rewrites(decided(plan, registers, strides, 4, lambda _: MemoryCosts(), LEAST) if large else []), []
    backend = one_backend((type(tensor),))
    passes = backend.passes
    reason = None if passes is None else passes.reason(tensor)
    if passes is None or reason is not None:
        return (), [f"one call of {backend.name} for each step{'' if reason is None else ': ' + reason}"]
    if largest(plan, registers) < (passes.rounded if rounds(plan) else passes.least):
        return (), []
    dtype, recorded = backend.dtype(tensor), passes.recorded(tensor)

    def stages_of(recorded: bool) -> list[Stage]:
        market = partial(prices_of, passes, dtype, recorded)
        return decided(plan, registers, *passes.memory(tensor), market, passes.least)

    stages = stages_of(recorded)
    lines: list[str] = []
    for stage in [stage for stage in stages if stage.copies][:1]:  # what comes after a reduction is small
        step = stage.step
        calls = passes.calls(step.reduction, dtype, False) if isinstance(step, Reduce) else None
        found = task(step, stage.shape, stage.strides, passes, calls, dtype)
        line = said(found, step, stage.shape, passes, dtype)
        lines += [] if line is None else [line]
    if recorded and any(stage.way is not None for stage in stages):
        lines.append(f"recorded as one call of {backend.name}, with its gradient")
    elif recorded and any(stage.way is not None for stage in stages_of(False)):
        lines.append(f"one call of {backend.name} for each step: a gradient is recorded")
    return _rewrites(stages), lines


def _rewrites(stages: Sequence[Stage]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([name for stage in stages if stage.way is not None for name in stage.way.rewrites]))
