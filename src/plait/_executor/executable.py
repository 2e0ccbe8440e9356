"""A plan with the functions of a backend, which is the same for all shapes and makes a callable for each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from operator import itemgetter
from typing import Any, TypeAlias

from plait._executor.options import kwargs_without_out_sharding
from plait._operations.reduce import CUSTOM_REDUCTION
from plait._plan.graph import Plan, axes_before_and_after_reshapes, group_by_contraction
from plait._plan.nodes import Contract, Reduce
from plait._shapes.sizes import compute_all_slots, extend_slots, format_shape, shapes_may_be_equal, size_op_error
from plait.backends.interface import Backend, ReductionFunction, identity
from plait.backends.reduction_rules import ROUNDING_SENSITIVE_REDUCTIONS
from plait.errors import make_error, mark_as_unchanged

FunctionAndArgument: TypeAlias = "tuple[Callable[..., Any], Any]"
"""A function of a tensor and an argument, with the argument; or a function of several tensors, with ``None``."""


class Executable:
    """A plan, with the function of the backend for each of its nodes."""

    def __init__(
        self,
        plan: Plan,
        backend: Backend,
        reduction: ReductionFunction | None = None,
        *,
        copies_broadcast: bool = False,
    ) -> None:
        self.plan = plan
        self.backend = node_backend = backend
        self.reduction = reduction
        self.node_functions: list[tuple[Any, Callable[..., Any] | None, Any]] = []
        """For each node its function, a function that picks its shape out of the slots (or ``None``), and its argument
        if it takes no shape."""
        wrap_callable = backend.wrap_callable
        self.wrap_call = wrap_callable if plan.steps and wrap_callable is not identity else None
        self.has_new_axes = self.has_contractions = False
        is_shape_independent = True
        axes = {} if backend.build_reshape_of_axes is None else axes_before_and_after_reshapes(plan)
        for step, (node, _) in enumerate(plan.steps):
            method = node.method
            if node.takes_shape:
                is_shape_independent = False
                function = getattr(node_backend, method)
                if step in axes and node_backend.build_reshape_of_axes is not None:
                    function = node_backend.build_reshape_of_axes(*axes[step])
                self.node_functions.append((function, _shape_selector(node[0]), None))
                self.has_new_axes |= method == "expand"
            elif isinstance(node, Contract):
                self.has_contractions = True
                is_einsum = node.method == "einsum"
                product = (
                    partial(node_backend.einsum, node.equation) if is_einsum else getattr(node_backend, node.method)
                )
                self.node_functions.append((product, None, None))
                node_backend = backend.for_any_type()
            elif isinstance(node, Reduce):
                if node.reduction == CUSTOM_REDUCTION:  # the framework must not compile a caller's function
                    self.wrap_call = None
                self.node_functions.append((reduction, None, node.axes))
                node_backend = backend.for_any_type()
            else:
                self.node_functions.append((getattr(node_backend, method), None, node[0]))
        self._copy_if_broadcast = backend.copy_if_broadcast if copies_broadcast and self.has_new_axes else None
        self._size_ops, self._constants = plan.size_ops, plan.solved.constants
        self._size_error_factory = partial(size_op_error, plan.solved)
        large = backend.large_tensors
        self.min_elements = large and min_elements_for_schedule(
            plan, large.min_elements, large.min_elements_if_rounding
        )
        self.shape_independent_call = self.bind_slots(()) if is_shape_independent else None

    def bind(self, shape: Sequence[int], sizes: dict[str, int]) -> Callable[..., Any]:
        """Return the callable for tensors of this shape (for several tensors, their lengths in one sequence)."""
        shape_independent_call = self.shape_independent_call
        if shape_independent_call is not None and not self._size_ops:
            return shape_independent_call
        slots = [*shape, *sizes.values(), *self._constants]
        if self._size_ops:
            extend_slots(slots, self._size_ops, self._size_error_factory)
        return shape_independent_call or self.bind_slots(slots)

    def larger_element_count(self, shape: Sequence[int], sizes: dict[str, int]) -> int:
        """Return the number of elements of the input or of the output, whichever is larger."""
        if not self.has_new_axes:
            return prod(shape)
        return larger_element_count(self.plan, compute_all_slots(self.plan.solved, self._size_ops, shape, sizes))

    def bind_arguments(self, slots: Sequence[int]) -> list[FunctionAndArgument]:
        """Return the function of each node with its argument for these slots, and one that copies a broadcast."""
        calls = [
            (function, select(slots) if select else argument) for function, select, argument in self.node_functions
        ]
        return calls if self._copy_if_broadcast is None else [*calls, (self._copy_if_broadcast, None)]

    def bind_slots(self, slots: Sequence[int]) -> Callable[..., Any]:
        """Return the callable for these slots."""
        calls = self.bind_arguments(slots)
        call = build_plan_function(self.plan, calls) if self.has_contractions else chain_calls(calls)
        return call if self.wrap_call is None else self.wrap_call(call)

    def bind_einsum_with_backend_kwargs(self, slots: Sequence[int], kwargs: dict[str, Any]) -> Callable[..., Any]:
        """Return the callable of an einsum for these slots, with arguments for the backend's own einsum.

        The backend's function of the last einsum also makes the reshape after it.
        """
        plan = self.plan
        calls = self.bind_arguments(slots)
        last = max([step for step, (node, _) in enumerate(plan.steps) if isinstance(node, Contract)])
        shape = calls[-1][1] if last < len(calls) - 1 else None  # the shape that the reshape after it gives
        for step, (node, _) in enumerate(plan.steps):
            node_kwargs = kwargs if step == last else kwargs_without_out_sharding(kwargs)
            if isinstance(node, Contract) and node_kwargs:
                call = self.backend.einsum_with_backend_kwargs(
                    node.equation, shape if step == last else None, node_kwargs
                )
                calls[step] = call, None
        plan = plan._replace(steps=plan.steps[: last + 1], outputs=(len(plan.solved.ranks) + last,))
        call = build_plan_function(plan, calls)
        return call if self.wrap_call is None else self.wrap_call(call)

    def bind_einsum_within_limit(self, slots: Sequence[int], limit: int) -> Callable[..., Any]:
        """Return the callable of an einsum for these slots, which keeps a limit of memory in each task."""
        calls = self.bind_arguments(slots)
        for step, (node, _) in enumerate(self.plan.steps):
            if isinstance(node, Contract) and self.backend.build_einsum_within_limit is not None:
                calls[step] = self.backend.build_einsum_within_limit(node.equation, limit), None
        return build_plan_function(self.plan, calls)


def _shape_selector(shape: tuple[int, ...]) -> Callable[[Sequence[int]], tuple[int, ...]]:
    """Return a function that picks the lengths of a shape out of the slots."""
    if len(shape) > 1:
        return itemgetter(*shape)
    if shape:
        slot = shape[0]
        return lambda slots: (slots[slot],)
    return lambda _: ()


def min_elements_for_schedule(plan: Plan, min_elements: int, min_elements_if_rounding: int) -> int | None:
    """Return the number of elements from which a schedule may be faster; ``None`` if no node of the plan profits.

    A reduction profits, and a copy that merges axes. Reductions that round have a higher limit, because their last
    digits depend on the schedule.
    """
    if len(plan.solved.ranks) != 1:
        return None
    for node, _ in plan.steps:
        if isinstance(node, Contract):
            return None
        if isinstance(node, Reduce):
            return min_elements_if_rounding if node.reduction in ROUNDING_SENSITIVE_REDUCTIONS else min_elements
    return min_elements if max(map(len, plan.solved.output), default=0) > 1 else None


def larger_element_count(plan: Plan, slots: Sequence[int]) -> int:
    """Return the number of elements of the input or of the output, whichever is larger."""
    axes = plan.solved.slots
    written = prod([slots[axes[axis]] for dim in plan.solved.output for axis in dim])
    return max(written, prod(slots[: plan.solved.ranks[0]]))


def build_plan_function(plan: Plan, calls: Sequence[FunctionAndArgument]) -> Callable[..., Any]:
    """Return one function of all tensors that makes the calls of a plan, one for each node."""
    path: list[tuple[tuple[int, ...], Callable[..., Any]]] = []
    groups, outputs = group_by_contraction(plan)
    for operands, contract, later_steps in groups:
        prepare_functions = [chain_calls([calls[step] for step in steps]) if steps else None for _, steps in operands]
        call = prepare_functions[0] or identity
        if contract is not None:
            call = with_prepared_operands(calls[contract][0], prepare_functions)
        if later_steps:
            call = compose_functions(call, chain_calls([calls[step] for step in later_steps]))
        path.append((tuple([source for source, _ in operands]), call))
    return build_path_function(path, len(plan.solved.ranks), outputs)


def chain_calls(calls: Sequence[FunctionAndArgument]) -> Callable[[Any], Any]:
    """Return one function of a tensor that makes the calls in order, each on the result of the one before.

    Up to four calls are written out in one lambda, since each more frame of Python costs time.
    """
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


def with_prepared_operands(
    contract: Callable[..., Any], prepare_functions: Sequence[Callable[[Any], Any] | None]
) -> Callable[..., Any]:
    """Return a contraction whose operands first go through these functions; ``None`` leaves an operand as it is."""
    if not any(prepare_functions):
        return contract
    functions = [call or identity for call in prepare_functions]
    if len(functions) != 2:
        return lambda *tensors: contract(*[call(tensor) for call, tensor in zip(functions, tensors, strict=True)])
    prepare_first, prepare_second = functions
    if prepare_functions[0] is None:
        return lambda a, b: contract(a, prepare_second(b))
    if prepare_functions[1] is None:
        return lambda a, b: contract(prepare_first(a), b)
    return lambda a, b: contract(prepare_first(a), prepare_second(b))


def compose_functions(first: Callable[..., Any], second: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return a function that passes the result of the first function to the second."""
    return lambda *tensors: second(first(*tensors))


