"""A strided tensor as a nest of loops over its memory, outermost first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import NamedTuple

from plait._plan.strides import dims_by_stride


class Loop(NamedTuple):
    """One dimension, or several that memory runs through as one."""

    length: int  # how many steps it takes
    stride: int  # by how many bytes one step moves
    kept: bool = True  # whether the result has it, or what it runs through is combined


class LoopNest(NamedTuple):
    """Loops in the order of memory, and where they come from."""

    loops: tuple[Loop, ...]  # from the longest stride to the shortest, coalesced, without units
    order: tuple[int, ...]  # of the tensor's dimensions
    elements: int  # how many there are
    innermost: int  # the length of the innermost dimension that is not a unit, before it was coalesced with others
    reduces_units: bool  # whether a dimension of one element is reduced
    coalesced: bool  # whether a loop is several dimensions


def loop_nest(shape: Sequence[int], strides: Sequence[int], reduced: Sequence[int] = ()) -> LoopNest:
    """The loops over a tensor, with strides in bytes, of which some dimensions are reduced.

    >>> loop_nest((4, 6, 2), (48, 8, 4), (1, 2)).loops
    (Loop(length=4, stride=48, kept=True), Loop(length=12, stride=4, kept=False))
    """
    order = dims_by_stride(strides)
    dims: list[Loop] = []
    reduces_units = False
    for dim in order:
        if shape[dim] != 1:
            dims.append(Loop(shape[dim], strides[dim], dim not in reduced))
        elif dim in reduced:
            reduces_units = True
    loops = coalesce(dims)
    innermost = dims[-1].length if dims else 1
    return LoopNest(loops, order, prod(shape), innermost, reduces_units, len(loops) < len(dims))


def coalesce(loops: Iterable[Loop]) -> tuple[Loop, ...]:
    """The same loops, with neighbours of one kind made one where memory runs on from the end of the inner one."""
    found: list[Loop] = []
    for loop in loops:
        last = found[-1] if found else None
        if last is not None and last.kept == loop.kept and last.stride == loop.stride * loop.length:
            found[-1] = Loop(last.length * loop.length, loop.stride, loop.kept)
        else:
            found.append(loop)
    return tuple(found)


def split(loops: Sequence[Loop], place: int, inner: int) -> tuple[Loop, ...]:
    """The same loops, with one of them made two, of which the inner one has a length that divides that of both."""
    length, stride, kept = loops[place]
    parts = Loop(length // inner, stride * inner, kept), Loop(inner, stride, kept)
    return (*loops[:place], *parts, *loops[place + 1 :])


def without(loops: Sequence[Loop], place: int, itemsize: int) -> tuple[Loop, ...]:
    """The loops over what is left once one of them is reduced: new memory, filled in their order."""
    found: list[Loop] = []
    stride = itemsize
    for other in range(len(loops) - 1, -1, -1):
        if other != place:
            length, _, kept = loops[other]
            found.append(Loop(length, stride, kept))
            stride *= length
    return tuple(reversed(found))
