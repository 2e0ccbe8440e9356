"""The hot path: one look-up, then a function that already knows every constant.

`compiled` is the one cache of callables. It is ``functools.lru_cache`` itself: bounded, safe across threads, and
keyed in C by everything that decides a call. ``typed`` tells ``2`` from ``2.0`` and ``True``, so that a bad size
never finds the entry of a good one.

Everything behind a miss is imported by the first call, and not by ``import weft``.
"""

from __future__ import annotations

from functools import lru_cache

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import weft`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CALLS = 4096
"""How many callables are kept: patterns, each with its shape, type, and sizes."""


@lru_cache(maxsize=CALLS, typed=True)
def compiled(operation: str, pattern: str, cls: Any, shape: Any, /, *details: Any, **sizes: Any) -> Callable[..., Any]:
    """The callable of one call; see `weft.run.build.build`.

    Raises:
        TypeError: the call cannot be cached; `weft.run.general.general` makes it.
        WeftError: something in the call is wrong.
    """
    from weft.run.build import build

    return build(operation, pattern, cls, shape, *details, **sizes)


def general(operation: str, tensors: Any, pattern: Any, sizes: dict[str, Any], reduction: Any = "") -> Any:
    """Make a call that the cache cannot serve; see `weft.run.general.general`."""
    from weft.run.general import general

    return general(operation, tensors, pattern, sizes, reduction)
