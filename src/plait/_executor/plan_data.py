"""A plan as plain tuples, which every tracer takes for a constant, and its only run, on sizes that may be symbols."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, TypeAlias

from plait._executor.compile import CLASSICAL_EINSUM, check_and_solve, lower_pattern, sizes_to_ints
from plait._executor.options import CURRENT_OPTIONS, without_out_sharding
from plait._executor.tracer_hooks import FUNCTIONS_WITH_SUBSTITUTE, assume_constant, assume_constant_or_error
from plait._operations.reduce import CUSTOM_REDUCTION, check_dtype_kind, check_reduction_name
from plait._plan.graph import Plan
from plait._plan.nodes import Contract, Reshape, Shape
from plait._shapes.sizes import SizeErrorFactory, evaluate_size_ops, evaluate_symbolic_size_ops, size_op_error
from plait._shapes.solver import CHECK_EQUAL, CHECK_NONEMPTY, KINDS_WITH_RESULT, PRODUCT, SizeOp
from plait.backends.interface import Backend

AxisSlots: TypeAlias = "tuple[tuple[int, ...], ...]"
"""For each dimension the slots of the axes in it."""

StepData: TypeAlias = (
    "tuple[str, tuple[int, ...], Shape | None, tuple[int, ...] | tuple[AxisSlots, AxisSlots] | str | None]"
)
"""A method, its operands, the slots of the shape that it takes, or its argument (of a reshape, the axes of both)."""


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


def plan_to_data(plan: Plan) -> PlanData:
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
        _find_slots_read(plan, read, (*KINDS_WITH_RESULT, CHECK_EQUAL, CHECK_NONEMPTY)),
        _find_slots_read(plan, read, KINDS_WITH_RESULT),
        tuple(steps),
        plan.outputs,
    )


def _axes_of_slots(plan: Plan) -> dict[int, tuple[int, ...]]:
    """For each slot of a group, or of no axes, the slots of the axes that it is the product of."""
    solved = plan.solved
    dims = enumerate(sum(solved.inputs, ()))
    axes = {place: tuple([solved.slots[axis] for axis in dim]) for place, dim in dims if len(dim) != 1}
    products = [op for op in plan.size_ops[len(solved.size_ops) :] if op.kind == PRODUCT]
    return {**axes, **{solved.slot_count + number: op.factors for number, op in enumerate(products)}}


def _find_slots_read(plan: Plan, read: list[int], kinds: tuple[str, ...]) -> tuple[int, ...]:
    """The slots that a step, or arithmetic of these kinds, reads."""
    ops = [op for op in plan.size_ops if op.kind in kinds]
    found = {*read, *[slot for op in ops for slot in op.factors], *[op.source for op in ops if op.kind != PRODUCT]}
    return tuple(sorted(found))


def run_plan_data(
    data: PlanData,
    tensors: Sequence[Any],
    sizes: dict[str, Any],
    backend: Backend,
    reduction: Callable[..., Any] | None,
    error_factory: SizeErrorFactory,
    kwargs: dict[str, Any] | None = None,
) -> Any:
    """Run a plan once, reading the dimensions that something needs; ``kwargs`` are those of the backend's einsum."""
    ranks, given, constants, size_ops, needed, computed, steps, outputs = data
    comparable = backend.comparable(tensors)
    if not comparable:
        needed = computed
    slots: list[Any] = []
    for tensor, rank in zip(tensors, ranks):  # noqa: B905  # Dynamo does not follow strict=True before torch 2.6
        shape = backend.shape(tensor)
        known = (None,) * rank if comparable else backend.static_shape(tensor, rank)
        for place in range(rank):
            slots.append(shape[place] if len(slots) in needed else known[place])  # uses its own length
    slots += [sizes[name] for name in given]
    slots += constants
    if comparable:
        evaluate_size_ops(slots, size_ops, error_factory)
    else:
        evaluate_symbolic_size_ops(slots, size_ops, error_factory)
    values = list(tensors)
    for number, (method, operands, shape_slots, constant) in enumerate(steps):
        argument: Any = constant if shape_slots is None else tuple([slots[slot] for slot in shape_slots])
        first = values[operands[0]]
        if method == "einsum":
            chosen = [values[operand] for operand in operands]
            rest = steps[number + 1 :]
            if kwargs and all(step[0] != "einsum" for step in rest):
                target = tuple([slots[slot] for slot in rest[-1][2] or ()]) if rest else None
                return backend.einsum_with_backend_kwargs(argument, target, kwargs)(*chosen)
            inner = without_out_sharding(kwargs) if kwargs else None
            call = backend.einsum_with_backend_kwargs(argument, None, inner) if inner else None
            values.append(call(*chosen) if call else backend.einsum(argument, *chosen))
        elif method == "reshape":
            values.append(backend.traced_reshape(first, argument, slots, constant))
        elif method == "reduce" and reduction is not None:
            values.append(reduction(first, argument))
        else:
            function: Any = getattr(backend, method)
            values.append(function(first, argument))
    return values[outputs[0]] if len(outputs) == 1 else tuple([values[number] for number in outputs])


@assume_constant_or_error
def plan_data_for_dynamo(operation: str, pattern: Any, ranks: Any, given: Any, reduction: str, dtype: Any) -> PlanData:
    """The plain data of a call's plan, for Dynamo."""
    from plait._executor.einsum_options import lower_with_given_path
    from plait.backends.torch.backend import TORCH_BACKEND

    TORCH_BACKEND.register_functions(FUNCTIONS_WITH_SUBSTITUTE)
    if reduction and reduction != CUSTOM_REDUCTION:
        check_dtype_kind(check_reduction_name(reduction), None if dtype is None else TORCH_BACKEND.kind(dtype), dtype)
    plan = lower_pattern(operation, pattern, ranks, given, reduction)
    return plan_to_data(
        lower_with_given_path(plan, CURRENT_OPTIONS.get()) if operation in ("einsum", CLASSICAL_EINSUM) else plan
    )


@assume_constant_or_error
def check_size_for_dynamo(pattern: str, name: str, value: Any) -> None:
    """Raise where a size is not an exact integer."""
    sizes_to_ints(pattern, {name: value})


@assume_constant
def size_error_for_dynamo(
    operation: str, pattern: str, ranks: Any, given: Any, slots: Any, kind: str, source: int, factors: Any
) -> str:
    """The text of the error for sizes that do not fit."""
    return str(size_op_error(check_and_solve(operation, pattern, ranks, given), list(slots), kind, source, factors))
