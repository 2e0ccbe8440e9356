"""Calls whose arguments make no key of the cache: lists of tensors, symbols for sizes, callables, and mistakes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from plait._executor.cache import TYPES_WITH_LIST_SHAPE, lookup, lookup_arguments
from plait._executor.compile import (
    CLASSICAL_EINSUM,
    add_error_context,
    build_callable,
    build_executable,
    build_reduce_executable,
    sizes_to_ints,
)
from plait._executor.plan_data import plan_to_data, run_plan_data
from plait._executor.tensors import (
    check_pattern_is_text,
    is_concrete_shape,
    shape_of_tensor,
    stack_lists_of_tensors,
    with_stacked_argument,
)
from plait._executor.tracer_hooks import mark_exception_as_graph_break
from plait._notation.equation import parse_equation
from plait._notation.parser import parse
from plait._notation.tree import Ellipsis, Tree
from plait._operations.reduce import check_reduction_name
from plait._shapes.sizes import size_op_error
from plait.backends.interface import NO_VIEWS_MESSAGE, Backend
from plait.backends.registry import backend_for_type, common_backend
from plait.errors import PlaitError, make_error


def run_slow_path(
    operation: str,
    tensors: Sequence[Any],
    pattern: Any,
    sizes: dict[str, Any],
    reduction: Any,
    options: Any,
    kept: list[Callable[..., Any]] | None = None,
) -> Any:
    """Make one call; of the tensors, lists are stacked first, and what then served the only one of them is kept."""
    check_pattern_is_text(pattern)
    if not tensors:
        raise TypeError(f"{operation}() takes one tensor at least")
    shapes: list[Any] = []
    try:
        if operation == "view" and any(isinstance(tensor, (list, tuple)) for tensor in tensors):
            raise make_error("PLT401", "a list of tensors is stacked, which copies; rearrange does that", pattern)
        stacked = stack_lists_of_tensors(tensors)
        shapes += [shape_of_tensor(tensor) for tensor in stacked]
        backend = common_backend(tuple([type(tensor) for tensor in stacked]))
        shapes[:] = [backend.shape(tensor) for tensor in stacked]
        if operation == "reduce" and not callable(reduction):
            check_reduction_name(reduction)
        exact = sizes_to_ints(pattern, sizes, backend.is_symbolic)
        exact = {name: size if type(size) is int else backend.size_from_user(size) for name, size in exact.items()}
        if all(is_concrete_shape(shape) for shape in shapes) and all(type(size) is int for size in exact.values()):
            classes: Any = tuple([type(tensor) for tensor in stacked])
            TYPES_WITH_LIST_SHAPE.update([cls for cls in classes if backend_for_type(cls).shape_is_list])
            dtypes = tuple([backend.dtype(tensor) for tensor in stacked])
            key = lookup_arguments(operation, classes, tuple(shapes), dtypes, reduction, options)
            if operation == "view":
                key = (*key, backend.strides(stacked[0]))
            function = _callable_for_known_sizes(operation, pattern, key, exact)
        else:
            function = _callable_for_symbolic_sizes(operation, stacked, pattern, exact, reduction, backend, options)
        if kept is not None:
            kept.append(with_stacked_argument(function, tensors[0]))
        return function(*stacked)
    except Exception as error:
        if not isinstance(error, PlaitError):
            mark_exception_as_graph_break(error)  # it may be a callable's that a tracer cannot run
        elif all(is_concrete_shape(shape) for shape in shapes):
            add_error_context(error, pattern, shapes, sizes)
        raise


def _callable_for_known_sizes(
    operation: str, pattern: str, key: tuple[Any, ...], sizes: dict[str, int]
) -> Callable[..., Any]:
    """The callable where all sizes are ints after all, as for a list of arrays, or sizes of NumPy's ints."""
    try:
        entry = lookup(operation, pattern, *key, **sizes)
    except TypeError:  # what the cache must not keep, such as a callable that no module names
        entry = None
    if entry is None:
        cls, shape, *details = key
        return build_callable(operation, pattern, cls, shape, tuple(details), sizes)
    planned: Callable[..., Any] = entry.build()
    return planned


def _callable_for_symbolic_sizes(
    operation: str,
    tensors: Sequence[Any],
    pattern: str,
    sizes: dict[str, Any],
    reduction: Any,
    backend: Backend,
    options: Any,
) -> Callable[..., Any]:
    """The call where sizes are not all known: the plan runs once, on symbols."""
    if operation == "view" and backend.view is None:
        raise make_error("PLT507", NO_VIEWS_MESSAGE, pattern)
    classes = tuple([type(tensor) for tensor in tensors])
    tree = parse_equation(pattern, len(tensors)) if operation == CLASSICAL_EINSUM else parse(pattern)
    ranks = tuple([_rank_of_operand(tensor, place, tree, backend) for place, tensor in enumerate(tensors)])
    given = tuple(sizes)
    if operation == "reduce":  # what a callable returns while a tracer watches is not looked into
        dtype = backend.dtype(tensors[0])
        found = build_reduce_executable(pattern, classes[0], ranks[0], given, reduction, dtype, check_result=False)
    else:
        found = build_executable(operation, pattern, classes, ranks, given)
    plan, kwargs = found.plan, None
    if operation in ("einsum", CLASSICAL_EINSUM):
        from plait._executor.einsum_options import lower_with_given_path

        plan, kwargs = lower_with_given_path(plan, options), dict(options.backend_kwargs) if options else None
    data, fail_as = plan_to_data(plan), partial(size_op_error, plan.solved)
    return lambda *tensors: run_plan_data(data, tensors, sizes, backend, found.reduction, fail_as, kwargs)


def _rank_of_operand(tensor: Any, place: int, tree: Tree, backend: Backend) -> int:
    """The rank, from the pattern where the framework does not reveal it."""
    rank = backend.rank(tensor)
    if rank is not None:
        return rank
    expr = tree.left[min(place, len(tree.left) - 1)]
    for item in expr.items:
        if isinstance(item, Ellipsis):
            message = f"{backend.name} does not reveal the rank of this {type(tensor).__name__}; name the axes"
            raise make_error("PLT505", message + " instead of the ellipsis", tree.text, [(item.start, item.stop)])
    return len(expr.items)