def build_path_function(
    path: Sequence[tuple[tuple[int, ...], Callable[..., Any]]], tensor_count: int, outputs: tuple[int, ...]
) -> Callable[..., Any]:
    """Return a function of ``tensor_count`` tensors that makes the calls of a path in order.

    Each call has the numbers of its operands; the tensors are numbered first, then the results of the calls.
    """
    ((operands, call), *rest) = path
    if not rest and operands == tuple(range(tensor_count)):
        return call
    if not rest and len(operands) == 2:
        return lambda first, second: call(second, first)
    steps: list[tuple[Callable[..., Any], tuple[int, ...], list[int]]] = []
    used_later = {*outputs, *range(tensor_count)}
    result = itemgetter(*outputs)
    for operands, call in reversed(path):
        steps.append((call, operands, [number for number in operands if number not in used_later]))
        used_later.update(operands)
    steps.reverse()

    def run(*tensors: Any) -> Any:
        values = list(tensors)
        for call, operands, last_used in steps:
            values.append(call(*[values[number] for number in operands]))
            for number in last_used:
                values[number] = None
        return result(values)

    def run_pairs(*tensors: Any) -> Any:
        values = list(tensors)
        for call, (first, second), last_used in steps:
            values.append(call(values[first], values[second]))
            for number in last_used:
                values[number] = None
        return values[-1]

    is_pairwise = outputs == (tensor_count + len(path) - 1,) and {len(operands) for operands, _ in path} == {2}
    return run_pairs if is_pairwise else run


