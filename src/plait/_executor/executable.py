"""A plan bound to a backend: it knows ranks and the names of sizes, and makes a callable for every shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from operator import itemgetter
from typing import Any, TypeAlias

from plait._executor.options import without_out_sharding
from plait._operations.reduce import CUSTOM_REDUCTION
from plait._plan.graph import Plan, group_by_contraction
from plait._plan.nodes import Contract, Reduce
from plait._shapes.sizes import evaluate_size_ops, fill_slots, format_shape, may_be_equal, size_op_error
from plait.backends.interface import Backend, identity
from plait.backends.reduction_rules import ROUNDING_REDUCTIONS
from plait.errors import make_error

ReductionFunction: TypeAlias = Callable[[Any, tuple[int, ...]], Any]

FunctionAndArgument: TypeAlias = "tuple[Callable[..., Any], Any]"
"""A function of a tensor and an argument, and the argument; or of several tensors, with no argument."""


class Executable:
    """A plan, with the functions of one backend."""

    def __init__(self, plan: Plan, backend: Backend, reduction: ReductionFunction | None = None) -> None:
        self.plan = plan
        self.backend = own = backend
        self.reduction = reduction
        self.functions: list[tuple[Any, Callable[..., Any] | None, Any]] = []
        """For each step its function, what picks its shape out of the slots, and its argument otherwise."""
        wrap = backend.wrap_callable
        self.wrap = wrap if plan.steps and wrap is not identity else None
        self.has_new_axes = self.contracts = False
        fixed = True
        for node, _ in plan.steps:
            method = node.method
            if node.takes_shape:
                fixed = False
                self.functions.append((getattr(own, method), _shape_getter(node[0]), None))
                self.has_new_axes |= method == "expand"
            elif isinstance(node, Contract):
                self.contracts = True
                self.functions.append((partial(own.einsum, node.equation), None, None))
                own = backend.for_any_type()
            elif isinstance(node, Reduce):
                if (
                    node.reduction == CUSTOM_REDUCTION
                ):  # what the caller's function does is not the framework's to compile
                    self.wrap = None
                self.functions.append((reduction, None, node.axes))
                own = backend.for_any_type()
            else:
                self.functions.append((getattr(own, method), None, node[0]))
        self._size_ops, self._constants = plan.size_ops, plan.solved.constants
        self._report = partial(size_op_error, plan.solved)
        large = backend.large_tensors
        self.min_elements = large and min_elements_for_schedule(plan, large.min_elements, large.min_elements_rounding)
        self.ready = self.compile(()) if fixed else None

    def bind(self, shape: Sequence[int], sizes: dict[str, int]) -> Callable[..., Any]:
        """The callable for tensors of this shape (of several tensors: their dimensions in one sequence)."""
        ready = self.ready
        if ready is not None and not self._size_ops:
            return ready
        slots = [*shape, *sizes.values(), *self._constants]
        if self._size_ops:
            evaluate_size_ops(slots, self._size_ops, self._report)
        return ready or self.compile(slots)

    def larger_element_count(self, shape: Sequence[int], sizes: dict[str, int]) -> int:
        """How many elements go in or come out, whichever is more."""
        if not self.has_new_axes:
            return prod(shape)
        return larger_element_count(self.plan, fill_slots(self.plan.solved, self._size_ops, shape, sizes))

    def compile(self, slots: Sequence[int]) -> Callable[..., Any]:
        """The callable for these sizes."""
        calls: list[FunctionAndArgument] = []
        for function, select, argument in self.functions:
            calls.append((function, select(slots) if select else argument))
        call = link_calls(self.plan, calls) if self.contracts else chain_calls(calls)
        return call if self.wrap is None else self.wrap(call)

    def compile_with_kwargs(self, slots: Sequence[int], kwargs: dict[str, Any]) -> Callable[..., Any]:
        """The same for an einsum, with arguments of the backend's own."""
        plan = self.plan
        calls = [(function, select(slots) if select else argument) for function, select, argument in self.functions]
        last = max([step for step, (node, _) in enumerate(plan.steps) if isinstance(node, Contract)])
        shape = calls[-1][1] if last < len(calls) - 1 else None  # of the reshape behind it
        for step, (node, _) in enumerate(plan.steps):
            own = kwargs if step == last else without_out_sharding(kwargs)
            if isinstance(node, Contract) and own:
                call = self.backend.einsum_with_backend_kwargs(node.equation, shape if step == last else None, own)
                calls[step] = call, None
        plan = plan._replace(steps=plan.steps[: last + 1], outputs=(len(plan.solved.ranks) + last,))
        call = link_calls(plan, calls)
        return call if self.wrap is None else self.wrap(call)


def _shape_getter(shape: tuple[int, ...]) -> Callable[[Sequence[int]], tuple[int, ...]]:
    """Picks a shape out of the slots."""
    if len(shape) > 1:
        return itemgetter(*shape)
    if shape:
        only = shape[0]
        return lambda slots: (slots[only],)
    return lambda _: ()


def min_elements_for_schedule(plan: Plan, least: int, least_rounding: int) -> int | None:
    """From how many elements on a schedule may be worth it: to reduce a tensor, or to copy what merges axes."""
    if len(plan.solved.ranks) != 1:
        return None
    for node, _ in plan.steps:
        if isinstance(node, Contract):
            return None
        if isinstance(node, Reduce):
            return (
                least_rounding if node.reduction in ROUNDING_REDUCTIONS else least
            )  # whose last digits depend on the calls
    return least if max(map(len, plan.solved.output), default=0) > 1 else None


