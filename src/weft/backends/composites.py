"""What a framework offers where plans reduce about a centre, as a variance is a sum about the mean."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from weft.backends.calls import Calls


class Composite(NamedTuple):
    """A reduction that is made of two: one finds a centre, the other adds up what is made of each element without it.

    Attributes:
        centre: the calls that find the centre, of elements of the type in which it is taken out.
        settle: ``f(centre)``: the centre as it is taken out, which may be the same memory; or ``None``.
        widen: the elements in the type in which the centre is taken out; ``None`` where that is their own.
        room: new memory of a shape, for what is made of a part of the tensor.
        deviate: ``f(part, centre, memory)``: what is to be added up, in that memory or in other.
        total: the calls that add it up.
        empty: new memory for the result, of a shape.
        quiet: what is entered for all of it, so that nothing is said of what is meant to happen.
        finish: ``f(total, centre, count)``: the result; each element is made of so many.
        prices: those of adding up, with what it takes to make it.
    """

    centre: Calls
    settle: Callable[[Any], Any] | None
    widen: Callable[[Any], Any] | None
    room: Callable[[Any, tuple[int, ...]], Any]
    deviate: Callable[[Any, Any, Any], Any]
    total: Calls
    empty: Callable[[Any, tuple[int, ...]], Any]
    quiet: Callable[[], AbstractContextManager[Any]]
    finish: Callable[[Any, Any, int], Any]
    prices: tuple[tuple[str, Any], ...]
