"""Gives the functions that a kernel calls a name that no function of another kernel has."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

from numba.extending import register_jitable


def own(key: str) -> Callable[[Any], Any]:
    """Return a decorator that makes a function callable from the kernel of that key; the function's name gets the key.

    Kernels are compiled one by one and loaded together, perhaps from the files of several processes. Numba then takes
    functions of the same name and signature for the same function, so the names must differ between kernels.
    """

    def named(function: Any) -> Any:
        name = f"{function.__name__.strip('<>')}_{key.replace(' ', '_')}"
        copy = FunctionType(function.__code__, function.__globals__, name, None, function.__closure__)
        copy.__qualname__ = name
        return register_jitable(copy)

    return named