def larger_element_count(plan: Plan, slots: Sequence[int]) -> int:
    """How many elements go in or come out, whichever is more."""
    axes = plan.solved.slots
    written = prod([slots[axes[axis]] for dim in plan.solved.output for axis in dim])
    return max(written, prod(slots[: plan.solved.ranks[0]]))


def link_calls(plan: Plan, calls: Sequence[FunctionAndArgument]) -> Callable[..., Any]:
    """One function of all tensors that makes the calls of a plan, one for each step."""
    path: list[tuple[tuple[int, ...], Callable[..., Any]]] = []
    parts, outputs = group_by_contraction(plan)
    for operands, contract, after in parts:
        before = [chain_calls([calls[step] for step in steps]) if steps else None for _, steps in operands]
        call = before[0] or identity
        if contract is not None:
            call = _prepare_operands(calls[contract][0], before)
        if after:
            call = _compose_functions(call, chain_calls([calls[step] for step in after]))
        path.append((tuple([source for source, _ in operands]), call))
    return build_path_function(path, len(plan.solved.ranks), outputs)


def chain_calls(calls: Sequence[FunctionAndArgument]) -> Callable[[Any], Any]:
    """One function of a tensor that makes the calls in order; up to four, as most patterns need, in one frame."""
    count = len(calls)
    if count == 1:
        ((f, a),) = calls
        return lambda tensor: f(tensor, a)
    if count == 2:
        (f, a), (g, b) = calls
        return lambda tensor: g(f(tensor, a), b)
    if count == 3:
        (f, a), (g, b), (h, c) = calls
        return lambda tensor: h(g(f(tensor, a), b), c)
    if count == 4:
        (f, a), (g, b), (h, c), (i, d) = calls
        return lambda tensor: i(h(g(f(tensor, a), b), c), d)
    if count == 0:
        return identity
    first, rest = chain_calls(calls[:4]), chain_calls(calls[4:])
    return lambda tensor: rest(first(tensor))


def _prepare_operands(
    contract: Callable[..., Any], before: Sequence[Callable[[Any], Any] | None]
) -> Callable[..., Any]:
    """A contraction of what is made of its operands before, with no call more than there is something to do."""
    if not any(before):
        return contract
    whole = [call or identity for call in before]
    if len(whole) != 2:
        return lambda *tensors: contract(*[call(tensor) for call, tensor in zip(whole, tensors, strict=True)])
    one, other = whole
    if before[0] is None:
        return lambda a, b: contract(a, other(b))
    if before[1] is None:
        return lambda a, b: contract(one(a), b)
    return lambda a, b: contract(one(a), other(b))


def _compose_functions(call: Callable[..., Any], after: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda *tensors: after(call(*tensors))


def build_path_function(
    path: Sequence[tuple[tuple[int, ...], Callable[..., Any]]], count: int, outputs: tuple[int, ...]
) -> Callable[..., Any]:
    """One function of ``count`` tensors that makes call after call, each on the values with these numbers."""
    ((operands, call), *later) = path
    if not later and operands == tuple(range(count)):
        return call
    if not later and len(operands) == 2:
        return lambda one, other: call(other, one)
    steps: list[tuple[Callable[..., Any], tuple[int, ...], list[int]]] = []
    needed = {*outputs, *range(count)}
    result = itemgetter(*outputs)
    for operands, call in reversed(path):
        steps.insert(0, (call, operands, [number for number in operands if number not in needed]))
        needed.update(operands)

    def run(*tensors: Any) -> Any:
        values = list(tensors)
        for call, operands, used in steps:
            values.append(call(*[values[number] for number in operands]))
            for number in used:
                values[number] = None
        return result(values)

    def run_pairs(*tensors: Any) -> Any:
        values = list(tensors)
        for call, (one, other), used in steps:
            values.append(call(values[one], values[other]))
            for number in used:
                values[number] = None
        return values[-1]

    pairs = outputs == (count + len(path) - 1,) and {len(operands) for operands, _ in path} == {2}
    return run_pairs if pairs else run


def with_result_shape_check(reduction: ReductionFunction, backend: Backend) -> ReductionFunction:
    """A reduction of the caller's, whose result is looked at."""

    def reduce(tensor: Any, axes: tuple[int, ...]) -> Any:
        result = reduction(tensor, axes)
        expected = tuple(size for place, size in enumerate(backend.shape(tensor)) if place not in axes)
        shape = tuple(backend.shape(result)) if hasattr(result, "shape") else None
        if shape is None or not may_be_equal(shape, expected):
            got = type(result).__name__ if shape is None else f"the shape {format_shape(shape)}"
            name = getattr(reduction, "__name__", type(reduction).__name__)
            message = f"{name}(tensor, {axes}) returned {got}, and not the shape {format_shape(expected)}"
            raise make_error("PLT310", message, facts={"tensor": format_shape(backend.shape(tensor))})
        return result

    return reduce


def with_object_dtype_errors(reduction: ReductionFunction, name: str, dtype: Any) -> ReductionFunction:
    """A reduction of elements such as objects, which say themselves whether they have it."""

    def reduce(tensor: Any, axes: tuple[int, ...]) -> Any:
        try:
            return reduction(tensor, axes)
        except TypeError as error:
            raise make_error("PLT503", f"{name} is not defined on {dtype}: {error}") from error

    return reduce
