"""The cache of calls: one look-up in ``functools.lru_cache`` returns a callable that already holds every constant.

``typed=True`` distinguishes ``2`` from ``2.0`` and ``True``, so that an invalid size never matches the entry of a valid
one.
"""

from __future__ import annotations

import sys
from _thread import allocate_lock  # `threading` would make `import plait` slower
from collections.abc import Callable
from functools import _CacheInfo
from typing import Any, ClassVar

from plait._caches import clearable_lru_cache, register_clear_function
from plait._executor.einsum_forms import CLASSICAL_EINSUM

MAX_CACHED_CALLS = 4096
"""The largest number of calls, each a pattern with shape, type and sizes, that each of the two caches keeps."""

_BUILD_STATE_LOCK = allocate_lock()
"""Held while an entry changes to built or failed, not while it is built: two threads may build it, with one result."""


class CachedCall:
    """An entry of the cache: ``call`` makes the call.

    The first use of ``call`` builds the callable and replaces ``call`` with it, or with ``None`` if that fails. Once
    built, an entry stays built, even if another thread that builds it too fails later, as by an interrupt.
    """

    __slots__ = ("_build_arguments", "call")

    failed_ids: ClassVar[set[int]] = set()
    """The ``id`` of each entry whose callable could not be built; an ``id`` does not keep the entry alive."""

    build_callable: Any = None
    """The function `plait._executor.compile.build_callable`, which the first call imports."""

    def __init__(
        self, operation: str, pattern: str, tensor_type: Any, shape: Any, /, *extra_key: Any, **sizes: Any
    ) -> None:
        if not isinstance(pattern, str):
            raise TypeError  # a mistake, or the axis numbers of the interleaved form of an einsum
        dimensions = shape_for_cache_key_or_error(operation, tensor_type, shape, extra_key, sizes)
        self._build_arguments: Any = operation, pattern, tensor_type, dimensions, extra_key, sizes
        self.call: Callable[..., Any] | None = self._build_and_call

    def _build_and_call(self, *tensors: Any) -> Any:
        """Build the callable, and make the call with it."""
        return self.build()(*tensors)

    def build(self) -> Any:
        """Return the callable of this call, and build it if there is none yet."""
        arguments = self._build_arguments
        if arguments is None:
            return self.call
        build_callable = CachedCall.build_callable
        if build_callable is None:
            from plait._executor.compile import build_callable

            CachedCall.build_callable = build_callable
        try:
            call = build_callable(*arguments)
        except BaseException:
            with _BUILD_STATE_LOCK:
                if self._build_arguments is not None:
                    self.failed_ids.add(id(self))
                    self.call = None  # a bound method would keep the entry alive after the cache drops it
            raise
        with _BUILD_STATE_LOCK:
            self.call = call
            self._build_arguments = None  # after ``call``, which other threads read without the lock
            self.failed_ids.discard(id(self))
        return call

    def __del__(self) -> None:  # takes no lock, since the garbage collector may call it while this thread holds it
        self.failed_ids.discard(id(self))


class CachedEinsum(CachedCall):
    """An entry of the cache of einsums without sizes."""

    __slots__ = ()

    failed_ids: ClassVar[set[int]] = set()


register_clear_function(CachedCall.failed_ids.clear)
register_clear_function(CachedEinsum.failed_ids.clear)


def shape_for_cache_key_or_error(
    operation: str, tensor_type: Any, shape: Any, extra_key: tuple[Any, ...], sizes: dict[str, Any]
) -> Any:
    """Return the shape (for an einsum, the shapes) as tuples of ints; raise `TypeError` for a call not to be cached."""
    from plait.backends.registry import backend_for_type

    has_several_operands = type(tensor_type) is tuple
    if any(backend_for_type(each).is_wrapper for each in (tensor_type if has_several_operands else (tensor_type,))):
        raise TypeError  # the tensors inside are the key of a call of their own
    if has_several_operands:
        pairs = zip(shape, tensor_type, strict=True)
        shape = tuple(
            [each if isinstance(each, tuple) else _shape_as_tuple(each, operand_type) for each, operand_type in pairs]
        )
    elif not isinstance(shape, tuple):
        shape = _shape_as_tuple(shape, tensor_type)
    for dimensions in shape if has_several_operands else (shape,):
        for size in dimensions:
            if type(size) is not int or size < 0:  # some frameworks use -1 for an unknown size
                raise TypeError
    for name, value in sizes.items():
        if type(value) is not int or value < 0 or not (name.isascii() or _is_normalized_name(name)):
            raise TypeError
    if operation == "reduce" and callable(extra_key[0]) and not _is_module_attribute(extra_key[0]):
        raise TypeError  # the cache would keep alive all objects that the function refers to
    return shape


