"""Schedule a copy: in tiles that fit into the cache, or with a call for each element of a short row.

A framework writes the result row by row. Where that reads the tensor with large strides, a cache line is evicted before
its other elements are read, unless the copy is done tile by tile. Where the rows are short, as those of three color
channels are, each row starts a loop over a few elements, unless each element of a row has a call of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, prod

from plait._plan.schedule.loop_nest import Loop, coalesce_loops
from plait._plan.schedule.schedules import CopySchedule
from plait._plan.schedule.techniques import BLOCKING, UNROLLED_SHORT_AXIS
from plait.backends.costs import CACHE_LINE_BYTES, MemoryCosts

CACHE_ASSOCIATIVITY, PAGE_BYTES = 8, 4096
"""The nearest cache holds at most 8 lines whose addresses differ by a multiple of 4096, since these share one set."""

TLB_PAGES = 1024
"""How many pages the processor's translation lookaside buffer (TLB) holds."""

TILE_CACHE_LINE_LIMITS = (CACHE_ASSOCIATIVITY, 64, 512, 4096)
"""The limits that are tried for the number of cache lines that a tile touches before it reads the first one again."""

MAX_UNROLLED_ROW_LENGTH = 8
"""Rows of up to this many elements may get a call for each element."""


def schedule_copy(
    shape: Sequence[int], strides: Sequence[int], itemsize: int, costs: MemoryCosts
) -> CopySchedule | None:
    """Return the cheapest schedule to copy a tensor, with strides in bytes, into new row-major memory.

    Return ``None`` if one call of the framework is cheapest.
    """
    loops = coalesce_loops([Loop(size, stride) for size, stride in zip(shape, strides, strict=True) if size != 1])
    if len(loops) < 2:
        return None
    lengths = tuple([loop.length for loop in loops])
    one_call = _estimate_cost(loops, lengths, itemsize, costs)
    best = CopySchedule(lengths, lengths, (), one_call)
    for tile_shape in _list_tile_shapes(loops, lengths, itemsize, costs):
        cost = _estimate_cost(loops, tile_shape, itemsize, costs)
        if cost < best.cost:
            best = best._replace(tile_shape=tile_shape, cost=cost)
    if best.cost > costs.max_copy_ratio * one_call:
        return None
    is_unrolled = best.tile_shape[-1] == 1
    is_tiled = best.tile_shape[: len(loops) - is_unrolled] != lengths[:-1]
    return best._replace(techniques=(UNROLLED_SHORT_AXIS,) * is_unrolled + (BLOCKING,) * is_tiled)


