"""Schedule a reduction: in which order the axes are reduced, by which calls, and in which blocks.

Several axes may be reduced one at a time in any order, since minimum, maximum, sum, product, any and all are
associative. Sums stay as accurate as in one call: no element goes through more additions than there, in a tree
reduction only through the logarithm of that number; and a matrix product sums only short rows.

A *row* is the range of elements over which one innermost loop of the framework runs. To *fold* rows is to treat several
adjacent ones as a single longer row, which is possible along an axis that is reduced.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from operator import add, attrgetter
from typing import NamedTuple

from plait._plan.schedule import techniques
from plait._plan.schedule.loop_nest import Loop, LoopNest, loops_after_reducing, split_loop
from plait._plan.schedule.schedules import (
    AddRowsByEinsum,
    BlockedAxis,
    MatmulOnes,
    ReduceAxis,
    ReductionCall,
    ReductionSchedule,
    TreeReduce,
)
from plait.backends.costs import MemoryCosts

MAX_TREE_AXIS_LENGTH = 64
"""Longer axes are not reduced by a tree reduction: the framework's loop is as fast."""

MAX_MATMUL_ROW_LENGTH = 128
"""Longer rows are not summed by a matrix product, which may add one element at a time and lose digits."""

MAX_SLOW_ROW_LENGTH = 64
"""One call along several axes is slow if its rows are up to about this long, and not if they are much longer."""

MAX_ROW_LENGTH_AFTER_FOLDING = 4096
"""Short rows are folded to rows of up to this many elements."""


def schedule_reduction(nest: LoopNest, itemsize: int, costs: MemoryCosts) -> ReductionSchedule | None:
    """Return the cheapest schedule of a reduction, or ``None`` if one call of the framework is cheapest."""
    loops = nest.loops
    kept_lengths: list[int] = []
    for length, stride, is_kept in loops:
        if not stride:
            return None
        if is_kept:
            kept_lengths.append(length)
    if len(kept_lengths) == len(loops) or not (kept_lengths or costs.max_matmul_part):
        return None
    one_call = one_call_cost(nest, itemsize, costs)
    size = prod(kept_lengths) * itemsize
    fixed_cost = _read_cost(nest, itemsize, costs)  # every schedule reads the tensor and writes the result
    if size > costs.cache_bytes:
        fixed_cost += size * (costs.memory_byte + costs.page_fault_byte)
    if costs.has_row_major_results and not nest.keeps_row_major_order:  # the result is copied to another order
        fixed_cost += costs.call_overhead + prod(kept_lengths) * costs.copy_strided_element
        fixed_cost += size * (costs.memory_byte + costs.page_fault_byte) if size > costs.cache_bytes else 0.0
    candidates: list[ReductionSchedule] = []
    for split_loops in _list_loop_splits(loops, itemsize, costs):
        sequence = _cheapest_sequence(split_loops, itemsize, costs, {})
        cost, block = _cost_and_block(split_loops, sequence, itemsize, costs)
        shape = tuple([loop.length for loop in split_loops])
        candidates.append(ReductionSchedule(nest, shape, sequence.calls, block, (), cost + fixed_cost))
    best = min(candidates, key=attrgetter("cost"))
    if best.cost >= costs.max_reduction_ratio * one_call:
        return None
    return best._replace(techniques=_technique_names(best))


def _technique_names(schedule: ReductionSchedule) -> tuple[str, ...]:
    """Return the names of the techniques that a schedule uses."""
    nest, calls = schedule.nest, schedule.calls
    kinds = {*map(type, calls)}
    applied = {
        techniques.COALESCED: len(calls) == 1
        and TreeReduce not in kinds
        and (nest.is_coalesced or nest.reduces_unit_dims),
        techniques.AXIS_AT_A_TIME: len(calls) > 1,
        techniques.TREE_REDUCTION: TreeReduce in kinds,
        techniques.MATMUL_WITH_ONES: MatmulOnes in kinds,
        techniques.EINSUM_OVER_ROWS: AddRowsByEinsum in kinds,
        techniques.UNROLLED_SHORT_AXIS: any(isinstance(call, TreeReduce) and call.unroll_last for call in calls),
        techniques.FOLDED_ROWS: len(schedule.shape) > len(nest.loops),
        techniques.BLOCKING: schedule.block is not None,
    }
    return tuple([name for name, holds in applied.items() if holds])