def _shape_as_tuple(shape: Any, tensor_type: type) -> tuple[int, ...]:
    """Return a shape of another type, such as a list, as a tuple of ints."""
    from plait.backends.registry import backend_for_type

    dimensions = backend_for_type(tensor_type).fully_known_shape(shape)
    if dimensions is None:
        raise TypeError
    return dimensions


def _is_normalized_name(name: str) -> bool:
    """Whether the parser keeps this name unchanged when it normalizes Unicode."""
    from plait._notation.parser import normalize_name

    return normalize_name(name) == name


def _is_module_attribute(function: Callable[..., Any]) -> bool:
    """Whether the function is an attribute of its module, which keeps it alive anyway."""
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    return getattr(module, getattr(function, "__name__", ""), None) is function


lookup: Any = clearable_lru_cache(maxsize=MAX_CACHED_CALLS, typed=True)(CachedCall)
"""Return the `CachedCall` of a call; raise `TypeError` if an argument has no hash or the call must not be cached."""

lookup_einsum_without_sizes: Any = clearable_lru_cache(maxsize=MAX_CACHED_CALLS)(CachedEinsum)
"""As `lookup`, for an einsum without sizes: equal values in its keys have equal types, so that a faster cache that does
not distinguish types gives the same entries."""


def _fail_lookup_under_dynamo(*_: Any, **__: Any) -> Any:
    """Raise `TypeError`: Dynamo traces this in place of a look-up, as in ``torch.compile(plait.rearrange)``."""
    raise TypeError


lookup.__wrapped__ = _fail_lookup_under_dynamo
lookup_einsum_without_sizes.__wrapped__ = _fail_lookup_under_dynamo


TYPES_WITH_LIST_SHAPE: set[type] = set()
"""The types of tensors whose shape is a list, which cannot be a cache key."""


def types_shapes_and_dtypes(tensors: Any) -> tuple[Any, Any, Any]:
    """Return the types, shapes and element types of the tensors, on which the callable of an einsum depends."""
    if len(tensors) == 2:  # without a loop, which would double the time of a cached call
        a, b = tensors
        return (type(a), type(b)), (a.shape, b.shape), (a.dtype, b.dtype)
    if len(tensors) == 1:
        (a,) = tensors
        return (type(a),), (a.shape,), (a.dtype,)
    if len(tensors) == 3:
        a, b, c = tensors
        return (type(a), type(b), type(c)), (a.shape, b.shape, c.shape), (a.dtype, b.dtype, c.dtype)
    if len(tensors) == 4:
        a, b, c, d = tensors
        types = (type(a), type(b), type(c), type(d))
        return types, (a.shape, b.shape, c.shape, d.shape), (a.dtype, b.dtype, c.dtype, d.dtype)
    if not tensors:
        raise TypeError("einsum needs at least one tensor")
    return (
        tuple([type(tensor) for tensor in tensors]),
        tuple([tensor.shape for tensor in tensors]),
        tuple([tensor.dtype for tensor in tensors]),
    )


def lookup_arguments(
    operation: str, tensor_types: Any, shapes: Any, dtypes: Any, reduction: Any, options: Any
) -> tuple[Any, ...]:
    """Return the positional arguments of `lookup` after the pattern, without the strides that ``view`` adds."""
    if operation in ("einsum", CLASSICAL_EINSUM):
        return tensor_types, shapes, dtypes, options
    (tensor_type,), (shape,) = tensor_types, shapes
    return (tensor_type, shape, reduction, dtypes[0]) if operation == "reduce" else (tensor_type, shape)


def cache_info() -> _CacheInfo:
    """Return the statistics of the cache of calls.

    Returns:
        A named tuple ``(hits, misses, maxsize, currsize)``, counted in calls since the last `cache_clear`. Calls of
        `einsum` without sizes have a cache of their own, and all other calls have another one, each of ``maxsize``
        calls. ``hits`` and ``misses`` add up both; ``currsize`` is the number of calls in the fuller one.

    Examples:
        >>> import numpy as np, plait
        >>> plait.cache_clear()
        >>> _ = plait.rearrange(np.zeros((2, 3)), "a b -> b a")
        >>> plait.cache_info()
        CacheInfo(hits=0, misses=1, maxsize=4096, currsize=1)
    """
    typed, untyped = lookup.cache_info(), lookup_einsum_without_sizes.cache_info()
    sizes = (  # an entry whose callable could not be built does not count
        typed.currsize - len(CachedCall.failed_ids),
        untyped.currsize - len(CachedEinsum.failed_ids),
    )
    return typed._replace(hits=typed.hits + untyped.hits, misses=typed.misses + untyped.misses, currsize=max(0, *sizes))
