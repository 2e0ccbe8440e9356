"""The choice of a schedule for a large tensor by its strides, at call time, because the cache knows only shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from plait._executor.executable import Executable, chain_calls, larger_element_count, min_elements_for_schedule
from plait._executor.large.kernels import NodeKernel, build_kernel_call, describe_kernel_use, kernels_are_enabled
from plait._executor.large.reductions import build_copy, build_reduction, build_reduction_loops_for_gradient
from plait._plan.graph import Plan
from plait._plan.nodes import Expand, Reduce
from plait._plan.schedule.copies import schedule_copy
from plait._plan.schedule.loop_nest import build_loop_nest
from plait._plan.schedule.reductions import one_call_cost, schedule_reduction
from plait._plan.schedule.schedules import CopySchedule, ReductionSchedule, Schedule, ScheduledStep, TwoPassSchedule
from plait._plan.schedule.two_pass import schedule_two_pass
from plait._plan.strides import StridedView, contiguous_strides
from plait._shapes.sizes import compute_all_slots
from plait.backends.capabilities import (
    LargeTensorFunctions,
    ReductionFunctions,
    StepFunction,
    TwoPassFunctions,
    UnaryFunction,
)
from plait.backends.costs import MemoryCosts
from plait.backends.interface import Backend
from plait.backends.reduction_rules import PIVOT_BY_REDUCTION, ROUNDING_SENSITIVE_REDUCTIONS
from plait.backends.registry import common_backend

MIN_ELEMENTS_FOR_SCHEDULE = 2048
"""The number of elements from which ``explain`` shows a schedule if only a shape is given; the same as for NumPy."""
MIN_ELEMENTS_FOR_SCHEDULE_IF_ROUNDING = 1 << 14
"""As `MIN_ELEMENTS_FOR_SCHEDULE`, for reductions that round."""

MAX_LAYOUTS_PER_CALLABLE = 32
"""The largest number of memory layouts for which one callable remembers its choice."""


def build_layout_dispatch(
    executable: Executable, shape: Sequence[int], sizes: dict[str, int], stepwise_call: UnaryFunction
) -> UnaryFunction:
    """Return a callable for large tensors of one shape that chooses a schedule for each memory layout."""
    large_tensors = executable.backend.large_tensors
    if large_tensors is None:
        return stepwise_call
    functions = large_tensors.load()
    calls_by_layout: dict[Any, UnaryFunction | None] = {}
    """The chosen callable for each layout, with and without kernels; ``None`` after one call, if the choice is made at
    the second.

    Threads share it without a lock: at worst two of them make the same choice.
    """
    layout_key = functions.layout_key
    elements = executable.larger_element_count(shape, sizes)
    choose_at_once = elements >= large_tensors.eager_elements
    choose_at_once |= functions.kernels is not None and elements >= functions.kernels.min_elements
    choose_at_once |= any(
        isinstance(node, Reduce) and node.reduction in ROUNDING_SENSITIVE_REDUCTIONS
        for node, _ in executable.plan.steps
    )

    def call(tensor: Any) -> Any:
        layout = layout_key(tensor)
        key = None if layout is None else (layout, kernels_are_enabled())
        chosen_call = calls_by_layout.get(key)
        if chosen_call is None:
            choose = choose_at_once or key in calls_by_layout
            if len(calls_by_layout) >= MAX_LAYOUTS_PER_CALLABLE:
                calls_by_layout.clear()
            if key is None:
                chosen_call = stepwise_call
            elif choose:
                chosen_call = build_callable_for_layout(executable, shape, sizes, tensor, functions) or stepwise_call
            calls_by_layout[key] = chosen_call
        return (chosen_call or stepwise_call)(tensor)

    return call


def build_callable_for_layout(
    executable: Executable, shape: Sequence[int], sizes: dict[str, int], tensor: Any, functions: LargeTensorFunctions
) -> UnaryFunction | None:
    """Return the scheduled callable for tensors with this one's layout; ``None`` if one call for each node is best."""
    slots = compute_all_slots(executable.plan.solved, executable.plan.size_ops, shape, sizes)
    dtype, requires_grad = executable.backend.dtype(tensor), functions.requires_grad(tensor)
    scheduled = choose_scheduled_step(
        executable.plan,
        slots,
        *functions.byte_strides_and_itemsize(tensor),
        build_memory_costs_by_reduction(functions, dtype, requires_grad),
    )
    if scheduled is None:
        return None
    calls = executable.bind_arguments(slots)
    function, constant = calls[scheduled.position]
    kept_order = None
    kernels = functions.kernels if functions.kernels and functions.kernels.why_no_kernel(tensor) is None else None
    if isinstance(scheduled.node, Reduce) and (scheduled.schedule is not None or kernels is not None):
        viewed = chain_calls(calls[: scheduled.position])(tensor)
        strides = functions.strides_of_result(lambda corner: function(corner, constant), viewed)
        kept_order = order_of_kept_dims(strides, scheduled.shape, scheduled.node.axes)
    scheduled_function = build_kernel_function(
        scheduled, executable.backend, functions._replace(kernels=kernels), dtype, requires_grad, kept_order
    ) or build_step_function(scheduled, function, executable.backend, functions, dtype, requires_grad, kept_order)
    if scheduled_function is function:
        return None
    calls[scheduled.position] = scheduled_function, constant
    return chain_calls(calls)


