"""Calls whose arguments cannot be a cache key: lists of tensors, symbolic sizes, closures, and invalid arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from plait._executor.cache import TYPES_WITH_LIST_SHAPE, lookup, lookup_arguments
from plait._executor.compile import (
    add_error_context,
    build_callable,
    build_callable_within_rank,
    build_executable,
    build_reduce_executable,
    check_and_solve,
    reduction_of_unary_einsum,
    sizes_to_ints,
)
from plait._executor.einsum_forms import CLASSICAL_EINSUM
from plait._executor.executable import with_unchanged_errors
from plait._executor.plan_data import plan_to_tuples, run_plan_data
from plait._executor.rank_limit import max_rank_of
from plait._executor.stored_arrays import StoredArray, is_stored_array
from plait._executor.tensors import (
    check_pattern_is_text,
    check_there_are_tensors,
    is_concrete_shape,
    shape_of_tensor,
    stack_lists_of_tensors,
    with_input_stacking,
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


def run_uncacheable_call(
    operation: str,
    tensors: Sequence[Any],
    pattern: Any,
    sizes: dict[str, Any],
    reduction: Any,
    options: Any,
    callable_cell: list[Callable[..., Any]] | None = None,
) -> Any:
    """Make a call; lists of tensors are stacked first.

    If ``callable_cell`` is a list, a function of the unstacked list of tensors is appended to it, for later calls.
    """
    check_pattern_is_text(pattern, operation, tensors)
    check_there_are_tensors(tensors, operation)
    if options is not None and options.memory_limit is not None and any(map(is_stored_array, tensors)):
        return _run_einsum_of_stored_arrays(operation, tensors, pattern, sizes, options)
    shapes: list[Any] = []
    try:
        if operation == "view" and any(isinstance(tensor, (list, tuple)) for tensor in tensors):
            raise make_error(
                "PLT401", "view cannot take a list of tensors, since stacking copies; use rearrange", pattern
            )
        stacked = stack_lists_of_tensors(tensors)
        shapes += [shape_of_tensor(tensor) for tensor in stacked]
        backend = common_backend(tuple([type(tensor) for tensor in stacked]))
        shapes[:] = [backend.shape(tensor) for tensor in stacked]
        if operation == "reduce" and not callable(reduction):
            check_reduction_name(reduction)
        checked = sizes_to_ints(pattern, sizes, backend.is_symbolic_size)
        checked = {name: size if type(size) is int else backend.size_from_user(size) for name, size in checked.items()}
        if (
            not backend.is_wrapper
            and all(is_concrete_shape(shape) for shape in shapes)
            and all(type(size) is int for size in checked.values())
        ):
            tensor_types: Any = tuple([type(tensor) for tensor in stacked])
            TYPES_WITH_LIST_SHAPE.update([cls for cls in tensor_types if backend_for_type(cls).shape_is_list])
            dtypes = tuple([backend.dtype(tensor) for tensor in stacked])
            if options is not None and options.shared is not None and operation in ("einsum", CLASSICAL_EINSUM):
                from plait._executor.shared_contractions import contract_with_shared_results

                return contract_with_shared_results(operation, pattern, checked, stacked, options)
            arguments = lookup_arguments(operation, tensor_types, tuple(shapes), dtypes, reduction, options)
            if operation == "view":
                arguments = (*arguments, backend.strides(stacked[0]))
            function = _callable_for_known_sizes(operation, pattern, arguments, checked, options)
        else:
            function = _callable_for_symbolic_sizes(operation, stacked, pattern, checked, reduction, backend, options)
        if callable_cell is not None:
            callable_cell.append(with_input_stacking(function, tensors[0]))
        return function(*stacked)
    except Exception as error:
        if not isinstance(error, PlaitError):
            mark_exception_as_graph_break(error)  # the caller's function may fail because a tracer cannot run it
        elif all(is_concrete_shape(shape) for shape in shapes):
            add_error_context(error, pattern, shapes, sizes)
        raise


def _run_einsum_of_stored_arrays(
    operation: str, operands: Sequence[Any], pattern: str, sizes: dict[str, Any], options: Any
) -> Any:
    """Contract arrays in files and NumPy arrays under a limit of memory."""
    from plait.backends.numpy.blocks import ARRAY_TYPE

    tensors = [StoredArray(operand) if is_stored_array(operand) else operand for operand in operands]
    shapes, dtypes = tuple([tensor.shape for tensor in tensors]), tuple([tensor.dtype for tensor in tensors])
    types = tuple([ARRAY_TYPE if isinstance(tensor, StoredArray) else type(tensor) for tensor in tensors])
    arguments = (types, shapes, dtypes, options)
    return _callable_for_known_sizes(operation, pattern, arguments, sizes_to_ints(pattern, sizes), options)(*tensors)


def _callable_for_known_sizes(
    operation: str, pattern: str, arguments: tuple[Any, ...], sizes: dict[str, int], options: Any
) -> Callable[..., Any]:
    """Return a function of the tensors of a call whose sizes are all ints, as after a list of arrays is stacked.

    ``arguments`` are those of `lookup` after the pattern. ``options`` are also those of an operation on one tensor, if
    it is the call of a layer with a ``max_rank``.
    """
    if options is not None and operation not in ("einsum", CLASSICAL_EINSUM):
        tensor_type, shape, *extra_key = arguments
        return build_callable_within_rank(
            operation, pattern, tensor_type, shape, tuple(extra_key), sizes, options.max_rank
        )
    try:
        entry = lookup(operation, pattern, *arguments, **sizes)
    except TypeError:  # not cacheable, such as a closure
        entry = None
    if entry is None:
        tensor_type, shape, *extra_key = arguments
        return build_callable(operation, pattern, tensor_type, shape, tuple(extra_key), sizes)
    function: Callable[..., Any] = entry.build()
    return function


@with_unchanged_errors
def _callable_for_symbolic_sizes(
    operation: str,
    tensors: Sequence[Any],
    pattern: str,
    sizes: dict[str, Any],
    reduction: Any,
    backend: Backend,
    options: Any,
) -> Callable[..., Any]:
    """Return a function of the tensors of a call that has unknown sizes, or a backend of wrappers.

    Args:
        operation: The name of the operation.
        tensors: The tensors, whose lengths may be unknown or symbols.
        pattern: The pattern.
        sizes: The given sizes, which may be symbols.
        reduction: The name or the function of a reduction.
        backend: The backend of the tensors.
        options: The options of an einsum, or ``None``.

    Returns:
        A function that executes the plan, and computes the sizes that it needs from the lengths of its tensors.

    Raises:
        PlaitError: The pattern does not fit the tensors, or the framework has no views.
    """
    if operation == "view" and backend.view is None and not backend.is_wrapper:
        raise make_error("PLT507", NO_VIEWS_MESSAGE, pattern)
    tensor_types = tuple([type(tensor) for tensor in tensors])
    tree = parse_equation(pattern, len(tensors)) if operation == CLASSICAL_EINSUM else parse(pattern)
    ranks = tuple([_rank_from_tensor_or_pattern(tensor, place, tree, backend) for place, tensor in enumerate(tensors)])
    size_names = tuple(sizes)
    if backend.is_wrapper:
        from plait._executor.wrapped_tensors import build_callable_for_wrappers

        solved = check_and_solve(operation, pattern, ranks, size_names)
        return build_callable_for_wrappers(
            operation, pattern, solved, backend, run_uncacheable_call, sizes, reduction, options
        )
    max_rank = max_rank_of(options)
    if operation == "reduce":  # under a tracer the result of a caller's function is not checked
        dtype = backend.dtype(tensors[0])
        executable = build_reduce_executable(
            pattern, tensor_types[0], ranks[0], size_names, reduction, dtype, check_result=False, max_rank=max_rank
        )
    elif operation in ("einsum", CLASSICAL_EINSUM) and len(tensors) == 1:
        dtype = backend.dtype(tensors[0])
        reduction_name = reduction_of_unary_einsum(operation, backend, dtype)
        executable = build_executable(
            operation, pattern, tensor_types, ranks, size_names, reduction_name, dtype, max_rank
        )
    else:
        executable = build_executable(operation, pattern, tensor_types, ranks, size_names, max_rank=max_rank)
    plan, kwargs = executable.plan, None
    if operation in ("einsum", CLASSICAL_EINSUM):
        from plait._executor.einsum_options import apply_einsum_options

        if options is not None and options.memory_limit is not None:
            message = "memory_limit cannot be kept for tensors whose lengths are not known yet"
            raise make_error("PLT313", message, pattern)
        plan, kwargs = apply_einsum_options(plan, options), dict(options.backend_kwargs) if options else None
    data, error_factory = plan_to_tuples(plan), partial(size_op_error, plan.solved)
    return lambda *tensors: run_plan_data(data, tensors, sizes, backend, executable.reduction, error_factory, kwargs)


def _rank_from_tensor_or_pattern(tensor: Any, number: int, tree: Tree, backend: Backend) -> int:
    """Return the rank of an operand; if the framework does not know it, that of tensor ``number`` of the pattern.

    Raise PLT505 if the pattern does not say it either, because of an ellipsis.
    """
    rank = backend.rank(tensor)
    if rank is not None:
        return rank
    expr = tree.left[min(number, len(tree.left) - 1)]
    for item in expr.items:
        if isinstance(item, Ellipsis):
            message = f"{backend.name} does not know the rank of this {type(tensor).__name__}; name the axes"
            raise make_error("PLT505", message + " instead of writing '...'", tree.text, [(item.start, item.stop)])
    return len(expr.items)
