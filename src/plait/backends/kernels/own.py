"""Functions that are part of one kernel alone."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

from numba.extending import register_jitable


def own(key: str) -> Callable[[Any], Any]:
    """What makes of a function another that is part of the kernel of that key, and of no other.

    Kernels are compiled one by one, and loaded together, perhaps from what several processes left on the disk. Then
    functions of one name and signature are taken for one function, so that the name has to say whose it is.
    """

    def named(function: Any) -> Any:
        name = f"{function.__name__.strip('<>')}_{key.replace(' ', '_')}"
        copy = FunctionType(function.__code__, function.__globals__, name, None, function.__closure__)
        copy.__qualname__ = name
        return register_jitable(copy)

    return named
