"""All caches: each is bounded and safe across threads, is registered here, and is emptied by `plait.cache_clear`."""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import plait`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Cached = TypeVar("Cached", bound=Any)

_CLEAR: list[Callable[[], None]] = []


def on_clear(clear: Callable[[], None]) -> None:
    """Call this function whenever all caches are emptied."""
    _CLEAR.append(clear)


def register(cache: Cached) -> Cached:
    """Have a function that ``functools.lru_cache`` made forget all its results with the others; a decorator."""
    on_clear(cache.cache_clear)
    return cache


def cache_clear() -> None:
    """Forget every call and pattern; no result depends on it. A compiled `Pattern` keeps its own calls."""
    for clear in _CLEAR:
        clear()
