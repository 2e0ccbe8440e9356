"""The state of each kernel in this process, and the reason if there are no kernels at all."""

from __future__ import annotations

import os
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

READY, COMPILING = "kernel", "the kernel is being compiled"


class Kernel:
    """A kernel and its state: not compiled yet, being compiled, ready, or failed.

    Attributes:
        key: the reduction and its element type, as in ``"max float32"``, or ``copy`` and the bytes of a word.
        function: the compiled function; ``None`` until it is ready.
        why: the state as text, which ``explain`` prints.
        asked: whether the kernel was requested from the background thread.
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


_KERNEL_BY_KEY: dict[str, Kernel] = {}
"""The kernels that were asked for: one for each reduction and element type at most."""


def kernel(key: str) -> Kernel:
    """Return the kernel of that key; every call returns the same object, in every thread."""
    found = _KERNEL_BY_KEY.get(key)
    return _KERNEL_BY_KEY.setdefault(key, Kernel(key)) if found is None else found


def unavailable() -> str | None:
    """Return the reason why there are no kernels in this process; ``None`` if there are."""
    if os.environ.get("PLAIT_KERNELS", "").lower() in {"off", "0", "no"}:
        return "PLAIT_KERNELS is off"
    return None if _installed() else "numba is not installed"


@lru_cache(maxsize=1)
def _installed() -> bool:
    try:
        return find_spec("numba") is not None
    except (
        ImportError,
        ValueError,
    ):  # sys.modules has an object of this name without a spec, or an import hook failed
        return False
