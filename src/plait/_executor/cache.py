"""The hot path: one look-up in C, in ``functools.lru_cache`` itself, then a function that already knows every constant.

``typed`` tells ``2`` from ``2.0`` and ``True``, so that a bad size never finds the entry of a good one.
"""

from __future__ import annotations

import sys

from plait._caches import clearable_lru_cache, register_clear_function

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import plait`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CALLS = 4096
"""How many calls each of the two caches keeps: patterns, each with its shape, type, and sizes."""

FAILED: set[int] = set()
"""The entries whose planning has failed; as numbers, so that nothing keeps them alive."""

register_clear_function(FAILED.clear)


class CachedCall:
    """One call; ``call`` plans and makes it, and is the planned callable from then on; ``None`` if planning failed."""

    __slots__ = ("_key", "call")

    build: Any = None
    """`plait._executor.compile.build_callable`, which the first call imports."""

    def __init__(self, operation: str, pattern: str, cls: Any, shape: Any, /, *details: Any, **sizes: Any) -> None:
        dimensions = check_cacheable(operation, cls, shape, details, sizes)
        self._key: Any = operation, pattern, cls, dimensions, details, sizes
        self.call: Callable[..., Any] | None = self._plan_and_call

    def _plan_and_call(self, *tensors: Any) -> Any:
        return self.plan()(*tensors)

    def plan(self) -> Any:
        """The callable, planned if it was not yet."""
        key = self._key
        if key is None:
            return self.call
        build = CachedCall.build
        if build is None:
            from plait._executor.compile import build_callable

            CachedCall.build = build = build_callable
        try:
            self.call = call = build(*key)
        except BaseException:
            FAILED.add(id(self))
            self.call = None  # a method of the entry itself would keep it alive when it has left the cache
            raise
        self._key = None
        if FAILED:
            FAILED.discard(id(self))
        return call

    def __del__(self, forget: Callable[[int], None] = FAILED.discard) -> None:  # globals may be gone at exit
        forget(id(self))


def check_cacheable(operation: str, cls: Any, shape: Any, details: tuple[Any, ...], sizes: dict[str, Any]) -> Any:
    """The shape (of an einsum: the shapes) as tuples of ints; a `TypeError` where a call must not be kept."""
    several = type(cls) is tuple
    if several:
        pairs = zip(shape, cls, strict=True)
        shape = tuple([each if isinstance(each, tuple) else _as_tuple(each, kind) for each, kind in pairs])
    elif not isinstance(shape, tuple):
        shape = _as_tuple(shape, cls)
    for dimensions in shape if several else (shape,):
        for size in dimensions:
            if type(size) is not int or size < 0:  # a negative one is a size that is not known yet
                raise TypeError
    for name, value in sizes.items():
        if type(value) is not int or value < 0 or not (name.isascii() or _is_normal(name)):
            raise TypeError
    if operation == "reduce" and callable(details[0]) and not _is_named(details[0]):
        raise TypeError  # it must not be kept with all that it holds on to
    return shape


def _as_tuple(shape: Any, cls: type) -> tuple[int, ...]:
    """A shape as a tuple, where a framework has something else for it."""
    from plait.backends.registry import backend_for_type

    found = backend_for_type(cls).shape_as_tuple(shape)
    if found is None:
        raise TypeError
    return found


def _is_normal(name: str) -> bool:
    """Whether the parser reads this name as it is written."""
    from plait._notation.parser import normalize_name

    return normalize_name(name) == name


def _is_named(function: Callable[..., Any]) -> bool:
    """Whether a module names this function, and so keeps it alive."""
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    return getattr(module, getattr(function, "__name__", ""), None) is function


lookup: Any = clearable_lru_cache(maxsize=CALLS, typed=True)(CachedCall)
"""The `CachedCall` of one call; a `TypeError` where the arguments make no key: one has no hash, or must not be kept."""

lookup_untyped: Any = clearable_lru_cache(maxsize=CALLS)(CachedCall)
"""The same for an einsum without sizes, whose key holds nothing that equals what has another type: a step less."""


def _unwrapped(*_: Any, **__: Any) -> Any:
    """What Dynamo follows where it reads the look-up itself, as in ``torch.compile(plait.rearrange)``."""
    raise TypeError


lookup.__wrapped__ = _unwrapped
lookup_untyped.__wrapped__ = _unwrapped


LIST_SHAPES: set[type] = set()
"""The types of tensors whose shape is a list of ints, which is no key."""


def split_operands(operands: tuple[Any, ...]) -> tuple[str, Any, tuple[Any, ...]]:
    """The form of an einsum, its text, and its tensors."""
    if len(operands) < 2:
        raise TypeError("einsum() takes tensors and a pattern, or an equation and tensors")
    if isinstance(operands[0], str) and not isinstance(operands[-1], str):
        return "classical", operands[0], operands[1:]
    return "einsum", operands[-1], operands[:-1]


def operand_keys(tensors: Any) -> tuple[Any, Any, Any]:
    """Types, shapes and element types: what the callable of an einsum depends on beside the pattern."""
    if len(tensors) == 2:  # few tensors are written out: a loop would take as long as all the rest
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
        kinds = (type(a), type(b), type(c), type(d))
        return kinds, (a.shape, b.shape, c.shape, d.shape), (a.dtype, b.dtype, c.dtype, d.dtype)
    if not tensors:
        raise TypeError("an einsum takes a tensor at least")
    return (
        tuple([type(tensor) for tensor in tensors]),
        tuple([tensor.shape for tensor in tensors]),
        tuple([tensor.dtype for tensor in tensors]),
    )


def lookup_key(operation: str, classes: Any, shapes: Any, dtypes: Any, reduction: Any, options: Any) -> tuple[Any, ...]:
    """What `lookup` is given after the pattern, but for the strides of a view."""
    if operation in ("einsum", "classical"):
        return classes, shapes, dtypes, options
    (cls,), (shape,) = classes, shapes
    return (cls, shape, reduction, dtypes[0]) if operation == "reduce" else (cls, shape)


def cache_info() -> Any:
    """How the cache of calls does.

    Returns:
        A named tuple ``(hits, misses, maxsize, currsize)``, counted in calls since the last `cache_clear`.

    Examples:
        >>> import numpy as np, plait
        >>> plait.cache_clear()
        >>> _ = plait.rearrange(np.zeros((2, 3)), "a b -> b a")
        >>> plait.cache_info()
        CacheInfo(hits=0, misses=1, maxsize=8192, currsize=1)
    """
    info, more = lookup.cache_info(), lookup_untyped.cache_info()
    found = type(info)(*[one + other for one, other in zip(info, more, strict=True)])
    return found._replace(currsize=max(0, found.currsize - len(FAILED)))  # an error is not kept
