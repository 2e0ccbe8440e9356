"""The dispatch of calls that the public functions cannot look up, because their arguments cannot be a cache key.

The modules that such a call needs are imported by the first one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from plait._caches import clearable_lru_cache
from plait._executor.cache import (
    TYPES_WITH_LIST_SHAPE,
    lookup,
    lookup_arguments,
    shape_for_cache_key_or_error,
    types_shapes_and_dtypes,
)
from plait._executor.dynamo import call_under_dynamo
from plait._executor.einsum_forms import ARRAY_LIKE_TYPES, CLASSICAL_EINSUM, INTERLEAVED_EINSUM
from plait._executor.tracer_hooks import dynamo_substitute
from plait.errors import PlaitError, shorten_traceback


@clearable_lru_cache(maxsize=512, typed=True)
def callable_cell_for_list(
    operation: str, _: str, tensor_keys: Any, reduction: Any, /, **sizes: Any
) -> list[Callable[..., Any]]:
    """Return the cached list that holds the callable for a list of tensors with these types, shapes and dtypes.

    It is empty at first; `run_uncacheable_call` appends the callable. Raise `TypeError` if it must not be cached.
    """
    types, shapes, _ = tensor_keys
    shape_for_cache_key_or_error(operation, types, shapes, (reduction,), sizes)
    return []


@dynamo_substitute(call_under_dynamo)
def call_uncached(
    operation: str, tensors: Any, pattern: Any, sizes: dict[str, Any], reduction: Any = "", options: Any = None
) -> Any:
    """Make a call whose arguments cannot be a cache key.

    A list of tensors, and tensors whose shape is a list, get another key; all else is left to `run_uncacheable_call`,
    and what only NumPy's einsum takes to `run_classical_call`.
    """
    is_classical = operation in (CLASSICAL_EINSUM, INTERLEAVED_EINSUM)
    if is_classical and (sizes or operation == INTERLEAVED_EINSUM):
        from plait._executor.classical_calls import run_classical_call

        return run_classical_call(operation, pattern, tensors, sizes, options)
    if options is not None and options.shared is not None and not sizes:
        from plait._executor.shared_contractions import shared_call_or_none

        shared_call = shared_call_or_none(operation, pattern, tensors, options)
        if shared_call is not None:
            return shared_call()
    first_type: Any = type(tensors[0]) if tensors else None
    callable_cell: list[Callable[..., Any]] | None = None
    callable_: Any = None
    try:
        if first_type in (list, tuple) and operation != "view" and options is None:
            (tensor_list,) = tensors
            keys = tuple(zip(*[(type(tensor), tensor.shape, tensor.dtype) for tensor in tensor_list], strict=True))
            callable_cell = callable_cell_for_list(operation, pattern, keys, reduction, **sizes)
            callable_ = callable_cell[0] if callable_cell else None
        elif first_type in TYPES_WITH_LIST_SHAPE and operation != "view":  # a key of ``view`` needs the strides too
            types, shapes, dtypes = types_shapes_and_dtypes(tensors)
            if TYPES_WITH_LIST_SHAPE.issuperset(types):
                key = lookup_arguments(operation, types, tuple(map(tuple, shapes)), dtypes, reduction, options)
                callable_ = lookup(operation, pattern, *key, **sizes).call
    except Exception:  # these cannot be a key either
        callable_ = None
    if callable_ is not None:
        return callable_(*tensors)
    if is_classical and callable_cell is None and not ARRAY_LIKE_TYPES.isdisjoint(map(type, tensors)):
        from plait._executor.classical_calls import run_classical_call

        return run_classical_call(operation, pattern, tensors, sizes, options)
    from plait._executor.uncacheable_calls import run_uncacheable_call

    return run_uncacheable_call(operation, tensors, pattern, sizes, reduction, options, callable_cell)


def convert_error_for_caller(
    error: Exception, operation: str, tensors: Sequence[Any], pattern: Any, sizes: dict[str, Any]
) -> Exception:
    """Return the `PlaitError` that a public function raises for an error from inside it, or the error itself.

    The caller assigns it to the name of the caught error, which Python deletes at the end of the clause. Another local
    variable would keep the error, its traceback and so the tensors alive until the garbage collector finds the cycle.
    """
    if isinstance(error, PlaitError):
        return shorten_traceback(error)
    from plait._executor.framework_errors import convert_framework_error  # imported here because only errors need it

    return convert_framework_error(error, operation, tensors, pattern, sizes) or error