def one_call_cost(nest: LoopNest, itemsize: int, costs: MemoryCosts) -> float:
    """Return the estimated nanoseconds of one call; several axes, or outer axes alone, may make it slow."""
    loops, count = nest.loops, nest.element_count
    if not loops:
        return costs.call_overhead
    inner = loops[-1]
    row_length = nest.innermost_length if costs.units_stop_coalescing and nest.reduces_unit_dims else inner.length
    time = count / row_length * _row_overhead(row_length, itemsize, costs) + count * costs.reduce_element
    lengths = [loop.length for loop in loops if not loop.is_kept]
    if len(lengths) > 1:
        long = costs.vector_bytes / itemsize
        short = (
            1.0
            if inner.is_kept
            else float(row_length < long)
            if long
            else min((MAX_SLOW_ROW_LENGTH / row_length) ** 2, 1.0)
        )
        rows = count / lengths[-1] * costs.multi_axis_row_overhead * inner.is_kept
        time = max(time, count * costs.multi_axis_element * short, rows)
    elif inner.is_kept:
        time = max(time, count * costs.single_outer_axis_element)
    backward = count / row_length * costs.backward_row_overhead + count * costs.backward_element
    return costs.call_overhead + time + backward + _read_cost(nest, itemsize, costs)


def _row_overhead(row_length: int, itemsize: int, costs: MemoryCosts) -> float:
    """Return the cost of a reduced row beside its elements: its start, and an incomplete SIMD vector at its end."""
    vector = costs.vector_bytes // itemsize
    return costs.reduce_row_overhead + (row_length % vector * costs.vector_tail_element if vector else 0.0)


