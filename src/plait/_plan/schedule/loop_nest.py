"""A strided tensor as a nest of loops over its memory, outermost first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Loop(NamedTuple):
    """One dimension, or several that memory runs through as one.

    Attributes:
        length: how many steps it takes.
        stride: by how many bytes one step moves.
        kept: whether the result has it; a reduction combines what it runs through otherwise.
    """

    length: int
    stride: int
    kept: bool = True


class Nest(NamedTuple):
    """Loops in the order of memory, and where they come from.

    Attributes:
        loops: from the longest stride to the shortest; neighbours that run on are one.
        order: of the dimensions of the tensor, those with more than one element, in that order.
    """

    loops: tuple[Loop, ...]
    order: tuple[int, ...]


def nest(shape: Sequence[int], strides: Sequence[int], reduced: Sequence[int] = ()) -> Nest:
    """The loops over a tensor of which some dimensions are reduced.

    >>> nest((4, 6, 2), (48, 8, 4), (1, 2)).loops
    (Loop(length=4, stride=48, kept=True), Loop(length=12, stride=4, kept=False))
    """
    order = sorted([place for place, size in enumerate(shape) if size != 1], key=lambda place: -abs(strides[place]))
    return Nest(merged([Loop(shape[place], strides[place], place not in reduced) for place in order]), tuple(order))


def merged(loops: Sequence[Loop]) -> tuple[Loop, ...]:
    """The same loops, with neighbours of one kind made one where memory runs on from the end of the inner one."""
    found: list[Loop] = []
    for loop in loops:
        last = found[-1] if found else None
        if last is not None and last.kept == loop.kept and last.stride == loop.stride * loop.length:
            found[-1] = Loop(last.length * loop.length, loop.stride, loop.kept)
        else:
            found.append(loop)
    return tuple(found)