def order_of_kept_dims(result_strides: Sequence[int], shape: Sequence[int], axes: Sequence[int]) -> tuple[int, ...]:
    """Return the dimensions of a tensor that a result with these strides keeps, the outermost in memory first.

    >>> order_of_kept_dims((1, 8), (4, 2, 8), (1,))
    (2, 0)
    """
    kept_dims = [dim for dim in range(len(shape)) if dim not in axes]
    places = sorted(
        range(len(kept_dims)), key=lambda place: (-abs(result_strides[place]), shape[kept_dims[place]] == 1)
    )  # a dimension of length 1 has the stride of the dimension that is outside of it
    return tuple([kept_dims[place] for place in places])


def build_memory_costs_by_reduction(
    functions: LargeTensorFunctions, dtype: Any, requires_grad: bool
) -> Callable[[str], MemoryCosts | None]:
    """Return a function that maps the name of a reduction, or ``""`` for a copy, to its costs.

    They are ``None`` where one call of the framework is always cheapest.
    """

    def costs(name: str) -> MemoryCosts | None:
        if not name:
            return functions.copy_costs
        reduction_functions = functions.reduction_functions(name, dtype, requires_grad)
        return None if reduction_functions is None else reduction_functions.costs

    return costs


def choose_scheduled_step(
    plan: Plan,
    slots: Sequence[int],
    strides: Sequence[int],
    itemsize: int,
    costs: Callable[[str], MemoryCosts | None],
) -> ScheduledStep | None:
    """Return the first node of a plan that writes new memory, with its cheapest schedule; ``None`` if all are views.

    ``strides`` and ``itemsize`` of the tensor are in bytes; ``costs`` is that of `build_memory_costs_by_reduction`.
    """
    dims = tuple(range(plan.solved.ranks[0]))
    view = StridedView([slots[slot] for slot in dims], strides)
    if 0 in view.shape:  # there is nothing to schedule
        return None
    for number, (node, _) in enumerate(plan.steps):
        shape, strides_before = view.shape, view.strides
        dims = node.output_shape(dims)
        output_shape = tuple([slots[slot] for slot in dims])
        schedule: Schedule | None = None
        reduction_cost = None
        if isinstance(node, Reduce):
            memory_costs, pivot = costs(node.reduction), PIVOT_BY_REDUCTION.get(node.reduction)
            pivot_costs = costs(pivot) if pivot else None
            loop_nest = build_loop_nest(shape, strides_before, node.axes)
            if memory_costs is not None and not pivot:
                schedule = schedule_reduction(loop_nest, itemsize, memory_costs)
                one_call = one_call_cost(loop_nest, itemsize, memory_costs)
                reduction_cost = one_call if schedule is None else schedule.cost
            elif memory_costs is not None and pivot_costs is not None:
                schedule = schedule_two_pass(loop_nest, itemsize, pivot_costs, memory_costs)
        elif node.update_view_and_find_copy(view, output_shape) is None:  # a view
            continue
        else:
            memory_costs = costs("")
            schedule = None if memory_costs is None else schedule_copy(shape, strides_before, itemsize, memory_costs)
        return ScheduledStep(number, node, shape, strides_before, output_shape, schedule, reduction_cost)
    return None


def build_kernel_function(
    scheduled: ScheduledStep,
    backend: Backend,
    functions: LargeTensorFunctions,
    dtype: Any,
    requires_grad: bool,
    kept_order: Sequence[int] | None,
) -> StepFunction | None:
    """Return the function of a tensor and a constant that computes a node by a kernel; ``None`` if no kernel can.

    With ``requires_grad`` it records the gradient. ``kept_order`` is that of
    `plait._executor.large.reductions.build_reduction`.
    """
    node_kernel = NodeKernel.for_node(scheduled, functions, dtype, kept_order)
    if node_kernel is None:
        return None
    call = build_kernel_call(node_kernel, backend)
    if not requires_grad:
        return call
    node, schedule, kernels = scheduled.node, scheduled.schedule, functions.kernels
    if kernels is None:
        return None
    if not isinstance(node, Reduce):
        return None if kernels.record_copy is None else kernels.record_copy(call)
    if schedule is None:
        inner_loops = build_loop_nest(scheduled.shape, scheduled.strides, node.axes).loops[-1:]
        row = prod([loop.length for loop in inner_loops if not loop.is_kept])
        if prod(scheduled.shape) < kernels.min_elements_with_gradient(node.reduction, row):
            return None
    if kernels.record_reduction is not None:
        recorded = kernels.record_reduction(node.reduction, dtype, node.axes, call)
        if recorded is not None:
            return recorded
    reduction_functions = functions.reduction_functions(node.reduction, dtype, True)
    if (
        not isinstance(reduction_functions, ReductionFunctions)
        or reduction_functions.autograd_wrap is None
        or not isinstance(schedule, ReductionSchedule)
    ):
        return None
    loops = build_reduction_loops_for_gradient(schedule, scheduled.shape, node.axes, backend)
    return reduction_functions.autograd_wrap(call, loops)


