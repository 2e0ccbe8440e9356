"""The functions that TorchDynamo traces instead of the public ones.

If it traced the look-ups of the public functions, it would add a guard for every entry of the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

from plait._executor.einsum_forms import CLASSICAL_EINSUM, INTERLEAVED_EINSUM, split_einsum_arguments
from plait._executor.options import options_with_backend_kwargs
from plait._executor.tracer_hooks import assume_constant


def call_under_dynamo(
    operation: str,
    tensors: Sequence[Any],
    pattern: str,
    sizes: dict[str, Any],
    reduction: Any = "",
    options: Any = None,
    *,
    is_method: bool = False,
    max_rank: int | None = None,
) -> Any:
    """Return the result of an operation, while Dynamo traces; break the graph if the call has a mistake.

    ``is_method`` is true for a method of a `Pattern`, false for a function. ``max_rank`` is that of a layer; ``None``
    is that of the options.
    """
    from plait._executor.classical_calls import is_default_argument
    from plait._executor.plan_data import (
        check_size_is_valid_for_dynamo,
        plan_data_or_message_for_dynamo,
        run_plan_data,
        size_error_message_for_dynamo,
    )
    from plait._shapes.solver import CLASSICAL_ARGUMENT_NAMES
    from plait.backends.torch.backend import TORCH_BACKEND
    from plait.backends.torch.tracing import break_graph, leave_frame_to_python

    if is_method:
        break_graph = leave_frame_to_python
    optimize = None
    if operation in (CLASSICAL_EINSUM, INTERLEAVED_EINSUM):
        sizes = {name: value for name, value in sizes.items() if not is_default_argument(name, value)}
        optimize = sizes.pop("optimize", None)
        for name in sizes:
            if operation == INTERLEAVED_EINSUM or name in CLASSICAL_ARGUMENT_NAMES:
                break_graph(_message_about_argument(name))
        operation = CLASSICAL_EINSUM
        tensors = _with_tensors_of_numbers(tensors)
    tensors = [TORCH_BACKEND.stack(tensor) if isinstance(tensor, (list, tuple)) else tensor for tensor in tensors]
    if options is not None and options.memory_limit is not None:
        break_graph("memory_limit is kept by calls outside of a graph")
    if options is not None and options.backend_kwargs:
        break_graph(f"{options.backend_kwargs[0][0]} belongs to JAX")
    for name, value in sizes.items():
        if isinstance(value, (bool, float)) or value < 0:
            break_graph(
                check_size_is_valid_for_dynamo(
                    pattern, name, value if isinstance(value, (bool, float)) else index(value)
                )[1]
            )
    given = tuple(sizes)
    ranks = tuple([len(tensor.shape) for tensor in tensors])
    reduction_name = reduction if isinstance(reduction, str) else "custom"
    dtype = tensors[0].dtype if operation == "reduce" else None
    if operation in ("einsum", CLASSICAL_EINSUM) and len(tensors) == 1:
        dtype = tensors[0].dtype
        reduction_name = _reduction_of_unary_einsum(operation, dtype)
    data = _unwrap_or_break_graph(
        plan_data_or_message_for_dynamo(operation, pattern, ranks, given, reduction_name, dtype, optimize, max_rank),
        is_method=is_method,
    )
    reduce_function = (
        reduction
        if reduction_name == "custom"
        else TORCH_BACKEND.reduction(reduction_name, dtype)
        if reduction_name
        else None
    )

    def break_graph_with_size_error(slots: list[Any], kind: str, source: int, factors: tuple[int, ...]) -> Exception:
        # A symbolic size becomes its value in this call; ``None`` is a size that no step reads.
        int_slots = tuple([None if size is None else index(size) for size in slots])
        break_graph(size_error_message_for_dynamo(operation, pattern, ranks, given, int_slots, kind, source, factors))
        return AssertionError("Python has taken over before this")

    return run_plan_data(data, tensors, sizes, TORCH_BACKEND, reduce_function, break_graph_with_size_error)


@assume_constant
def _reduction_of_unary_einsum(operation: str, dtype: Any) -> str:
    """Return `reduction_of_unary_einsum` for PyTorch."""
    from plait._executor.compile import reduction_of_unary_einsum
    from plait.backends.torch.backend import TORCH_BACKEND

    return reduction_of_unary_einsum(operation, TORCH_BACKEND, dtype)


@assume_constant
def _message_about_argument(name: str) -> str:
    """Return the error of an argument of NumPy's einsum for tensors of PyTorch, or what is known of another one."""
    from plait._executor.classical_calls import argument_error
    from plait._shapes.solver import CLASSICAL_ARGUMENT_NAMES
    from plait.backends.torch.backend import TORCH_BACKEND

    return str(argument_error(name, TORCH_BACKEND)) if name in CLASSICAL_ARGUMENT_NAMES else f"{name} is no argument"


