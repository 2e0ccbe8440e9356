"""The functions that TorchDynamo traces instead of the public ones.

If it traced the look-ups of the public functions, it would add a guard for every entry of the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from plait._executor.einsum_forms import CLASSICAL_EINSUM, INTERLEAVED_EINSUM, split_einsum_arguments
from plait._executor.options import options_with_backend_kwargs
from plait._executor.tracer_hooks import assume_constant, dynamo_constant_function, dynamo_substitute


def _break_graph_at_variable(operation: str, *_: Any) -> Any:
    """Break the graph, because the pattern or another argument of a call is not constant."""
    from plait.backends.torch.tracing import break_graph

    break_graph(f"{operation} needs a pattern that is constant while Dynamo traces")


@dynamo_constant_function(_break_graph_at_variable)
def traced_function(*call: Any) -> Callable[..., Any]:
    """Return what `plait._executor.traced_functions.build_traced_function` returns."""
    from plait._executor.traced_functions import build_traced_function

    return build_traced_function(*call)


def _any_traced_function(
    operation: str, pattern: Any, ranks: Any, size_names: Any, _: Any = (), reduction: Any = "", is_method: bool = False
) -> Callable[..., Any]:
    """Return a function of the operands and the given sizes of a call, of which an operand has no rank.

    Such an operand is a list of tensors.
    """

    def call(*arguments: Any) -> Any:
        count = len(ranks)
        sizes = dict(zip(size_names, arguments[count:]))  # noqa: B905  # Dynamo does not follow strict=True before torch 2.6
        return call_under_dynamo(operation, arguments[:count], pattern, sizes, reduction, is_method=is_method)

    return call


@dynamo_constant_function(_any_traced_function)
def traced_function_of_tensors(*call: Any) -> Callable[..., Any]:
    """Return what `traced_function` returns, for operands that are probably all tensors."""
    return traced_function(*call)


def substitute_for_one_tensor(operation: str) -> Callable[..., Any]:
    """Return the function that Dynamo traces in place of ``rearrange``, ``view`` or ``repeat``.

    Everything that it reads is in its closure, for which Dynamo adds no guard. It calls only the function of the call,
    and has few instructions, since each of them takes about as long to trace as one of the caller's code.
    """
    find_function = traced_function_of_tensors

    def call(tensor: Any, pattern: Any, **sizes: Any) -> Any:
        return find_function(operation, pattern, (tensor.ndim,), (*sizes,))(tensor, *sizes.values())

    return call


def substitute_for_reduce() -> Callable[..., Any]:
    """Return the function that Dynamo traces in place of ``reduce``, as `substitute_for_one_tensor` does."""
    find_function, call_any, is_instance, text = traced_function_of_tensors, call_under_dynamo, isinstance, str

    def call(tensor: Any, pattern: Any, reduction: Any, **sizes: Any) -> Any:
        if not is_instance(reduction, text):
            return call_any("reduce", (tensor,), pattern, sizes, reduction)
        function = find_function("reduce", pattern, (tensor.ndim,), (*sizes,), (tensor.dtype,), reduction)
        return function(tensor, *sizes.values())

    return call


def substitute_for_einsum() -> Callable[..., Any]:
    """Return the function that Dynamo traces in place of ``einsum``, as `substitute_for_one_tensor` does."""
    find_function, call_any, is_instance = traced_function_of_tensors, einsum_under_dynamo, isinstance
    text, length, classical, error = str, len, CLASSICAL_EINSUM, AttributeError

    def call(*operands: Any, **sizes: Any) -> Any:
        *tensors, pattern = operands
        operation = "einsum"
        if not is_instance(pattern, text):
            pattern, *tensors = operands
            operation = classical
            if not is_instance(pattern, text):
                return call_any(*operands, **sizes)
        if sizes and (
            operation == classical
            or "precision" in sizes
            or "out_sharding" in sizes
            or "preferred_element_type" in sizes
        ):
            return call_any(*operands, **sizes)
        ranks: Any = ()
        dtypes: Any = ()
        try:
            if length(tensors) == 2:  # without a loop, which takes longer to trace
                a, b = tensors
                ranks, dtypes = (a.ndim, b.ndim), (a.dtype, b.dtype)
            else:
                for tensor in tensors:
                    ranks, dtypes = (*ranks, tensor.ndim), (*dtypes, tensor.dtype)
        except error:  # a list of tensors, a number, or the axis numbers of the interleaved form
            return call_any(*operands, **sizes)
        return find_function(operation, pattern, ranks, (*sizes,), dtypes)(*tensors, *sizes.values())

    return call


def substitute_for_pattern_call() -> Callable[..., Any]:
    """Return the function that Dynamo traces in place of `call_pattern`, as `substitute_for_one_tensor` does."""
    find_function, length = traced_function_of_tensors, len

    def call(operation: str, pattern: Any, tensor: Any) -> Any:
        stages = pattern._stages
        if length(stages) > 1 or pattern._max_rank is not None:
            return pattern._call_under_dynamo(operation, (tensor,))
        text, sizes = stages[0]
        names, values = [], []
        for name, size in sizes:
            names.append(name)
            values.append(size)
        return find_function(operation, text, (tensor.ndim,), (*names,), (), "", True)(tensor, *values)

    return call


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
    from plait._operations.reduce import CUSTOM_REDUCTION
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
    ranks = tuple([tensor.ndim for tensor in tensors])
    dtypes = tuple([tensor.dtype for tensor in tensors]) if operation in ("reduce", "einsum", CLASSICAL_EINSUM) else ()
    is_custom = not isinstance(reduction, str)
    name = CUSTOM_REDUCTION if is_custom else reduction
    function = traced_function(operation, pattern, ranks, tuple(sizes), dtypes, name, is_method, optimize, max_rank)
    return function(*tensors, *sizes.values(), *([reduction] if is_custom else []))


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
        for operand, is_number in zip(operands, numbers)  # noqa: B905  # Dynamo does not follow strict=True before torch 2.6
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


@dynamo_substitute(substitute_for_pattern_call())
def call_pattern(operation: str, pattern: Any, tensor: Any) -> Any:
    """Return what a method of a pattern returns for one tensor; Dynamo traces a substitute of this function alone."""
    return getattr(pattern, operation)(tensor)
