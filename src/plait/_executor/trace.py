"""A plan that is run once, on sizes that may be symbols: tracers follow it, and no cache keeps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from plait._executor.options import without_sharding
from plait._executor.plan_data import PlanData
from plait._shapes.sizes import Report, evaluate, evaluate_symbolic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from plait.backends.interface import Backend


def trace(
    data: PlanData,
    tensors: Sequence[Any],
    sizes: dict[str, Any],
    backend: Backend,
    reduction: Callable[..., Any] | None,
    report: Report,
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
        evaluate(slots, size_ops, report)
    else:
        evaluate_symbolic(slots, size_ops, report)
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
            inner = without_sharding(kwargs) if kwargs else None
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
