"""Schedule a reduction in two passes: a variance, which sums squares of differences from the mean, or a logsumexp.

One call of a framework makes temporary tensors as large as the input: the elements minus the pivot (mean or maximum),
and the squares or exponentials of these differences, which are then summed. Here that is done block by block in the
cache. A block has all elements of its part of the result, so that its pivot is complete; a block that is larger than
the cache is transformed and summed in tiles. The sums of tiles are added in pairs, so that rounding errors stay small.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from plait._plan.schedule.loop_nest import Loop, LoopNest, build_loop_nest
from plait._plan.schedule.reductions import one_call_cost, schedule_reduction
from plait._plan.schedule.schedules import BlockedAxis, TwoPassSchedule
from plait._plan.schedule.techniques import BLOCKING, TWO_PASSES, UNROLLED_SHORT_AXIS
from plait._plan.strides import contiguous_strides
from plait.backends.costs import MemoryCosts

EXTRA_CALLS_PER_TILE_OR_BLOCK = 4
"""The number of calls for a tile beside its sum, and for a block beside its pivot."""


def schedule_two_pass(
    nest: LoopNest, itemsize: int, pivot_costs: MemoryCosts, costs: MemoryCosts
) -> TwoPassSchedule | None:
    """Return the cheapest schedule, or ``None`` if one call of the framework is cheapest.

    ``itemsize`` is the number of bytes of an element. ``pivot_costs`` are the costs of the reduction to the pivot,
    ``costs`` those of all else.
    """
    loops, size = nest.loops, nest.element_count * itemsize
    if not loops or not size:
        return None
    large = size > costs.two_pass_bytes
    if not large and loops[-1].length > costs.two_pass_max_row:
        return None
    max_elements = max(min(costs.block_bytes, size // 2) // costs.transform_bytes, 1)
    lengths = tuple([loop.length for loop in loops])
    block = _choose_block(loops, nest.element_count, max_elements, costs)
    block_shape = lengths if block is None else (*lengths[: block[0]], block[1], *lengths[block[0] + 1 :])
    tile_shape = _choose_tile_shape(loops, block_shape, max_elements, costs)
    best = _with_cost_and_techniques(
        TwoPassSchedule(nest, itemsize, block, tile_shape, False, (), 0.0), block_shape, pivot_costs, costs
    )
    if len(loops) > 1 and loops[-1].length <= costs.max_unrolled:
        unrolled = _with_cost_and_techniques(best._replace(unroll_last=True), block_shape, pivot_costs, costs)
        best = unrolled if unrolled.cost < best.cost else best
    if large or best.cost < costs.max_two_pass_ratio * _one_call_two_pass_cost(nest, itemsize, pivot_costs, costs):
        return best
    return None


def _choose_block(loops: Sequence[Loop], count: int, max_elements: int, costs: MemoryCosts) -> BlockedAxis:
    """Return the outermost kept axis and the length of its blocks; ``None`` for one block.

    A block has about ``max_elements`` of the tensor's ``count`` elements.
    """
    axis = next((position for position, loop in enumerate(loops) if loop.is_kept), None)
    if axis is None:
        return None
    length = loops[axis].length
    block_length = max_elements * length // count
    if axis:
        block_length = max(block_length, -(-costs.min_row // prod([loop.length for loop in loops[axis + 1 :]])))
    return (axis, max(block_length, 1)) if block_length < length else None


def _choose_tile_shape(
    loops: Sequence[Loop], block_shape: Sequence[int], max_elements: int, costs: MemoryCosts
) -> tuple[int, ...]:
    """Return the shape of the largest tile of at most ``max_elements``.

    The innermost loops come first, so that they are whole; but long rows that are kept are split.
    """
    tile_shape: list[int] = []
    remaining = max_elements
    for axis in range(len(loops) - 1, -1, -1):
        length = block_shape[axis]
        outer_count = prod([block_shape[outer] for outer in range(axis) if not loops[outer].is_kept])
        if loops[axis].is_kept and outer_count > 1 and length > max_elements // costs.max_whole_rows:
            length = min(length, max(remaining // outer_count, costs.min_row))
        tile = max(min(length, remaining), 1)
        if tile < block_shape[axis] and tile > costs.tile_multiple:
            tile -= tile % costs.tile_multiple
        tile_shape.append(tile)
        remaining //= tile
    return tuple(reversed(tile_shape))


def _with_cost_and_techniques(
    schedule: TwoPassSchedule, block_shape: Sequence[int], pivot_costs: MemoryCosts, costs: MemoryCosts
) -> TwoPassSchedule:
    """Return the schedule with its estimated cost and its techniques."""
    loops, itemsize, count = schedule.nest.loops, schedule.itemsize, schedule.nest.element_count
    axes = [axis for axis, loop in enumerate(loops) if not loop.is_kept]
    block_count, tile_count = count / prod(block_shape), count / prod(schedule.tile_shape)
    block_nest = build_loop_nest(block_shape, [loop.stride for loop in loops], axes)
    pivot_schedule = schedule_reduction(block_nest, itemsize, pivot_costs)
    pivot_cost = one_call_cost(block_nest, itemsize, pivot_costs) if pivot_schedule is None else pivot_schedule.cost
    unrolled = loops[-1].length if schedule.unroll_last else 1
    tile = schedule.tile_shape[:-1] if schedule.unroll_last else schedule.tile_shape
    tile_nest = temporary_loop_nest(tile, axes, costs)
    sum_schedule = schedule_reduction(tile_nest, costs.transform_bytes, costs)
    sum_cost = one_call_cost(tile_nest, costs.transform_bytes, costs) if sum_schedule is None else sum_schedule.cost
    element = costs.transform_element
    if schedule.unroll_last:
        element += costs.combine_strided_element - costs.combine_element
    row = loops[-2].length if schedule.unroll_last else loops[-1].length
    overhead = EXTRA_CALLS_PER_TILE_OR_BLOCK * costs.call_overhead
    work = count * element + count / row * costs.combine_row_overhead + tile_count * unrolled * overhead
    reread = count * itemsize * costs.memory_byte if prod(block_shape) * itemsize > costs.shared_cache_bytes else 0.0
    cost = block_count * (pivot_cost + overhead) + tile_count * unrolled * sum_cost + work + reread
    pivot_techniques = () if pivot_schedule is None else pivot_schedule.techniques
    names = (TWO_PASSES, *pivot_techniques, *(UNROLLED_SHORT_AXIS,) * schedule.unroll_last, BLOCKING)
    return schedule._replace(techniques=tuple(dict.fromkeys(names)), cost=cost)


def _one_call_two_pass_cost(nest: LoopNest, itemsize: int, pivot_costs: MemoryCosts, costs: MemoryCosts) -> float:
    """Return the estimated nanoseconds of one call, for a tensor whose temporary tensors fit into the cache."""
    lengths, strides, kept_flags = zip(*nest.loops, strict=True)
    axes = [axis for axis, is_kept in enumerate(kept_flags) if not is_kept]
    pivot_cost = one_call_cost(build_loop_nest(lengths, strides, axes), itemsize, pivot_costs)
    sum_cost = one_call_cost(temporary_loop_nest(lengths, axes, costs), costs.transform_bytes, costs)
    count = nest.element_count
    rows = count / lengths[-1]
    transform = (
        count * costs.transform_element
        + rows * costs.combine_row_overhead
        + EXTRA_CALLS_PER_TILE_OR_BLOCK * costs.call_overhead
    )
    return pivot_cost + sum_cost + transform


def temporary_loop_nest(shape: Sequence[int], axes: Sequence[int], costs: MemoryCosts) -> LoopNest:
    """Return the loop nest of the temporary tensor that a tile is transformed to.

    ``shape`` is that of the tile, ``axes`` are reduced.
    """
    strides = contiguous_strides(shape, costs.transform_bytes)
    return build_loop_nest(shape, strides, [axis for axis in axes if axis < len(shape)])
