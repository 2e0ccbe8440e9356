"""The dispatch of calls whose arguments cannot be a cache key; the first such call imports what it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from plait._caches import clearable_lru_cache
from plait._executor.cache import (
    TYPES_WITH_LIST_SHAPE,
    cacheable_shape_or_error,
    lookup,
    lookup_arguments,
    types_shapes_and_dtypes,
)
from plait._executor.dynamo import call_under_dynamo
from plait._executor.tracer_hooks import dynamo_substitute


@clearable_lru_cache(maxsize=512, typed=True)
def callable_cell_for_list(
    operation: str, _: str, tensor_keys: Any, reduction: Any, /, **sizes: Any
) -> list[Callable[..., Any]]:
    """Return the cached list, empty at first, that holds the callable for a list of tensors with these keys."""
    types, shapes, _ = tensor_keys
    cacheable_shape_or_error(operation, types, shapes, (reduction,), sizes)
    return []


@dynamo_substitute(call_under_dynamo)
def call_uncached(
    operation: str, tensors: Any, pattern: Any, sizes: dict[str, Any], reduction: Any = "", options: Any = None
) -> Any:
    """Make a call whose arguments cannot be a cache key, by `run_uncacheable_call`."""
    first_type: Any = type(tensors[0]) if tensors else None
    callable_cell: list[Callable[..., Any]] | None = None
    callable_: Any = None
    try:
        if first_type in (list, tuple) and operation != "view" and options is None:
            (tensor_list,) = tensors
            keys = tuple(zip(*[(type(tensor), tensor.shape, tensor.dtype) for tensor in tensor_list], strict=True))
            callable_cell = callable_cell_for_list(operation, pattern, keys, reduction, **sizes)
            callable_ = callable_cell[0] if callable_cell else None
        elif first_type in TYPES_WITH_LIST_SHAPE and operation != "view":  # its key needs the strides
            types, shapes, dtypes = types_shapes_and_dtypes(tensors)
            if TYPES_WITH_LIST_SHAPE.issuperset(types):
                key = lookup_arguments(operation, types, tuple(map(tuple, shapes)), dtypes, reduction, options)
                callable_ = lookup(operation, pattern, *key, **sizes).call
    except (TypeError, ValueError, AttributeError):  # these cannot be a key either
        pass
    if callable_ is not None:
        return callable_(*tensors)
    from plait._executor.uncacheable_calls import run_uncacheable_call

    return run_uncacheable_call(operation, tensors, pattern, sizes, reduction, options, callable_cell)