def _with_tensors_of_numbers(operands: Sequence[Any]) -> Sequence[Any]:
    """Return the operands of a classical einsum with numbers as tensors of rank 0."""
    from plait.backends.torch.backend import TORCH_BACKEND

    numbers = [isinstance(operand, (bool, int, float, complex)) for operand in operands]
    if not any(numbers) or all(numbers):
        return operands
    tensor = operands[numbers.index(False)]
    return [
        TORCH_BACKEND.tensor_from_number(operand, tensor) if is_number else operand
        for operand, is_number in zip(operands, numbers)  # noqa: B905  # as in `run_plan_data`
    ]


def einsum_under_dynamo(*operands: Any, **sizes: Any) -> Any:
    """Return what ``plait.einsum`` returns, while Dynamo traces; break the graph if the call has a mistake."""
    operation, pattern, tensors = split_einsum_arguments(operands)
    kwargs = {name: sizes.pop(name, None) for name in ("out_sharding", "precision", "preferred_element_type")}
    return call_under_dynamo(operation, tensors, pattern, sizes, "", options_with_backend_kwargs(None, **kwargs))


def pack_under_dynamo(tensors: Any, pattern: str) -> Any:
    """Return what ``plait.pack`` returns, while Dynamo traces; break the graph if the pattern is invalid."""
    from plait._executor.packing import dimension_counts_or_message_for_dynamo, pack_with_backend
    from plait.backends.torch.backend import TORCH_BACKEND

    return pack_with_backend(
        tensors,
        pattern,
        _unwrap_or_break_graph(dimension_counts_or_message_for_dynamo(pattern, "pack")),
        TORCH_BACKEND,
    )


def unpack_under_dynamo(tensor: Any, packed_shapes: Any, pattern: str) -> Any:
    """Return what ``plait.unpack`` returns, while Dynamo traces; break the graph if the pattern is invalid."""
    from plait._executor.packing import dimension_counts_or_message_for_dynamo, unpack_with_backend
    from plait.backends.torch.backend import TORCH_BACKEND

    return unpack_with_backend(
        tensor,
        packed_shapes,
        pattern,
        _unwrap_or_break_graph(dimension_counts_or_message_for_dynamo(pattern, "unpack")),
        TORCH_BACKEND,
    )


def parse_shape_under_dynamo(tensor: Any, pattern: str) -> Any:
    """Return what ``plait.parse_shape`` returns, while Dynamo traces; break the graph if the pattern is invalid."""
    from plait._executor.packing import find_labeled_dimensions_or_message_for_dynamo
    from plait._operations.parse_shape import read_named_lengths

    return read_named_lengths(
        _unwrap_or_break_graph(find_labeled_dimensions_or_message_for_dynamo(pattern, len(tensor.shape))),
        tensor.shape,
        pattern,
    )


def operations_by_stage_under_dynamo(operation: str, texts: Any) -> Any:
    """Return what `plait._executor.pipeline.operations_by_stage` returns, while Dynamo traces."""
    from plait._executor.pipeline import operations_by_stage_or_message_for_dynamo

    return _unwrap_or_break_graph(operations_by_stage_or_message_for_dynamo(operation, texts), is_method=True)


def _unwrap_or_break_graph(result: Any, *, is_method: bool = False) -> Any:
    """Return the first of a pair of value and error message; if it is ``None``, break the graph with the message.

    Python then makes the call, and raises the error.
    """
    from plait.backends.torch.tracing import break_graph, leave_frame_to_python

    value, message = result
    if value is None:
        (leave_frame_to_python if is_method else break_graph)(message)
    return value
