"""From calls to one callable, with nothing between the calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

Call: TypeAlias = tuple[Callable[[Any, Any], Any], Any]
"""A function of a tensor and a constant, and the constant."""


def compose(calls: Sequence[Call]) -> Callable[[Any], Any]:
    """One function of a tensor that makes the calls in order, each on what the one before gave.

    Up to four calls, as most patterns need, share a single frame of Python.
    """
    match calls:
        case []:
            return _identity
        case [(f, a)]:
            return lambda tensor: f(tensor, a)
        case [(f, a), (g, b)]:
            return lambda tensor: g(f(tensor, a), b)
        case [(f, a), (g, b), (h, c)]:
            return lambda tensor: h(g(f(tensor, a), b), c)
        case [(f, a), (g, b), (h, c), (i, d)]:
            return lambda tensor: i(h(g(f(tensor, a), b), c), d)
        case _:
            first, rest = compose(calls[:4]), compose(calls[4:])
            return lambda tensor: rest(first(tensor))


def _identity(tensor: Any) -> Any:
    return tensor
