"""A plan as plain tuples, which every tracer accepts as a constant, and its execution on sizes that may be symbolic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from plait._executor.options import kwargs_without_out_sharding
from plait._plan.graph import Plan, input_and_output_shapes
from plait._plan.nodes import Contract, Reshape, Shape
from plait._shapes.sizes import SizeErrorFactory, extend_slots, extend_symbolic_slots
from plait._shapes.solver import PRODUCT, SIZE_OP_KINDS_WITH_RESULT, SizeOp
from plait.backends.interface import Backend

AxisSlotsByDimension: TypeAlias = "tuple[tuple[int, ...], ...]"
"""The slots of the axes of each dimension."""

StepArgument: TypeAlias = "tuple[int, ...] | tuple[AxisSlotsByDimension, AxisSlotsByDimension] | str | None"
"""The constant argument of a step; for a reshape, the slots of the axes of each dimension before and after it."""

StepData: TypeAlias = "tuple[str, tuple[int, ...], Shape | None, StepArgument]"
"""The name of a backend method, the numbers of its operands, the slots of the shape it takes, and its argument."""


class PlanData(NamedTuple):
    """A plan without its pattern, as tuples of ints and strings.

    ``slots_to_read`` are the slots that a node or a size operation reads; ``slots_to_read_unchecked`` are fewer: those
    that are read if no sizes are checked, as under a tracer that cannot compare them.
    """

    ranks: tuple[int, ...]
    size_names: tuple[str, ...]
    constants: tuple[int, ...]
    size_ops: tuple[SizeOp, ...]
    slots_to_read: tuple[int, ...]
    slots_to_read_unchecked: tuple[int, ...]
    steps: tuple[StepData, ...]
    outputs: tuple[int, ...]


def plan_to_tuples(plan: Plan) -> PlanData:
    """Return a plan as plain tuples."""
    solved = plan.solved
    axes = _axis_slots_by_product_slot(plan)
    steps: list[StepData] = []
    for (node, operands), (input_shapes, output_shape) in zip(plan.steps, input_and_output_shapes(plan), strict=True):
        if isinstance(node, Contract):
            steps.append((node.method, operands, None, node.equation))
        elif not node.takes_shape:
            steps.append((node.method, operands, None, node[0]))
        elif type(node) is Reshape:
            groups = [tuple([axes.get(slot, (slot,)) for slot in shape]) for shape in (input_shapes[0], output_shape)]
            steps.append((node.method, operands, node.shape, (groups[0], groups[1])))
        else:
            steps.append((node.method, operands, node[0], None))
    node_slots = [slot for _, _, shape, _ in steps for slot in shape or ()]
    return PlanData(
        solved.ranks,
        solved.size_names,
        solved.constants,
        plan.size_ops,
        _find_size_slots_read(plan, node_slots, with_checks=True),
        _find_size_slots_read(plan, node_slots, with_checks=False),
        tuple(steps),
        plan.outputs,
    )


def _axis_slots_by_product_slot(plan: Plan) -> dict[int, tuple[int, ...]]:
    """Return a map from the slot of each dimension with several axes, or with none (length 1), to the axes' slots."""
    solved = plan.solved
    dims = enumerate(sum(solved.inputs, ()))
    axes = {place: tuple([solved.slots[axis] for axis in dim]) for place, dim in dims if len(dim) != 1}
    products = [op for op in plan.size_ops[len(solved.size_ops) :] if op.kind == PRODUCT]
    return {**axes, **{solved.slot_count + number: op.factors for number, op in enumerate(products)}}


def _find_size_slots_read(plan: Plan, node_slots: list[int], *, with_checks: bool) -> tuple[int, ...]:
    """Return the slots that a node reads, or a size operation: of all of them, or of those whose result is read."""
    needed = {*node_slots}
    result = plan.solved.initial_slot_count + sum(op.kind in SIZE_OP_KINDS_WITH_RESULT for op in plan.size_ops)
    for op in reversed(plan.size_ops):
        has_result = op.kind in SIZE_OP_KINDS_WITH_RESULT
        result -= has_result
        if with_checks or (has_result and result in needed):
            needed |= {*op.factors, *(() if op.kind == PRODUCT else (op.source,))}
    return tuple(sorted(needed))


def run_plan_data(
    data: PlanData,
    tensors: Sequence[Any],
    sizes: dict[str, Any],
    backend: Backend,
    reduction: Callable[..., Any] | None,
    error_factory: SizeErrorFactory,
    kwargs: dict[str, Any] | None = None,
) -> Any:
    """Run a plan on these tensors, and return its result, or a tuple of several.

    Only the lengths that the plan needs are read. ``kwargs`` are passed to the backend's own einsum.
    """
    ranks, size_names, constants, size_ops, slots_to_read, slots_to_read_unchecked, steps, outputs = data
    can_compare_sizes = backend.can_compare_sizes(tensors)
    if not can_compare_sizes:
        slots_to_read = slots_to_read_unchecked
    slots: list[Any] = []
    for tensor, rank in zip(tensors, ranks):  # noqa: B905  # Dynamo does not follow strict=True before torch 2.6
        shape = backend.shape(tensor)
        static_shape = (None,) * rank if can_compare_sizes else backend.static_shape(tensor, rank)
        for dim in range(rank):
            slots.append(shape[dim] if len(slots) in slots_to_read else static_shape[dim])
    slots += [sizes[name] for name in size_names]
    slots += constants
    if can_compare_sizes:
        extend_slots(slots, size_ops, error_factory, backend.is_zero_size, backend.sizes_differ)
    else:
        extend_symbolic_slots(slots, size_ops, error_factory)
    values = list(tensors)
    for number, (method, operands, shape_slots, constant) in enumerate(steps):
        argument: Any = constant if shape_slots is None else tuple([slots[slot] for slot in shape_slots])
        first_operand = values[operands[0]]
        if method == "einsum":
            chosen = [values[operand] for operand in operands]
            later_steps = steps[number + 1 :]
            if kwargs and all(step[0] != "einsum" for step in later_steps):
                target = tuple([slots[slot] for slot in later_steps[-1][2] or ()]) if later_steps else None
                return backend.einsum_with_backend_kwargs(argument, target, kwargs)(*chosen)
            inner_kwargs = kwargs_without_out_sharding(kwargs) if kwargs else None
            call = backend.einsum_with_backend_kwargs(argument, None, inner_kwargs) if inner_kwargs else None
            values.append(call(*chosen) if call else backend.einsum(argument, *chosen))
        elif method in ("matmul", "multiply"):
            values.append(getattr(backend, method)(first_operand, values[operands[1]]))
        elif method == "reshape":
            values.append(backend.traced_reshape(first_operand, argument, slots, constant))
        elif method == "reduce" and reduction is not None:
            values.append(reduction(first_operand, argument))
        else:
            function: Any = getattr(backend, method)
            values.append(function(first_operand, argument))
    return values[outputs[0]] if len(outputs) == 1 else tuple([values[number] for number in outputs])
