"""What is known of each kernel in this process."""

from __future__ import annotations

import os
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

READY, COMPILING = "kernel", "the kernel is being compiled"


class Kernel:
    """A kernel, or the way to one.

    Attributes:
        key: reduction, or ``copy``, and type.
        function: what was compiled, or ``None``.
        why: what there is to say of it, for ``explain``.
        asked: whether somebody waits for it.
    """

    __slots__ = ("asked", "function", "key", "why")

    def __init__(self, key: str) -> None:
        self.key = key
        self.function: Any = None
        self.why = "the kernel is not compiled yet"
        self.asked = False

    def arrived(self, function: Any) -> None:
        self.why, self.function = READY, function

    def failed(self, why: str) -> None:
        self.why = why


@lru_cache(maxsize=512)
def kernel(key: str) -> Kernel:
    """The one kernel of that key."""
    return Kernel(key)


def unavailable() -> str | None:
    """Why there are no kernels at all, or ``None`` where there are."""
    if os.environ.get("PLAIT_KERNELS", "").lower() in {"off", "0", "no"}:
        return "PLAIT_KERNELS is off"
    return None if _installed() else "numba is not installed"


@lru_cache(maxsize=1)
def _installed() -> bool:
    try:
        return find_spec("numba") is not None
    except (ImportError, ValueError):  # somebody put a stranger in its place
        return False
