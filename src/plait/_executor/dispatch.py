"""A call whose arguments make no key of the cache; the modules that serve it are imported by the first one."""

from __future__ import annotations

from plait._caches import cached
from plait._executor.cache import LIST_SHAPES, check_cacheable, lookup, lookup_key
from plait._executor.dynamo import traced
from plait._executor.tracer_hooks import dynamo_substitute

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import plait`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class StackedCall:
    """A call of a list of tensors, by their types, shapes and element types; ``call`` takes the list."""

    __slots__ = ("_arguments", "call")

    def __init__(self, operation: str, pattern: str, keys: Any, reduction: Any, /, **sizes: Any) -> None:
        classes, shapes, _ = keys
        check_cacheable(operation, classes, shapes, (reduction,), sizes)
        self._arguments = operation, pattern, sizes, reduction
        self.call: Callable[..., Any] = self._plan_and_call

    def _plan_and_call(self, tensors: Any) -> Any:
        from plait._executor.slow_path import resolve
        from plait.backends.registry import one_backend

        operation, pattern, sizes, reduction = self._arguments
        function, (stacked,) = resolve(operation, (tensors,), pattern, sizes, reduction)
        stack = one_backend(tuple([type(tensor) for tensor in tensors])).stack
        self.call = lambda tensors: function(stack(tensors))
        return function(stacked)


lookup_stacked: Any = cached(maxsize=512, typed=True)(StackedCall)


@dynamo_substitute(traced)
def call_uncached(
    operation: str, tensors: Any, pattern: Any, sizes: dict[str, Any], reduction: Any = "", options: Any = None
) -> Any:
    """Make a call whose arguments make no key of the cache; see `plait._executor.slow_path.call`."""
    cls: Any = type(tensors[0]) if tensors else None
    entry: Any = None
    try:
        if cls is list or cls is tuple:
            (several,) = tensors
            if operation != "view" and options is None:
                keys = tuple(zip(*[(type(each), each.shape, each.dtype) for each in several], strict=True))
                entry = lookup_stacked(operation, pattern, keys, reduction, **sizes)
        elif cls in LIST_SHAPES:
            entry = _list_shaped(operation, tensors, pattern, sizes, reduction, options)
    except (TypeError, ValueError, AttributeError):  # these make no key either
        entry = None
    if entry is not None:
        return entry.call(*tensors)
    from plait._executor.slow_path import call

    return call(operation, tensors, pattern, sizes, reduction, options)


def _list_shaped(
    operation: str, tensors: Any, pattern: str, sizes: dict[str, Any], reduction: Any, options: Any
) -> Any:
    """The entry of tensors whose shape is a list of ints: no key, but its tuple is one."""
    classes = tuple([type(tensor) for tensor in tensors])
    if operation == "view" or not LIST_SHAPES.issuperset(classes):
        return None
    shapes, dtypes = [tuple(tensor.shape) for tensor in tensors], [tensor.dtype for tensor in tensors]
    key = lookup_key(operation, classes, tuple(shapes), tuple(dtypes), reduction, options)
    return lookup(operation, pattern, *key, **sizes)
