"""Loop nests: a strided tensor as nested loops over its memory, outermost first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import NamedTuple

from plait._plan.strides import dims_by_stride


class Loop(NamedTuple):
    """A loop over one dimension, or over several that are coalesced."""

    length: int  # the number of iterations
    stride: int  # bytes from one iteration to the next
    is_kept: bool = True  # whether the result has this dimension; otherwise it is reduced


class LoopNest(NamedTuple):
    """The loops over a tensor in the order of memory, and facts about its dimensions."""

    loops: tuple[Loop, ...]  # by decreasing stride, coalesced, without dimensions of length 1
    order: tuple[int, ...]  # the tensor's dimensions, by decreasing stride
    element_count: int  # of the tensor
    innermost_length: int  # of the innermost dimension longer than 1, before coalescing
    reduces_unit_dims: bool  # whether a dimension of length 1 is reduced
    is_coalesced: bool  # whether a loop covers several dimensions
    keeps_row_major_order: bool  # whether the kept dimensions are in memory in their own order


def build_loop_nest(shape: Sequence[int], strides: Sequence[int], reduced: Sequence[int] = ()) -> LoopNest:
    """Return the loop nest of a tensor, with strides in bytes, of which the dimensions ``reduced`` are reduced.

    >>> build_loop_nest((4, 6, 2), (48, 8, 4), (1, 2)).loops
    (Loop(length=4, stride=48, is_kept=True), Loop(length=12, stride=4, is_kept=False))
    """
    order = dims_by_stride(strides)
    dims: list[Loop] = []
    reduces_unit_dims = False
    for dim in order:
        if shape[dim] != 1:
            dims.append(Loop(shape[dim], strides[dim], dim not in reduced))
        elif dim in reduced:
            reduces_unit_dims = True
    loops = coalesce_loops(dims)
    innermost_length = dims[-1].length if dims else 1
    kept_dims = [dim for dim in order if shape[dim] != 1 and dim not in reduced]
    return LoopNest(
        loops,
        order,
        prod(shape),
        innermost_length,
        reduces_unit_dims,
        is_coalesced=len(loops) < len(dims),
        keeps_row_major_order=kept_dims == sorted(kept_dims),
    )


def coalesce_loops(loops: Iterable[Loop]) -> tuple[Loop, ...]:
    """Return the loops with adjacent loops coalesced, where memory continues from the end of the inner one.

    Both must be kept by the result, or both reduced.
    """
    coalesced: list[Loop] = []
    for loop in loops:
        last = coalesced[-1] if coalesced else None
        if last is not None and last.is_kept == loop.is_kept and last.stride == loop.stride * loop.length:
            coalesced[-1] = Loop(last.length * loop.length, loop.stride, loop.is_kept)
        else:
            coalesced.append(loop)
    return tuple(coalesced)


def split_loop(loops: Sequence[Loop], position: int, inner_length: int) -> tuple[Loop, ...]:
    """Return the loops with one of them split in two; ``inner_length`` must divide its length."""
    length, stride, is_kept = loops[position]
    outer_and_inner = Loop(length // inner_length, stride * inner_length, is_kept), Loop(inner_length, stride, is_kept)
    return (*loops[:position], *outer_and_inner, *loops[position + 1 :])


def loops_after_reducing(loops: Sequence[Loop], position: int, itemsize: int) -> tuple[Loop, ...]:
    """Return the loops over the result of reducing one loop: new contiguous memory, with the other loops in order."""
    remaining: list[Loop] = []
    stride = itemsize
    for number in range(len(loops) - 1, -1, -1):
        if number != position:
            length, _, is_kept = loops[number]
            remaining.append(Loop(length, stride, is_kept))
            stride *= length
    return tuple(reversed(remaining))
