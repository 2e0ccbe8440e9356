"""The ways to reduce what has a centre: a variance, which is a sum about the mean, or a sum of exponentials.

In one call of a framework such a reduction makes tensors as large as its own: what is left of every element once the
centre is taken out. In blocks that the cache holds, that is made and added up a block at a time. A block has all the
elements of its part of the result where it can, so that its centre is found while it is at hand; what it has more than
the cache holds goes in tiles. Sums of tiles are added in pairs, so that many of them lose no digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from plait._plan.schedule.loop_nest import Loop, nest
from plait._plan.schedule.nodes import Centred
from plait._plan.schedule.reductions import one_call, reduced
from plait._plan.schedule.rewrites import APART, BLOCKS, CENTRE
from plait._plan.strides import contiguous
from plait.backends.costs import MemoryCosts

CENTRES = {"var": "mean", "std": "mean", "logsumexp": "max"}
"""The reductions that have a centre, which is another reduction."""

LARGE = 1 << 22
"""A tensor of more bytes goes in blocks at any rate: neither it nor what one call makes of it would stay at hand."""

WORTH = 0.8
"""What part of the plain call's time blocks may take, as estimated, to be worth it where memory is no question."""

LONG = 2048
"""Rows longer than this are nothing that one call is slow at, where all of it is at hand."""

ROW = 2048
"""How many elements that lie side by side a block has at least, if there are so many."""

WHOLE = 16
"""Rows that are kept, and not longer than this part of a tile, are not cut."""

EVEN = 128
"""Of so many elements longer tiles are a multiple."""

CALLS = 4
"""How many calls a tile takes beside those that add it up, and how many a block beside those that find its centre."""

TEMPORARY = 5
"""How often one call goes to main memory with what is left of each element."""


def centred(
    shape: Sequence[int],
    strides: Sequence[int],
    axes: Sequence[int],
    itemsize: int,
    first: MemoryCosts,
    then: MemoryCosts,
) -> Centred | None:
    """The blocks in which to reduce a tensor that is too large for one call, or ``None`` where one call is best.

    Args:
        shape: of the tensor.
        strides: in bytes.
        axes: the dimensions to be reduced.
        itemsize: bytes of an element.
        first: the costs of the reduction that finds the centre.
        then: those of what is left to do.
    """
    loops, order = nest(shape, strides, axes)
    count = prod(shape)
    if not loops or not count:
        return None
    large = count * itemsize > LARGE
    if not large and loops[-1].length > LONG:
        return None
    most = max(min(then.block_bytes, count * itemsize // 2) // then.transform_bytes, 1)
    block = _block(loops, most)
    lengths = tuple([loop.length for loop in loops])
    within = lengths if block is None else (*lengths[: block[0]], block[1], *lengths[block[0] + 1 :])
    ways = []
    for apart in (False, True) if _short(loops, then) else (False,):
        tiles = _tiles(loops, within, most)
        way = Centred(order, itemsize, loops, block, tiles, apart, (), 0.0, 0.0)
        ways.append(_priced(way, within, first, then))
    best = min(ways, key=lambda way: way.cost)
    return best if large or best.cost < WORTH * best.plain else None


def _short(loops: Sequence[Loop], costs: MemoryCosts) -> bool:
    """Whether each of the innermost elements may have calls of its own."""
    return len(loops) > 1 and loops[-1].length <= costs.max_unrolled


def _block(loops: Sequence[Loop], most: int) -> tuple[int, int] | None:
    """The outermost axis that is kept, and the length of its parts; ``None`` where it is not cut."""
    axis = next((place for place, loop in enumerate(loops) if loop.kept), None)
    if axis is None:
        return None
    length = loops[axis].length
    part = most * length // prod([loop.length for loop in loops])
    if axis:
        part = max(part, -(-ROW // prod([loop.length for loop in loops[axis + 1 :]])))
    return (axis, max(part, 1)) if part < length else None


def _tiles(loops: Sequence[Loop], within: Sequence[int], most: int) -> tuple[int, ...]:
    """As much of a block as the cache holds, from the innermost loop outwards; of long rows that are kept, a part."""
    tiles: list[int] = []
    room = most
    for place in range(len(loops) - 1, -1, -1):
        length = within[place]
        outside = prod([within[other] for other in range(place) if not loops[other].kept])
        if loops[place].kept and outside > 1 and length > most // WHOLE:
            length = min(length, max(room // outside, ROW))
        tile = max(min(length, room), 1)
        if tile < within[place] and tile > EVEN:
            tile -= tile % EVEN
        tiles.append(tile)
        room //= tiles[-1]
    return tuple(reversed(tiles))


def _priced(way: Centred, within: Sequence[int], first: MemoryCosts, then: MemoryCosts) -> Centred:
    """What a way costs, and what one call does."""
    loops, itemsize = way.loops, way.itemsize
    axes = [place for place, loop in enumerate(loops) if not loop.kept]
    shape, strides = [loop.length for loop in loops], [loop.stride for loop in loops]
    count, size = prod(shape), prod(shape) * itemsize
    blocks, tiles = count / prod(within), count / prod(way.tiles)
    centre = reduced(within, strides, axes, itemsize, first)
    found = one_call(within, strides, axes, itemsize, first) if centre is None else centre.cost
    short = way.apart * loops[-1].length
    tile = way.tiles[:-1] if way.apart else way.tiles
    added = summed(tile, [axis for axis in axes if axis < len(tile)], then)
    plain_sum = one_call(
        shape, [stride * then.transform_bytes for stride in contiguous(shape)], axes, then.transform_bytes, then
    )
    element = then.transform_element + (then.combine_strided_element - then.combine_element) * way.apart
    row = loops[-2].length if way.apart else loops[-1].length
    work = (
        count * element + count / row * then.combine_row_overhead + tiles * max(short, 1) * CALLS * then.call_overhead
    )
    again = size * then.memory_byte if prod(within) * itemsize > then.shared_cache_bytes else 0.0
    cost = blocks * (found + CALLS * then.call_overhead / 1e3) + tiles * max(short, 1) * added + (work + again) / 1e3
    made = (
        count * then.transform_element
        + count / loops[-1].length * then.combine_row_overhead
        + CALLS * then.call_overhead
    )
    if size > LARGE:
        made += count * then.transform_bytes * (TEMPORARY * then.memory_byte + then.page_fault_byte)
    plain = one_call(shape, strides, axes, itemsize, first) + plain_sum + made / 1e3
    names = (CENTRE, *(centre.rewrites if centre is not None else ()), *(APART,) * way.apart, BLOCKS)
    return way._replace(rewrites=tuple(dict.fromkeys(names)), cost=cost, plain=plain)


def summed(tile: Sequence[int], axes: Sequence[int], costs: MemoryCosts) -> float:
    """Microseconds to add up a tile that lies at hand."""
    strides = [stride * costs.transform_bytes for stride in contiguous(tile)]
    way = reduced(tile, strides, axes, costs.transform_bytes, costs)
    return one_call(tile, strides, axes, costs.transform_bytes, costs) if way is None else way.cost
