"""The registry of all caches: each is bounded and thread-safe, and `plait.cache_clear` empties them all.

``functools.lru_cache`` locks itself, also on a free-threaded build of Python. It does not make other threads wait for a
result: two threads that miss the same key at once both compute it, and one of the results is not kept. So a cached
function must return equal results for equal arguments, and nobody may rely on getting the same object twice.
"""

from __future__ import annotations

from _weakref import ref  # `weakref` would make `import plait` slower
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from functools import _lru_cache_wrapper
    from typing import Any, TypeVar

    Result = TypeVar("Result")

_CLEAR_FUNCTIONS: list[Callable[[], None]] = []
"""Functions without arguments, each of which empties one cache."""


def register_clear_function(clear_function: Callable[[], None]) -> None:
    """Make `cache_clear` call this function too."""
    _CLEAR_FUNCTIONS.append(clear_function)


def clearable_lru_cache(
    maxsize: int, *, typed: bool = False
) -> Callable[[Callable[..., Result]], _lru_cache_wrapper[Result]]:
    """Return a decorator like ``functools.lru_cache`` whose caches are emptied by `cache_clear`."""

    def decorate(function: Callable[..., Result]) -> _lru_cache_wrapper[Result]:
        cache = lru_cache(maxsize, typed)(function)
        register_clear_function(cache.cache_clear)
        return cache

    return decorate


_CALLABLES_BY_OWNER: dict[int, tuple[object, dict[Any, Any]]] = {}
"""By the ``id`` of a compiled pattern, a weak reference to it, and the dictionary of its callables."""


def register_callables(owner: object, callables: dict[Any, Any]) -> None:
    """Let `forget_callables` empty a dictionary, as long as its owner is alive."""
    number = id(owner)
    _CALLABLES_BY_OWNER[number] = ref(owner, lambda _: _CALLABLES_BY_OWNER.pop(number, None)), callables


def forget_callables() -> None:
    """Empty the caches of all calls and patterns, and those that compiled patterns keep themselves."""
    cache_clear()
    for _, callables in [*_CALLABLES_BY_OWNER.values()]:
        callables.clear()


def cache_clear() -> None:
    """Empty the caches of all calls and patterns.

    No result changes; the next call of each pattern is slower, because it is parsed and planned again. A compiled
    `Pattern` keeps the calls that it has cached itself.

    Examples:
        >>> import numpy as np
        >>> import plait
        >>> plait.rearrange(np.zeros((2, 3)), "h w -> w h").shape
        (3, 2)
        >>> plait.cache_clear()
        >>> plait.cache_info().currsize
        0
    """
    for clear_function in _CLEAR_FUNCTIONS:
        clear_function()
