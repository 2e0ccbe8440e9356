"""How a large tensor is reduced or copied: chosen by its strides when it comes; the cache knows only its shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from plait._executor.executable import Executable, chain_calls, larger_element_count, min_elements_for_schedule
from plait._executor.large.kernels import KernelTask, describe_kernel_use, kernel_with_fallback
from plait._executor.large.reductions import build_copy, build_reduction
from plait._plan.graph import Plan
from plait._plan.nodes import Reduce
from plait._plan.schedule.copies import schedule_copy
from plait._plan.schedule.loop_nest import build_loop_nest
from plait._plan.schedule.reductions import schedule_reduction
from plait._plan.schedule.schedules import CopySchedule, ReductionSchedule, Schedule, ScheduledStep, TwoPassSchedule
from plait._plan.schedule.two_pass import schedule_two_pass
from plait._plan.strides import StridedView, contiguous_strides
from plait._shapes.sizes import fill_slots
from plait.backends.capabilities import LargeTensorOps, ReductionOps, StepFunction, TwoPassOps, UnaryFunction
from plait.backends.costs import MemoryCosts
from plait.backends.interface import Backend
from plait.backends.reduction_rules import PIVOT_REDUCTIONS, ROUNDING_REDUCTIONS
from plait.backends.registry import common_backend

MIN_ELEMENTS = 2048
"""How many elements a tensor has at least that may be worth a schedule, where only its shape is known: NumPy's."""
MIN_ELEMENTS_ROUNDING = 1 << 14
"""The same of a reduction that rounds."""

MAX_LAYOUTS = 32
"""For how many ways to lie in memory one callable keeps what is best."""


def build_layout_dispatch(
    program: Executable, shape: Sequence[int], sizes: dict[str, int], plain: UnaryFunction
) -> UnaryFunction:
    """A callable for large tensors of one shape that looks at their memory; ``plain`` makes one call for each step."""
    large = program.backend.large_tensors
    if large is None:
        return plain
    ops = large.load()
    known: dict[Any, UnaryFunction | None] = {}
    """By layout, what is best; ``None`` where there was one call, and nothing is chosen yet."""
    layout = ops.layout_key
    eager = program.larger_element_count(shape, sizes) >= large.eager_elements
    eager |= any(isinstance(node, Reduce) and node.reduction in ROUNDING_REDUCTIONS for node, _ in program.plan.steps)

    def call(tensor: Any) -> Any:
        key = layout(tensor)
        found = known.get(key)
        if found is None:
            choose = eager or key in known
            if len(known) >= MAX_LAYOUTS:
                known.clear()
            if key is None:
                found = plain
            elif choose:
                found = build_callable_for_layout(program, shape, sizes, tensor, ops) or plain
            known[key] = found
        return (found or plain)(tensor)

    return call


def build_callable_for_layout(
    program: Executable, shape: Sequence[int], sizes: dict[str, int], tensor: Any, ops: LargeTensorOps
) -> UnaryFunction | None:
    """The calls that are best for a tensor, or ``None`` where that is one for each step."""
    slots = fill_slots(program.plan.solved, program.plan.size_ops, shape, sizes)
    dtype, requires_grad = program.backend.dtype(tensor), ops.requires_grad(tensor)
    step = choose_schedule(
        program.plan, slots, *ops.strides_and_itemsize(tensor), memory_costs_function(ops, dtype, requires_grad)
    )
    if step is None:
        return None
    calls = [(function, select(slots) if select else constant) for function, select, constant in program.node_functions]
    function, constant = calls[step.position]
    better = build_step_function(step, function, program.backend, ops, dtype, requires_grad)
    if better is function:
        return None
    calls[step.position] = better, constant
    return chain_calls(calls)


def memory_costs_function(ops: LargeTensorOps, dtype: Any, requires_grad: bool) -> Callable[[str], MemoryCosts | None]:
    """What a reduction costs, or copies, which have no name; ``None`` where one call is best."""

    def costs(name: str) -> MemoryCosts | None:
        if not name:
            return ops.copy_costs
        found = ops.reduction_ops(name, dtype, requires_grad)
        return None if found is None else found.costs

    return costs