def build_step_function(
    scheduled: ScheduledStep,
    single_call: StepFunction,
    backend: Backend,
    functions: LargeTensorFunctions,
    dtype: Any,
    requires_grad: bool,
    kept_order: Sequence[int] | None = None,
) -> StepFunction:
    """Return the function of a tensor and a constant that executes a node by its schedule.

    ``kept_order`` is that of `plait._executor.large.reductions.build_reduction`.
    """
    node, schedule, function = scheduled.node, scheduled.schedule, single_call
    reduction_functions = None
    if isinstance(node, Reduce):
        reduction_functions = functions.reduction_functions(node.reduction, dtype, requires_grad)
        if isinstance(reduction_functions, ReductionFunctions) and isinstance(schedule, ReductionSchedule):
            function = build_reduction(schedule, scheduled.shape, node.axes, backend, reduction_functions, kept_order)
        elif isinstance(reduction_functions, TwoPassFunctions) and isinstance(schedule, TwoPassSchedule):
            from plait._executor.large.two_pass_reductions import build_two_pass

            function = build_two_pass(schedule, scheduled.shape, node.axes, backend, reduction_functions, kept_order)
    elif isinstance(schedule, CopySchedule) and functions.copy is not None:
        function = build_copy(schedule, scheduled.output_shape, functions.copy)
    return function


def techniques_and_lines_for_explain(
    plan: Plan, slots: Sequence[int], tensor: Any
) -> tuple[tuple[str, ...], list[str]]:
    """Return the names of the techniques for a tensor, or for a NumPy array if it is a shape, and lines to print."""
    min_elements = min_elements_for_schedule(plan, MIN_ELEMENTS_FOR_SCHEDULE, MIN_ELEMENTS_FOR_SCHEDULE_IF_ROUNDING)
    if min_elements is None:
        return (), []
    if not hasattr(tensor, "dtype"):
        if larger_element_count(plan, slots) < min_elements:
            return (), []
        strides = contiguous_strides(slots[: plan.solved.ranks[0]], 4)
        return _technique_names(choose_scheduled_step(plan, slots, strides, 4, lambda _: MemoryCosts())), []
    backend = common_backend((type(tensor),))
    large = backend.large_tensors
    functions = None if large is None else large.load()
    reason = backend.why_single_calls if functions is None else functions.why_not_decompose(tensor)
    if large is None or functions is None or reason is not None:
        return (), [f"one call of {backend.name} for each step{'' if reason is None else ': ' + reason}"]
    if larger_element_count(plan, slots) < (
        min_elements_for_schedule(plan, large.min_elements, large.min_elements_if_rounding) or 0
    ):
        return (), []
    dtype, requires_grad = backend.dtype(tensor), functions.requires_grad(tensor)
    byte_strides_and_itemsize = functions.byte_strides_and_itemsize(tensor)
    scheduled = choose_scheduled_step(
        plan, slots, *byte_strides_and_itemsize, build_memory_costs_by_reduction(functions, dtype, requires_grad)
    )
    if scheduled is None:
        return (), []
    kernels = functions.kernels
    reason = None if kernels is None else kernels.why_no_kernel(tensor)
    kernel_function = None
    if reason is None:
        kernel_function = build_kernel_function(scheduled, backend, functions, dtype, requires_grad, None)
    line = describe_kernel_use(kernel_function is not None, scheduled, kernels, dtype)
    if kernel_function is not None:
        gradient = [f"recorded as one call of {backend.name}, with its gradient"] if requires_grad else []
        return (), [*([] if line is None else [line]), *gradient]
    lines = [] if line is None or requires_grad else [line]
    if requires_grad and scheduled.schedule is not None:
        lines.append(f"recorded as one call of {backend.name}, with its gradient")
    elif requires_grad:
        scheduled = choose_scheduled_step(
            plan,
            slots,
            *byte_strides_and_itemsize,
            build_memory_costs_by_reduction(functions, dtype, requires_grad=False),
        )
        if scheduled is not None and scheduled.schedule is not None:
            lines.append(f"one call of {backend.name} for each step: a gradient is recorded")
            scheduled = None
    return _technique_names(scheduled), lines


def repeat_copy_note_for_explain(plan: Plan, tensor: Any) -> list[str]:
    """Return what ``explain`` prints about a broadcast that ``repeat`` copies, as it does on NumPy."""
    if not hasattr(tensor, "dtype") or not any(isinstance(node, Expand) for node, _ in plan.steps):
        return []
    backend = common_backend((type(tensor),))
    if backend.copy_if_broadcast is None:
        return []
    return [f"then copied to new memory, as every result of repeat on {backend.name}; view gives the broadcast"]


def _technique_names(scheduled: ScheduledStep | None) -> tuple[str, ...]:
    """Return the names of the techniques of a schedule, if there is one."""
    return () if scheduled is None or scheduled.schedule is None else scheduled.schedule.techniques
