"""All caches: each is bounded and safe across threads, is registered here, and is emptied by `plait.cache_clear`."""

from __future__ import annotations

from functools import lru_cache

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import plait`
if TYPE_CHECKING:
    from collections.abc import Callable
    from functools import _lru_cache_wrapper
    from typing import TypeVar

    Result = TypeVar("Result")

_CLEAR: list[Callable[[], None]] = []


def on_clear(clear: Callable[[], None]) -> None:
    """Call this function whenever all caches are emptied."""
    _CLEAR.append(clear)


def cached(maxsize: int, *, typed: bool = False) -> Callable[[Callable[..., Result]], _lru_cache_wrapper[Result]]:
    """``functools.lru_cache``, which forgets all its results with the other caches; a decorator."""

    def decorate(function: Callable[..., Result]) -> _lru_cache_wrapper[Result]:
        cache = lru_cache(maxsize, typed)(function)
        on_clear(cache.cache_clear)
        return cache

    return decorate


def cache_clear() -> None:
    """Forget every call and pattern; no result depends on it. A compiled `Pattern` keeps its own calls."""
    for clear in _CLEAR:
        clear()
