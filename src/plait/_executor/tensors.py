"""Checks of the tensors of a call, and the stacking of lists of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from plait._shapes.sizes import format_shape, shapes_may_be_equal
from plait.backends.array_conversion_hints import conversion_hint
from plait.backends.interface import Backend
from plait.backends.registry import backend_for_type, common_backend
from plait.errors import PlaitError, make_error, mark_as_unchanged, short_repr


def check_pattern_is_text(pattern: Any, operation: str = "", tensors: Sequence[Any] = ()) -> str:
    """Return the pattern; raise `PatternSyntaxError` if it is not a string, with a hint if arguments are swapped."""
    if isinstance(pattern, str):
        return pattern
    message = f"the pattern must be a string, not {type(pattern).__name__}: {short_repr(pattern)}"
    if any(isinstance(tensor, str) for tensor in tensors):
        first = "tensors come" if operation == "einsum" else "tensor comes"
        message = f"the pattern must be a string, not {type(pattern).__name__}; the {first} before the pattern"
    raise make_error("PLT101", message)


def check_there_are_tensors(tensors: Sequence[Any], operation: str) -> None:
    """Raise `TypeError` if there are no tensors, as Python does for a call that lacks an argument."""
    if not tensors:
        error = TypeError(f"{operation}() needs at least one tensor")
        mark_as_unchanged(error)
        raise error


def shape_of_tensor(tensor: Any) -> Any:
    """Return the shape of an argument; raise `BackendError` if it is not a tensor."""
    try:
        return tensor.shape
    except RuntimeError as error:  # a nested tensor of PyTorch with the layout torch.strided has none
        reason = str(error).partition(chr(10))[0]
        message = f"this {type(tensor).__name__} has no shape; nested tensors need layout=torch.jagged"
        raise make_error("PLT514", message, facts={"reason": reason}) from error
    except AttributeError:
        message = f"expected a tensor, not {type(tensor).__name__}: {short_repr(tensor)}"
    kind: Any = type(tensor)
    try:
        return backend_for_type(kind).shape(tensor)  # a framework may use another attribute
    except PlaitError as error:
        if error.code != "PLT501":  # the backend of the type says what to do
            raise
    except (AttributeError, RuntimeError):
        pass
    raise make_error("PLT501", message + conversion_hint(kind))


def backend_for_tensors(tensors: Sequence[Any]) -> Backend:
    """Return the common backend of the arguments; raise `BackendError` if one is not a tensor."""
    for tensor in tensors:
        shape_of_tensor(tensor)
    return common_backend(tuple([type(tensor) for tensor in tensors]))


def is_concrete_shape(shape: Any) -> bool:
    """Whether all lengths of a shape are known ints."""
    return isinstance(shape, (tuple, list)) and all(type(size) is int and size >= 0 for size in shape)


def stack_tensors(tensors: Sequence[Any]) -> Any:
    """Return the tensors stacked along a new first dimension; raise `SizeError` if there are none or shapes differ."""
    if not tensors:
        raise make_error("PLT308", "the list of tensors is empty")
    backend = backend_for_tensors(tensors)
    shapes = [_partial_shape(tensor, backend) for tensor in tensors]
    for number, shape in enumerate(shapes):
        if (
            shape is not None
            and shapes[0] is not None
            and not shapes_may_be_equal(shape, shapes[0], can_compare_sizes=True)
        ):
            theirs, ours = format_shape(shape), format_shape(shapes[0])
            raise make_error("PLT308", f"tensor {number} of the list has shape {theirs}, but tensor 0 has shape {ours}")
    return backend.stack(tensors)


def stack_lists_of_tensors(tensors: Sequence[Any]) -> Sequence[Any]:
    """Return the arguments of a call with each list of tensors stacked."""
    return [stack_tensors(tensor) if isinstance(tensor, (list, tuple)) else tensor for tensor in tensors]


def with_input_stacking(function: Callable[[Any], Any], tensors: Sequence[Any]) -> Callable[[Sequence[Any]], Any]:
    """Return a function that stacks a list of tensors of these types, and calls the given function with the result."""
    stack = backend_for_tensors(tensors).stack
    return lambda tensors: function(stack(tensors))


def _partial_shape(tensor: Any, backend: Backend) -> Sequence[int | None] | None:
    """Return the shape with ``None`` for lengths that cannot be compared; ``None`` if the rank is unknown."""
    shape, rank = backend.shape(tensor), backend.rank(tensor)
    if is_concrete_shape(shape):
        return shape
    return None if rank is None else backend.static_shape(tensor, rank)