def _read_cost(nest: LoopNest, itemsize: int, costs: MemoryCosts) -> float:
    """Return the cost of reading the tensor from memory, if it is larger than the cache."""
    spread = min(max(abs(nest.loops[-1].stride) // itemsize, 1), 64 // itemsize or 1)
    size = nest.element_count * itemsize * spread
    return size * costs.memory_byte if size > costs.cache_bytes else 0.0


def _list_loop_splits(loops: tuple[Loop, ...], itemsize: int, costs: MemoryCosts) -> Iterator[tuple[Loop, ...]]:
    """Yield the loops unchanged, and with a reduced loop split in two: to fold short rows, or to shorten long ones."""
    yield loops
    row_length = 1
    for position in range(len(loops) - 1, -1, -1):
        length, stride, kept = loops[position]
        if stride != row_length * itemsize:
            break
        if not kept and 1 < row_length < MAX_ROW_LENGTH_AFTER_FOLDING // 2:
            for inner_length in range(min(MAX_ROW_LENGTH_AFTER_FOLDING // row_length, length // 2), 1, -1):
                if length % inner_length == 0:
                    yield split_loop(loops, position, inner_length)
                    break
        row_length *= length
    length, stride, kept = loops[-1]
    if kept or stride != itemsize:
        return
    for inner_length in range(costs.max_matmul_part, costs.min_matmul_part - 1, -1):
        if length % inner_length == 0:  # rows of this length can be summed by matrix products
            if inner_length < length:
                yield split_loop(loops, len(loops) - 1, inner_length)
            return


class _CallSequence(NamedTuple):
    """Calls that reduce several axes in order, with their cost."""

    time: float  # nanoseconds, with the overhead of the calls
    calls: tuple[ReductionCall, ...]
    work: float  # nanoseconds without that overhead
    call_count: int  # the number of calls of the framework
    written: float  # the number of elements that they write


def _cheapest_sequence(
    loops: tuple[Loop, ...], itemsize: int, costs: MemoryCosts, memo: dict[tuple[Loop, ...], _CallSequence]
) -> _CallSequence:
    """Return the cheapest calls that reduce the axes one at a time, each the outermost or innermost of those left.

    ``memo`` caches the results.
    """
    if loops in memo:
        return memo[loops]
    first, last, is_single = -1, -1, True
    for position, loop in enumerate(loops):
        if not loop.is_kept:
            first, last, is_single = (position, position, True) if first < 0 else (first, position, False)
    candidates: list[_CallSequence] = []
    for position in (first,) if is_single else (first, last):
        sequence = _cheapest_call(loops, position, itemsize, costs)
        if not is_single:
            rest = _cheapest_sequence(loops_after_reducing(loops, position, itemsize), itemsize, costs, memo)
            sequence = _CallSequence(*map(add, sequence, rest))
        candidates.append(sequence)
    memo[loops] = min(candidates, key=attrgetter("time"))
    return memo[loops]


def _cheapest_call(loops: Sequence[Loop], axis: int, itemsize: int, costs: MemoryCosts) -> _CallSequence:
    """Return the cheapest call that reduces one axis."""
    length, last = loops[axis].length, len(loops) - 1
    count = contiguous_run = row_length = 1  # contiguous_run: adjacent elements in the loops from here inwards
    is_dense, may_block = True, False
    for position in range(last, -1, -1):
        if position == axis:
            row_length = contiguous_run
        may_block = may_block or loops[position].is_kept
        is_dense = is_dense and loops[position].stride == contiguous_run * itemsize
        count *= loops[position].length
        contiguous_run = count if is_dense else contiguous_run
    is_inner = axis == last
    is_contiguous = loops[last].stride == itemsize
    results = count / length
    loop_length = length if is_inner else row_length
    strided = max(costs.combine_strided_element - costs.combine_element, 0.0) * (abs(loops[last].stride) != itemsize)
    element = costs.reduce_element + strided + costs.outer_axis_element * (not is_inner)
    work = count / loop_length * _row_overhead(loop_length, itemsize, costs) + count * element
    calls: list[tuple[ReductionCall, float, int, float]] = [(ReduceAxis(axis), work, 1, results)]
    if not is_inner and is_contiguous:
        work = count / row_length * costs.einsum_row_overhead + count * costs.einsum_element
        calls.append((AddRowsByEinsum(axis), work, 1, results))
    if is_inner and is_dense and length <= MAX_MATMUL_ROW_LENGTH:
        work = results * costs.matmul_row_overhead + count * costs.matmul_element
        calls.append((MatmulOnes(axis), work, 1, results))
    if length <= MAX_TREE_AXIS_LENGTH:
        writes, levels = count - count // length, length.bit_length() + length.bit_count() - 2
        row_length, element = (
            (writes, costs.combine_strided_element) if is_inner else (row_length, costs.combine_element)
        )
        work = writes * element + writes / max(row_length, 1) * costs.combine_row_overhead
        calls.append((TreeReduce(axis), work, levels, writes))
        unrolled = loops[last].length
        if not is_inner and unrolled <= costs.max_unrolled:
            row_length = loops[last - 1].length if axis < last - 1 else writes // unrolled
            work = writes * costs.combine_strided_element + writes / max(row_length, 1) * costs.combine_row_overhead
            calls.append((TreeReduce(axis, unroll_last=True), work, levels * unrolled, writes))
    candidates: list[_CallSequence] = []
    for call, work, call_count, written in calls:
        time = work + call_count * costs.call_overhead
        if not may_block:  # in blocks, intermediate results stay in the cache
            time += _intermediate_cost(written, itemsize, costs)
        candidates.append(_CallSequence(time, (call,), work, call_count, written))
    return min(candidates, key=attrgetter("time"))


def _intermediate_cost(count: float, itemsize: int, costs: MemoryCosts) -> float:
    """Return the cost to write and read an intermediate result of this many elements, or 0 if it fits the cache."""
    size = count * itemsize * costs.upcast_ratio
    return size * (2 * costs.memory_byte + costs.page_fault_byte) if size > costs.cache_bytes else 0.0


def _cost_and_block(
    loops: Sequence[Loop], sequence: _CallSequence, itemsize: int, costs: MemoryCosts
) -> tuple[float, BlockedAxis]:
    """Return the cost of the calls, and the blocked axis with the length of a block, or ``None`` for one block.

    Blocks are chosen if they are cheaper, or if the calls convert the tensor to the type of the accumulator.
    """
    count, result_count, axis = 1, 1, None
    for position, loop in enumerate(loops):
        count *= loop.length
        if loop.is_kept:
            result_count *= loop.length
            axis = position if axis is None else axis  # the outermost kept axis is split into blocks
    upcasts = costs.upcast_ratio > 1 and not isinstance(sequence.calls[0], ReduceAxis)
    intermediate = (count if upcasts else 0.0) + sequence.written - result_count
    work = costs.autograd_overhead + sequence.work
    in_one_block = work + sequence.call_count * costs.call_overhead + _intermediate_cost(intermediate, itemsize, costs)
    if axis is None or not intermediate or sequence.call_count == 1:
        return in_one_block, None
    block_bytes = costs.block_bytes if costs.upcast_ratio == 1 else min(costs.block_bytes, count * itemsize)
    length = loops[axis].length
    block_length = max(int(length * block_bytes / (2 * intermediate * itemsize * costs.upcast_ratio)), 1)
    if block_length >= length:
        return in_one_block, None
    in_blocks = work + -(-length // block_length) * sequence.call_count * costs.call_overhead
    if in_blocks < in_one_block or upcasts:  # an upcast copy of everything takes too much memory
        return in_blocks, (axis, block_length)
    return in_one_block, None
