"""The hot path: one look-up, then a function that already knows every constant.

`compiled` is the one cache of callables. It is ``functools.lru_cache`` itself: bounded, safe across threads, and
keyed in C by everything that decides a call. ``typed`` tells ``2`` from ``2.0`` and ``True``, so that a bad size
never finds the entry of a good one.

Everything behind a miss is imported by the first call, and not by ``import plait``.
"""

from __future__ import annotations

from functools import lru_cache

from plait._executor.caches import FORGET
from plait._executor.dynamo import traced
from plait._executor.tracer_hooks import followed_as

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import plait`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CALLS = 4096
"""How many callables are kept: patterns, each with its shape, type, and sizes."""


_COLD = {
    "keep": "compile",
    "general": "slow_path",
    "pack": "packing",
    "unpack": "packing",
    "parse_shape": "packing",
    "asnumpy": "packing",
    "read_pattern": "pattern_tools",
    "inverse": "pattern_tools",
    "output_shape": "pattern_tools",
    "stacked": "slow_path",
    "fuse": "pipeline",
    "steps_of": "pipeline_stages",
    "check_seams": "pipeline_stages",
    "last_shape": "pipeline_stages",
    "sizes_for": "pipeline_stages",
}
"""The functions behind a miss, and the module of this room that each is in."""


class _Cold:
    """The rooms behind a miss: each function is imported when it is first asked for, and is an attribute then."""

    def __getattr__(self, name: str) -> Any:
        if name not in _COLD:
            raise AttributeError(name)
        from importlib import import_module

        function = getattr(import_module(f"plait._executor.{_COLD[name]}"), name)
        setattr(self, name, function)
        return function


cold: Any = _Cold()


def _compiled(operation: str, pattern: str, cls: Any, shape: Any, /, *details: Any, **sizes: Any) -> Callable[..., Any]:
    return cold.keep(operation, pattern, cls, shape, *details, **sizes)


compiled: Any = lru_cache(maxsize=CALLS, typed=True)(_compiled)
"""The callable of one call; its arguments are those of `plait._executor.compile.build`.

Raises `TypeError` where the call cannot be cached; `general` makes it then.
"""


contracted: Any = lru_cache(maxsize=CALLS)(_compiled)
"""The same for an einsum without sizes, whose key holds nothing that equals what has another type: a step less."""


def keys(tensors: Any) -> tuple[Any, Any, Any]:
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
    return (
        tuple([type(tensor) for tensor in tensors]),
        tuple([tensor.shape for tensor in tensors]),
        tuple([tensor.dtype for tensor in tensors]),
    )


def _unwrapped(*_: Any, **__: Any) -> Any:
    """What Dynamo follows where it meets the cache itself, as in ``torch.compile(plait.rearrange)``."""
    raise TypeError


compiled.__wrapped__ = _unwrapped
contracted.__wrapped__ = _unwrapped
FORGET += [compiled.cache_clear, contracted.cache_clear]


LISTED: set[type] = set()
"""The types of tensors whose shape is a list of ints: no key, but its tuple is one."""


def _not_listed(*_: Any) -> Any:
    """What Dynamo follows in the place of `listed`: shapes of torch are no lists."""
    return None


@followed_as(_not_listed)
def listed(
    operation: str, tensors: Any, pattern: Any, sizes: dict[str, Any], reduction: Any = "", asked: Any = None
) -> Any:
    """The callable where nothing but lists for shapes has kept the cache from serving a call; else ``None``."""
    cls: Any = type(tensors[0])
    if cls not in LISTED:
        return None
    try:
        if operation == "rearrange" or operation == "repeat":  # noqa: PLR1714  # faster than a tuple
            return compiled(operation, pattern, cls, tuple(tensors[0].shape), **sizes)
        if operation == "reduce":
            return compiled(operation, pattern, cls, tuple(tensors[0].shape), reduction, tensors[0].dtype, **sizes)
        classes = tuple([type(tensor) for tensor in tensors])
        if not LISTED.issuperset(classes):
            return None
        shapes, dtypes = [tuple(tensor.shape) for tensor in tensors], [tensor.dtype for tensor in tensors]
        return compiled(operation, pattern, classes, tuple(shapes), tuple(dtypes), asked, **sizes)
    except TypeError:
        return None


@followed_as(traced)
def general(
    operation: str, tensors: Any, pattern: Any, sizes: dict[str, Any], reduction: Any = "", asked: Any = None
) -> Any:
    """Make a call that the cache cannot serve; see `plait._executor.slow_path.general`."""
    return cold.general(operation, tensors, pattern, sizes, reduction, asked)


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
    info, more = compiled.cache_info(), contracted.cache_info()
    return type(info)(*[one + other for one, other in zip(info, more, strict=True)])


def cache_clear() -> None:
    """Forget every call and pattern; no result depends on it. A compiled `Pattern` keeps its own calls."""
    for forget in FORGET:
        forget()