def _list_tile_shapes(
    loops: Sequence[Loop], lengths: Sequence[int], itemsize: int, costs: MemoryCosts
) -> Iterator[tuple[int, ...]]:
    """Yield the tile shapes that may be faster than one call.

    The loops inside the one with the smallest stride are cut, so that a tile touches a limited number of cache lines.
    The other loops are not cut if a tile then writes whole cache lines; otherwise they are cut so that a tile has at
    most as many elements as a cache holds. For short rows, tiles of one element of each row are yielded too.
    """
    strided_axes = [axis for axis, loop in enumerate(loops) if loop.stride]
    fastest = min(strided_axes, key=lambda axis: abs(loops[axis].stride), default=len(loops) - 1)
    caches = [size // itemsize for size in (costs.cache_bytes, costs.shared_cache_bytes)]
    for line_count in TILE_CACHE_LINE_LIMITS:
        tile_shape, remaining = list(lengths), line_count
        for axis in range(len(loops) - 1, fastest, -1):
            tile_shape[axis] = min(lengths[axis], max(remaining, 1))
            remaining //= tile_shape[axis]
        if _contiguous_result_length(lengths, tile_shape) * itemsize >= CACHE_LINE_BYTES:
            yield tuple(tile_shape)
        else:
            for max_elements in caches:
                yield _grow_tile(lengths, tile_shape, fastest, max_elements)
    if lengths[-1] <= MAX_UNROLLED_ROW_LENGTH:
        for max_elements in caches:
            yield _grow_tile(lengths, [*lengths[:-1], 1], len(loops) - 2, max_elements)


def _contiguous_result_length(lengths: Sequence[int], tile_shape: Sequence[int]) -> int:
    """Return the number of elements that a tile writes one after the other without a gap."""
    length = 1
    for loop_length, tile in zip(reversed(lengths), reversed(tile_shape), strict=True):
        length *= tile
        if tile < loop_length:
            break
    return length


def _grow_tile(lengths: Sequence[int], tile_shape: Sequence[int], last_loop: int, max_elements: int) -> tuple[int, ...]:
    """Return the tile shape with the loops from ``last_loop`` outwards made as long as possible.

    The tile then spans at most ``max_elements`` of the result. The loops inside ``last_loop`` keep their tile lengths.
    """
    grown = list(tile_shape)
    remaining = max_elements // prod(lengths[last_loop + 1 :])
    for axis in range(last_loop, -1, -1):
        grown[axis] = max(min(lengths[axis], remaining), 1)
        remaining //= grown[axis]
    return tuple(grown)


def _estimate_cost(loops: Sequence[Loop], tile_shape: Sequence[int], itemsize: int, costs: MemoryCosts) -> float:
    """Return the estimated nanoseconds of a copy by one call for each tile."""
    tiled_axes = [axis for axis, tile in enumerate(tile_shape) if tile > 1]
    if not tiled_axes:
        return inf
    count = prod([loop.length for loop in loops])
    calls = prod([-(-loop.length // tile) for loop, tile in zip(loops, tile_shape, strict=True)])
    innermost = tiled_axes[-1]
    read_stride = abs(loops[innermost].stride)
    write_stride = itemsize * prod([loop.length for loop in loops[innermost + 1 :]])
    element = costs.copy_element if read_stride == write_stride == itemsize else costs.copy_strided_element
    time = calls * costs.call_overhead + count / tile_shape[innermost] * costs.copy_row_overhead
    time += count * element * max(itemsize / 4, 1)
    if count * itemsize > costs.cache_bytes:
        read_stride = read_stride if read_stride < CACHE_LINE_BYTES else itemsize
        time += count * (read_stride * costs.memory_byte + itemsize * (costs.memory_byte + costs.page_fault_byte))
        time += count * itemsize * costs.memory_byte * 2 * _extra_writes_per_line(loops, tile_shape, itemsize, costs)
    return time + count * _refetch_cost_per_element(loops, tile_shape, tiled_axes, costs)


def _extra_writes_per_line(
    loops: Sequence[Loop], tile_shape: Sequence[int], itemsize: int, costs: MemoryCosts
) -> float:
    """Return how many extra times a cache line of the result is written, because each call fills only a part of it."""
    lengths = [loop.length for loop in loops]
    run_bytes = _contiguous_result_length(lengths, tile_shape) * itemsize
    last_partial = max([axis for axis, tile in enumerate(tile_shape) if tile < lengths[axis]], default=None)
    if run_bytes >= CACHE_LINE_BYTES or last_partial is None:
        return 0.0
    region_bytes = prod([*tile_shape[:last_partial], *lengths[last_partial:]]) * itemsize
    return (CACHE_LINE_BYTES / run_bytes - 1) * (
        0.0 if region_bytes <= costs.cache_bytes else 0.25 if region_bytes <= costs.shared_cache_bytes else 1.0
    )


def _refetch_cost_per_element(
    loops: Sequence[Loop], tile_shape: Sequence[int], tiled_axes: Sequence[int], costs: MemoryCosts
) -> float:
    """Return the nanoseconds per element to fetch cache lines again that were evicted before they were fully read."""
    strided_axes = [axis for axis in tiled_axes if loops[axis].stride]
    if not strided_axes or abs(loops[strided_axes[-1]].stride) < CACHE_LINE_BYTES:
        return 0.0  # the innermost loop reads every cache line once
    fastest = min(strided_axes, key=lambda axis: abs(loops[axis].stride))
    inner_axes = strided_axes[strided_axes.index(fastest) + 1 :] or strided_axes
    line_count = prod([tile_shape[axis] for axis in inner_axes])
    may_conflict = all(loops[axis].stride % PAGE_BYTES == 0 for axis in inner_axes)
    if line_count > TLB_PAGES and any(abs(loops[axis].stride) >= PAGE_BYTES for axis in inner_axes):
        return costs.tlb_miss_line
    if line_count * CACHE_LINE_BYTES > costs.cache_bytes or (may_conflict and line_count > CACHE_ASSOCIATIVITY**2):
        return costs.memory_line
    return costs.shared_cache_line if may_conflict and line_count > CACHE_ASSOCIATIVITY else 0.0