def choose_schedule(
    plan: Plan,
    slots: Sequence[int],
    strides: Sequence[int],
    itemsize: int,
    costs: Callable[[str], MemoryCosts | None],
) -> ScheduledStep | None:
    """The step of a plan that writes new memory, and how it is best done on a tensor with these strides, in bytes."""
    dims = tuple(range(plan.solved.ranks[0]))
    memory = StridedView([slots[slot] for slot in dims], strides)
    for number, (step, _) in enumerate(plan.steps):
        shape, before = memory.shape, memory.strides
        dims = step.output_shape(dims)
        target = tuple([slots[slot] for slot in dims])
        schedule: Schedule | None = None
        if isinstance(step, Reduce):
            found, pivot = costs(step.reduction), PIVOT_REDUCTIONS.get(step.reduction)
            first = costs(pivot) if pivot else None
            nest = build_loop_nest(shape, before, step.axes)
            if found is not None and not pivot:
                schedule = schedule_reduction(nest, itemsize, found)
            elif found is not None and first is not None:
                schedule = schedule_two_pass(nest, itemsize, first, found)
        elif step.update_view(memory, target) is None:  # a view
            continue
        else:
            found = costs("")
            schedule = None if found is None else schedule_copy(shape, before, itemsize, found)
        return ScheduledStep(number, step, shape, before, target, schedule)
    return None


def build_step_function(
    scheduled: ScheduledStep,
    plain: StepFunction,
    backend: Backend,
    ops: LargeTensorOps,
    dtype: Any,
    requires_grad: bool,
) -> StepFunction:
    """A step as a function of a tensor and its constant: in several calls or by a kernel where that is better."""
    step, schedule, function = scheduled.node, scheduled.schedule, plain
    reduction_ops = None
    if isinstance(step, Reduce):
        reduction_ops = ops.reduction_ops(step.reduction, dtype, requires_grad)
        if isinstance(reduction_ops, ReductionOps) and isinstance(schedule, ReductionSchedule):
            function = build_reduction(schedule, scheduled.shape, step.axes, backend, reduction_ops)
        elif isinstance(reduction_ops, TwoPassOps) and isinstance(schedule, TwoPassSchedule):
            from plait._executor.large.two_pass import build_two_pass

            function = build_two_pass(schedule, scheduled.shape, step.axes, backend, reduction_ops)
    elif isinstance(schedule, CopySchedule) and ops.copy is not None:
        function = build_copy(schedule, scheduled.output_shape, ops.copy)
    task = KernelTask.for_node(scheduled, ops, reduction_ops, dtype)
    return function if task is None else kernel_with_fallback(task, backend, function)


def explain_large_tensor(plan: Plan, slots: Sequence[int], tensor: Any) -> tuple[tuple[str, ...], list[str]]:
    """Which techniques are applied to a large tensor, or to a NumPy array of a shape, and what else there is to say."""
    least = min_elements_for_schedule(plan, MIN_ELEMENTS, MIN_ELEMENTS_ROUNDING)
    if least is None:
        return (), []
    if not hasattr(tensor, "dtype"):
        if larger_element_count(plan, slots) < least:
            return (), []
        strides = contiguous_strides(slots[: plan.solved.ranks[0]], 4)
        return _technique_names(choose_schedule(plan, slots, strides, 4, lambda _: MemoryCosts())), []
    backend = common_backend((type(tensor),))
    large = backend.large_tensors
    ops = None if large is None else large.load()
    reason = None if ops is None else ops.why_not_decompose(tensor)
    if large is None or ops is None or reason is not None:
        return (), [f"one call of {backend.name} for each step{'' if reason is None else ': ' + reason}"]
    if larger_element_count(plan, slots) < (
        min_elements_for_schedule(plan, large.min_elements, large.min_elements_rounding) or 0
    ):
        return (), []
    dtype, requires_grad, memory = backend.dtype(tensor), ops.requires_grad(tensor), ops.strides_and_itemsize(tensor)
    found = choose_schedule(plan, slots, *memory, memory_costs_function(ops, dtype, requires_grad))
    if found is None:
        return (), []
    reduction_ops = ops.reduction_ops(found.node.reduction, dtype, False) if isinstance(found.node, Reduce) else None
    task = KernelTask.for_node(found, ops, reduction_ops, dtype)
    line = describe_kernel_use(task, found, ops, dtype)
    lines = [] if line is None else [line]
    if requires_grad and found.schedule is not None:
        lines.append(f"recorded as one call of {backend.name}, with its gradient")
    elif requires_grad:
        found = choose_schedule(plan, slots, *memory, memory_costs_function(ops, dtype, requires_grad=False))
        if found is not None and found.schedule is not None:
            lines.append(f"one call of {backend.name} for each step: a gradient is recorded")
            found = None
    return _technique_names(found), lines


def _technique_names(step: ScheduledStep | None) -> tuple[str, ...]:
    return () if step is None or step.schedule is None else step.schedule.techniques