def with_result_shape_check(reduction: ReductionFunction, backend: Backend) -> ReductionFunction:
    """Return a caller's reduction with a check of the shape that it returns; its errors leave plait unchanged."""
    reduction_with_own_errors = with_unchanged_errors(reduction)

    def reduce(tensor: Any, axes: tuple[int, ...]) -> Any:
        result = reduction_with_own_errors(tensor, axes)
        expected = tuple(size for place, size in enumerate(backend.shape(tensor)) if place not in axes)
        shape = tuple(backend.shape(result)) if hasattr(result, "shape") else None
        if shape is None or not shapes_may_be_equal(shape, expected):
            got = type(result).__name__ if shape is None else f"shape {format_shape(shape)}"
            name = getattr(reduction, "__name__", type(reduction).__name__)
            message = f"{name}(tensor, {axes}) must return shape {format_shape(expected)}, but returned {got}"
            raise make_error("PLT310", message, facts={"tensor": format_shape(backend.shape(tensor))})
        return result

    return reduce


def with_unchanged_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function, of the caller or of plait, whose errors are marked, so that they leave plait unchanged."""

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Exception as error:
            mark_as_unchanged(error)
            raise

    return call


def with_object_dtype_errors(reduction: ReductionFunction, name: str, dtype: Any) -> ReductionFunction:
    """Return a reduction of object elements that raises `BackendError` if the elements do not support it."""

    def reduce(tensor: Any, axes: tuple[int, ...]) -> Any:
        try:
            return reduction(tensor, axes)
        except TypeError as error:
            raise make_error("PLT503", f"{name} is not defined on {dtype}: {error}") from error

    return reduce
