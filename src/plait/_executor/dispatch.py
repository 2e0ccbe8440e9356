"""A call whose arguments make no key of the cache; the modules that serve it are imported by the first one."""

from __future__ import annotations

from plait._caches import clearable_lru_cache
from plait._executor.cache import LIST_SHAPES, check_cacheable, lookup, lookup_key, operand_keys
from plait._executor.dynamo import traced
from plait._executor.tracer_hooks import dynamo_substitute

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import plait`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


@clearable_lru_cache(maxsize=512, typed=True)
def stacked_call(operation: str, _: str, keys: Any, reduction: Any, /, **sizes: Any) -> list[Callable[..., Any]]:
    """Where the callable of a list of tensors of these types, shapes and element types is kept, once there is one."""
    classes, shapes, _ = keys
    check_cacheable(operation, classes, shapes, (reduction,), sizes)
    return []


@dynamo_substitute(traced)
def call_uncached(
    operation: str, tensors: Any, pattern: Any, sizes: dict[str, Any], reduction: Any = "", options: Any = None
) -> Any:
    """Make a call whose arguments make no key of the cache; see `plait._executor.slow_path.call`."""
    cls: Any = type(tensors[0]) if tensors else None
    kept: list[Callable[..., Any]] | None = None
    planned: Any = None
    try:
        if cls in (list, tuple) and operation != "view" and options is None:
            (several,) = tensors
            keys = tuple(zip(*[(type(each), each.shape, each.dtype) for each in several], strict=True))
            kept = stacked_call(operation, pattern, keys, reduction, **sizes)
            planned = kept[0] if kept else None
        elif cls in LIST_SHAPES and operation != "view":  # whose key has strides
            classes, shapes, dtypes = operand_keys(tensors)
            if LIST_SHAPES.issuperset(classes):
                key = lookup_key(operation, classes, tuple(map(tuple, shapes)), dtypes, reduction, options)
                planned = lookup(operation, pattern, *key, **sizes).call
    except (TypeError, ValueError, AttributeError):  # these make no key either
        pass
    if planned is not None:
        return planned(*tensors)
    from plait._executor.slow_path import call

    return call(operation, tensors, pattern, sizes, reduction, options, kept)
