"""The ways to reduce in two passes: a variance, which is a sum about the mean, or a sum of exponentials.

In one call of a framework such a reduction makes tensors as large as its own: what is left of every element once the
pivot (the mean, or the largest) is taken out. In blocks that the cache holds, that is made and added up a block at a
time. A block has all the elements of its part of the result where it can, so that its pivot is found while it is at
hand; what it has more than the cache holds goes in tiles. Sums of tiles are added in pairs, so that many of them lose
no digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from plait._plan.schedule.loop_nest import Loop, LoopNest, loop_nest
from plait._plan.schedule.nodes import Block, TwoPassReduction
from plait._plan.schedule.reductions import one_call_cost, schedule_reduction
from plait._plan.schedule.techniques import BLOCKING, TWO_PASSES, UNROLLED_SHORT_AXIS
from plait._plan.strides import contiguous_strides
from plait.backends.costs import MemoryCosts

CALLS = 4
"""How many calls a tile takes beside those that add it up, and how many a block beside those that find its pivot."""


def schedule_two_pass(nest: LoopNest, itemsize: int, first: MemoryCosts, then: MemoryCosts) -> TwoPassReduction | None:
    """The cheapest blocks, from the costs of finding the pivot and of the rest; ``None`` where one call is best."""
    loops, size = nest.loops, nest.elements * itemsize
    if not loops or not size:
        return None
    large = size > then.two_pass_bytes
    if not large and loops[-1].length > then.two_pass_max_row:
        return None
    most = max(min(then.block_bytes, size // 2) // then.transform_bytes, 1)
    lengths = tuple([loop.length for loop in loops])
    block = _block(loops, nest.elements, most, then)
    within = lengths if block is None else (*lengths[: block[0]], block[1], *lengths[block[0] + 1 :])
    tiles = _tiles(loops, within, most, then)
    best = _estimated(TwoPassReduction(nest, itemsize, block, tiles, False, (), 0.0), within, first, then)
    if len(loops) > 1 and loops[-1].length <= then.max_unrolled:
        unrolled = _estimated(best._replace(unroll_last=True), within, first, then)
        best = unrolled if unrolled.cost < best.cost else best
    if large or best.cost < then.max_two_pass_ratio * _one_call_cost(nest, itemsize, first, then):
        return best
    return None


def _block(loops: Sequence[Loop], count: int, most: int, costs: MemoryCosts) -> Block:
    """The outermost axis that is kept, and the length of its blocks; ``None`` where it is not cut."""
    axis = next((place for place, loop in enumerate(loops) if loop.kept), None)
    if axis is None:
        return None
    length = loops[axis].length
    part = most * length // count
    if axis:
        part = max(part, -(-costs.min_row // prod([loop.length for loop in loops[axis + 1 :]])))
    return (axis, max(part, 1)) if part < length else None


def _tiles(loops: Sequence[Loop], within: Sequence[int], most: int, costs: MemoryCosts) -> tuple[int, ...]:
    """As much of a block as the cache holds, from the innermost loop outwards; of long rows that are kept, a part."""
    tiles: list[int] = []
    left = most
    for place in range(len(loops) - 1, -1, -1):
        length = within[place]
        outside = prod([within[other] for other in range(place) if not loops[other].kept])
        if loops[place].kept and outside > 1 and length > most // costs.max_whole_rows:
            length = min(length, max(left // outside, costs.min_row))
        tile = max(min(length, left), 1)
        if tile < within[place] and tile > costs.tile_multiple:
            tile -= tile % costs.tile_multiple
        tiles.append(tile)
        left //= tile
    return tuple(reversed(tiles))


def _estimated(way: TwoPassReduction, within: Sequence[int], first: MemoryCosts, then: MemoryCosts) -> TwoPassReduction:
    """The same with what it costs."""
    loops, itemsize, count = way.nest.loops, way.itemsize, way.nest.elements
    axes = [place for place, loop in enumerate(loops) if not loop.kept]
    blocks, tiles = count / prod(within), count / prod(way.tiles)
    block = loop_nest(within, [loop.stride for loop in loops], axes)
    pivot = schedule_reduction(block, itemsize, first)
    found = one_call_cost(block, itemsize, first) if pivot is None else pivot.cost
    unrolled = loops[-1].length if way.unroll_last else 1
    tile = way.tiles[:-1] if way.unroll_last else way.tiles
    nest = temporary_nest(tile, axes, then)
    total = schedule_reduction(nest, then.transform_bytes, then)
    added = one_call_cost(nest, then.transform_bytes, then) if total is None else total.cost
    element = then.transform_element
    if way.unroll_last:
        element += then.combine_strided_element - then.combine_element
    row = loops[-2].length if way.unroll_last else loops[-1].length
    overhead = CALLS * then.call_overhead
    work = count * element + count / row * then.combine_row_overhead + tiles * unrolled * overhead
    again = count * itemsize * then.memory_byte if prod(within) * itemsize > then.shared_cache_bytes else 0.0
    cost = blocks * (found + overhead) + tiles * unrolled * added + work + again
    names = (
        TWO_PASSES,
        *(pivot.techniques if pivot is not None else ()),
        *(UNROLLED_SHORT_AXIS,) * way.unroll_last,
        BLOCKING,
    )
    return way._replace(techniques=tuple(dict.fromkeys(names)), cost=cost)


def _one_call_cost(nest: LoopNest, itemsize: int, first: MemoryCosts, then: MemoryCosts) -> float:
    """Nanoseconds of one call of the framework's, which makes temporaries as large as the tensor, in the cache."""
    lengths, strides, kept = zip(*nest.loops, strict=True)
    axes = [place for place, stays in enumerate(kept) if not stays]
    pivot = one_call_cost(loop_nest(lengths, strides, axes), itemsize, first)
    total = one_call_cost(temporary_nest(lengths, axes, then), then.transform_bytes, then)
    rows = nest.elements / lengths[-1]
    made = nest.elements * then.transform_element + rows * then.combine_row_overhead + CALLS * then.call_overhead
    return pivot + total + made


def temporary_nest(shape: Sequence[int], axes: Sequence[int], costs: MemoryCosts) -> LoopNest:
    """The loops over new memory of what a tile is transformed into."""
    return loop_nest(
        shape, contiguous_strides(shape, costs.transform_bytes), [axis for axis in axes if axis < len(shape)]
    )
