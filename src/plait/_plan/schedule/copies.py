"""The ways to copy: in tiles that the cache holds, and short rows one element at a time.

A framework fills a result row by row. Where that makes it jump through the tensor, the lines that it fetched are gone
before it comes back for their other elements, unless it copies a tile at a time. And where the rows are short, as those
of three colours are, it begins a row for every few elements, unless each element of a row has a call of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, prod

from plait._plan.schedule.loop_nest import Loop, coalesce
from plait._plan.schedule.nodes import TiledCopy
from plait._plan.schedule.techniques import BLOCKING, UNROLLED_SHORT_AXIS
from plait.backends.costs import CACHE_LINE, MemoryCosts

WAYS, PAGE = 8, 4096
"""Of the lines that lie a multiple of this many bytes apart the nearest cache keeps so many: they share a set."""

PAGES = 1024
"""Of so many pages the processor knows at a time where they are."""

HELD = (WAYS, 64, 512, 4096)
"""How many lines a tile may come back to."""

UNROLLED_UP_TO = 8
"""How many elements a row may have so that each has a call of its own."""


def schedule_copy(shape: Sequence[int], strides: Sequence[int], itemsize: int, costs: MemoryCosts) -> TiledCopy | None:
    """The cheapest way to copy a tensor, with strides in bytes, into new row-major memory; ``None``: by one call."""
    loops = coalesce([Loop(size, stride) for size, stride in zip(shape, strides, strict=True) if size != 1])
    if len(loops) < 2:
        return None
    lengths = tuple([loop.length for loop in loops])
    plain = _cost(loops, lengths, itemsize, costs)
    best = TiledCopy(lengths, lengths, (), plain)
    for tiles in _tilings(loops, lengths, itemsize, costs):
        cost = _cost(loops, tiles, itemsize, costs)
        if cost < best.cost:
            best = best._replace(tiles=tiles, cost=cost)
    if best.cost > costs.max_copy_ratio * plain:
        return None
    unrolled = best.tiles[-1] == 1
    tiled = best.tiles[: len(loops) - unrolled] != lengths[:-1]
    return best._replace(techniques=(UNROLLED_SHORT_AXIS,) * unrolled + (BLOCKING,) * tiled)


def _tilings(
    loops: Sequence[Loop], lengths: Sequence[int], itemsize: int, costs: MemoryCosts
) -> Iterator[tuple[int, ...]]:
    """Tiles that may be faster: along the tensor's own rows, with as much beside them as a cache holds."""
    moving = [place for place, loop in enumerate(loops) if loop.stride]
    unit = min(moving, key=lambda place: abs(loops[place].stride), default=len(loops) - 1)
    caches = [size // itemsize for size in (costs.cache_bytes, costs.shared_cache_bytes)]
    for held in HELD:
        tiles, left = list(lengths), held
        for place in range(len(loops) - 1, unit, -1):
            tiles[place] = min(lengths[place], max(left, 1))
            left //= tiles[place]
        if _run(lengths, tiles) * itemsize >= CACHE_LINE:
            yield tuple(tiles)
        else:
            for most in caches:
                yield _grown(lengths, tiles, unit, most)
    if lengths[-1] <= UNROLLED_UP_TO:
        for most in caches:
            yield _grown(lengths, [*lengths[:-1], 1], len(loops) - 2, most)


def _run(lengths: Sequence[int], tiles: Sequence[int]) -> int:
    """How many elements of the result that lie side by side a tile has."""
    run = 1
    for length, tile in zip(reversed(lengths), reversed(tiles), strict=True):
        run *= tile
        if tile < length:
            break
    return run


def _grown(lengths: Sequence[int], tiles: Sequence[int], last: int, most: int) -> tuple[int, ...]:
    """These tiles, with as much of the loops up to ``last`` as so many elements of the result allow."""
    found = list(tiles)
    left = most // prod(lengths[last + 1 :])
    for place in range(last, -1, -1):
        found[place] = max(min(lengths[place], left), 1)
        left //= found[place]
    return tuple(found)


def _cost(loops: Sequence[Loop], tiles: Sequence[int], itemsize: int, costs: MemoryCosts) -> float:
    """Nanoseconds to copy in such tiles."""
    within = [place for place, tile in enumerate(tiles) if tile > 1]
    if not within:
        return inf
    count = prod([loop.length for loop in loops])
    calls = prod([-(-loop.length // tile) for loop, tile in zip(loops, tiles, strict=True)])
    inner = within[-1]
    read = abs(loops[inner].stride)
    written = itemsize * prod([loop.length for loop in loops[inner + 1 :]])
    element = costs.copy_element if read == written == itemsize else costs.copy_strided_element
    time = calls * costs.call_overhead + count / tiles[inner] * costs.copy_row_overhead
    time += count * element * max(itemsize / 4, 1)
    if count * itemsize > costs.cache_bytes:
        read = read if read < CACHE_LINE else itemsize
        time += count * (read * costs.memory_byte + itemsize * (costs.memory_byte + costs.page_fault_byte))
        time += count * itemsize * costs.memory_byte * 2 * _rewritten(loops, tiles, itemsize, costs)
    return time + count * _fetching(loops, tiles, within, costs)


def _rewritten(loops: Sequence[Loop], tiles: Sequence[int], itemsize: int, costs: MemoryCosts) -> float:
    """How many times more lines of the result are written than there are, since a call fills a part of each alone."""
    lengths = [loop.length for loop in loops]
    run = _run(lengths, tiles) * itemsize
    partial = max([place for place, tile in enumerate(tiles) if tile < lengths[place]], default=None)
    if run >= CACHE_LINE or partial is None:
        return 0.0
    region = prod([*tiles[:partial], *lengths[partial:]]) * itemsize
    return (CACHE_LINE / run - 1) * (
        0.0 if region <= costs.cache_bytes else 0.25 if region <= costs.shared_cache_bytes else 1.0
    )


def _fetching(loops: Sequence[Loop], tiles: Sequence[int], within: Sequence[int], costs: MemoryCosts) -> float:
    """Nanoseconds an element for lines that are fetched again, since they were gone before all of them was read."""
    moving = [place for place in within if loops[place].stride]
    if not moving or abs(loops[moving[-1]].stride) < CACHE_LINE:  # read in order
        return 0.0
    unit = min(moving, key=lambda place: abs(loops[place].stride))
    inside = moving[moving.index(unit) + 1 :] or moving
    lines = prod([tiles[place] for place in inside])
    conflicting = all(loops[place].stride % PAGE == 0 for place in inside)
    if lines > PAGES and any(abs(loops[place].stride) >= PAGE for place in inside):
        return costs.tlb_miss_line
    if lines * CACHE_LINE > costs.cache_bytes or (conflicting and lines > WAYS * WAYS):
        return costs.memory_line
    return costs.shared_cache_line if conflicting and lines > WAYS else 0.0
