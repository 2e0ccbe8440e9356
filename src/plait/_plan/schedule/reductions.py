"""The ways to reduce: which axis first, how, and in which blocks.

A reduction over several axes may take them one after the other, in any order: minimum, maximum, sum, product, any and
all combine associatively. Sums stay as accurate: along outer axes a term goes through as many additions as in one call
or fewer, and where halves are combined through a logarithm of that; products with ones are kept short.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from operator import add, attrgetter
from typing import NamedTuple

from plait._plan.schedule.loop_nest import Loop, LoopNest, split, without
from plait._plan.schedule.nodes import Block, Call, EinsumRows, MatmulOnes, ReduceAxis, Reduction, TreeReduce
from plait._plan.schedule.techniques import (
    AXIS_AT_A_TIME,
    BLOCKING,
    COALESCED,
    EINSUM_OVER_ROWS,
    FOLDED_ROWS,
    MATMUL_WITH_ONES,
    TREE_REDUCTION,
    UNROLLED_SHORT_AXIS,
)
from plait.backends.costs import MemoryCosts

LONGEST_TREE = 64
"""No longer axis is reduced by halves: the framework's own loop is as fast."""

LONGEST_PRODUCT = 128
"""No longer row is added up by a product, which may do it one by one: it would lose digits."""

SHORT = 64
"""Rows that are reduced and much longer than this are nothing that a framework is slow at."""

ROW = 4096
"""How many elements short rows are joined to."""


def schedule_reduction(nest: LoopNest, itemsize: int, costs: MemoryCosts) -> Reduction | None:
    """The cheapest way to reduce a tensor, or ``None`` where that is one call of the framework's."""
    loops = nest.loops
    kept: list[int] = []
    for length, stride, is_kept in loops:
        if not stride:
            return None
        if is_kept:
            kept.append(length)
    if len(kept) == len(loops) or not (kept or costs.max_matmul_part):
        return None
    plain = one_call_cost(nest, itemsize, costs)
    size = prod(kept) * itemsize
    outside = _reading(nest, itemsize, costs)  # whatever the way, the tensor is read, and the result written
    if size > costs.cache_bytes:
        outside += size * (costs.memory_byte + costs.page_fault_byte)
    found: list[Reduction] = []
    for start in _starts(loops, itemsize, costs):
        way = _cheapest(start, itemsize, costs, {})
        cost, block = _in_blocks(start, way, itemsize, costs)
        shape = tuple([loop.length for loop in start])
        found.append(Reduction(nest, shape, way.calls, block, (), cost + outside))
    best = min(found, key=attrgetter("cost"))
    if best.cost >= costs.max_reduction_ratio * plain:
        return None
    return best._replace(techniques=_technique_names(best))


def _technique_names(way: Reduction) -> tuple[str, ...]:
    """The names of what a way does."""
    nest, calls = way.nest, way.calls
    kinds = {*map(type, calls)}
    found = {
        COALESCED: len(calls) == 1 and TreeReduce not in kinds and (nest.coalesced or nest.reduces_units),
        AXIS_AT_A_TIME: len(calls) > 1,
        TREE_REDUCTION: TreeReduce in kinds,
        MATMUL_WITH_ONES: MatmulOnes in kinds,
        EINSUM_OVER_ROWS: EinsumRows in kinds,
        UNROLLED_SHORT_AXIS: any(isinstance(call, TreeReduce) and call.unroll_last for call in calls),
        FOLDED_ROWS: len(way.shape) > len(nest.loops),
        BLOCKING: way.block is not None,
    }
    return tuple([name for name, holds in found.items() if holds])


def one_call_cost(nest: LoopNest, itemsize: int, costs: MemoryCosts) -> float:
    """Nanoseconds that one call takes, row by row; of several axes, or across rows that are kept, it may be slow."""
    loops, count = nest.loops, nest.elements
    if not loops:
        return costs.call_overhead
    inner = loops[-1]
    row = nest.innermost if costs.units_stop_coalescing and nest.reduces_units else inner.length
    time = count / row * _row_overhead(row, itemsize, costs) + count * costs.reduce_element
    lengths = [loop.length for loop in loops if not loop.kept]
    if len(lengths) > 1:
        long = costs.vector_bytes / itemsize
        short = 1.0 if inner.kept else float(row < long) if long else min((SHORT / row) ** 2, 1.0)
        rows = count / lengths[-1] * costs.multi_axis_row_overhead * inner.kept
        time = max(time, count * costs.multi_axis_element * short, rows)
    elif inner.kept:
        time = max(time, count * costs.single_outer_axis_element)
    backward = count / row * costs.backward_row_overhead + count * costs.backward_element
    return costs.call_overhead + time + backward + _reading(nest, itemsize, costs)


def _row_overhead(row: int, itemsize: int, costs: MemoryCosts) -> float:
    """What a row that is reduced costs beside its elements: it begins, and at its end a vector may not be full."""
    vector = costs.vector_bytes // itemsize
    return costs.reduce_row_overhead + (row % vector * costs.vector_tail_element if vector else 0.0)


def _reading(nest: LoopNest, itemsize: int, costs: MemoryCosts) -> float:
    """What it takes to get the tensor from memory, where it is larger than the cache."""
    spread = min(max(abs(nest.loops[-1].stride) // itemsize, 1), 64 // itemsize or 1)
    size = nest.elements * itemsize * spread
    return size * costs.memory_byte if size > costs.cache_bytes else 0.0


def _starts(loops: tuple[Loop, ...], itemsize: int, costs: MemoryCosts) -> Iterator[tuple[Loop, ...]]:
    """The loops as they are, and with one of the reduced made two: short rows longer, or long ones shorter."""
    yield loops
    row = 1
    for place in range(len(loops) - 1, -1, -1):
        length, stride, kept = loops[place]
        if stride != row * itemsize:
            break
        if not kept and 1 < row < ROW // 2:
            for inner in range(min(ROW // row, length // 2), 1, -1):
                if length % inner == 0:
                    yield split(loops, place, inner)
                    break
        row *= length
    length, stride, kept = loops[-1]
    if kept or stride != itemsize:
        return
    for inner in range(costs.max_matmul_part, costs.min_matmul_part - 1, -1):
        if length % inner == 0:  # products can add up such rows
            if inner < length:
                yield split(loops, len(loops) - 1, inner)
            return


class _Way(NamedTuple):
    """Some calls, one after the other."""

    time: float  # what is kept small: nanoseconds, with what it takes to make the calls
    calls: tuple[Call, ...]
    work: float  # nanoseconds without that
    call_count: int  # how many calls of the framework's they are
    written: float  # how many elements they write


def _cheapest(loops: tuple[Loop, ...], itemsize: int, costs: MemoryCosts, known: dict[tuple[Loop, ...], _Way]) -> _Way:
    """The calls that reduce the axes one by one, from the outside in or from the inside out."""
    if loops in known:
        return known[loops]
    first, last, only = -1, -1, True
    for place, loop in enumerate(loops):
        if not loop.kept:
            first, last, only = (place, place, True) if first < 0 else (first, place, False)
    ways: list[_Way] = []
    for place in (first,) if only else (first, last):
        way = _best_call(loops, place, itemsize, costs)
        if not only:
            rest = _cheapest(without(loops, place, itemsize), itemsize, costs, known)
            way = _Way(*map(add, way, rest))
        ways.append(way)
    known[loops] = min(ways, key=attrgetter("time"))
    return known[loops]


def _best_call(loops: Sequence[Loop], axis: int, itemsize: int, costs: MemoryCosts) -> _Way:
    """The best call to reduce one axis."""
    length, last = loops[axis].length, len(loops) - 1
    count = run = row = 1  # run: how many elements the loops from here inwards go through without a jump
    dense, blocks = True, False
    for place in range(last, -1, -1):
        if place == axis:
            row = run
        blocks = blocks or loops[place].kept
        dense = dense and loops[place].stride == run * itemsize
        count *= loops[place].length
        run = count if dense else run
    inner = axis == last
    side_by_side = loops[last].stride == itemsize
    results = count / length
    begun = length if inner else row
    strided = max(costs.combine_strided_element - costs.combine_element, 0.0) * (abs(loops[last].stride) != itemsize)
    element = costs.reduce_element + strided + costs.outer_axis_element * (not inner)
    work = count / begun * _row_overhead(begun, itemsize, costs) + count * element
    calls: list[tuple[Call, float, int, float]] = [(ReduceAxis(axis), work, 1, results)]
    if not inner and side_by_side:
        work = count / row * costs.einsum_row_overhead + count * costs.einsum_element
        calls.append((EinsumRows(axis), work, 1, results))
    if inner and dense and length <= LONGEST_PRODUCT:
        work = results * costs.matmul_row_overhead + count * costs.matmul_element
        calls.append((MatmulOnes(axis), work, 1, results))
    if length <= LONGEST_TREE:
        made, levels = count - count // length, length.bit_length() + length.bit_count() - 2
        row, element = (made, costs.combine_strided_element) if inner else (row, costs.combine_element)
        work = made * element + made / max(row, 1) * costs.combine_row_overhead
        calls.append((TreeReduce(axis), work, levels, made))
        few = loops[last].length
        if not inner and few <= costs.max_unrolled:
            row = loops[last - 1].length if axis < last - 1 else made // few
            work = made * costs.combine_strided_element + made / max(row, 1) * costs.combine_row_overhead
            calls.append((TreeReduce(axis, unroll_last=True), work, levels * few, made))
    ways: list[_Way] = []
    for call, work, call_count, written in calls:
        time = work + call_count * costs.call_overhead
        if not blocks:  # where there are, what is between two calls stays in the cache
            time += _passing(written, itemsize, costs)
        ways.append(_Way(time, (call,), work, call_count, written))
    return min(ways, key=attrgetter("time"))


def _passing(count: float, itemsize: int, costs: MemoryCosts) -> float:
    """What it takes to write so many elements, and to read them again, where they do not stay in the cache."""
    size = count * itemsize * costs.upcast_ratio
    return size * (2 * costs.memory_byte + costs.page_fault_byte) if size > costs.cache_bytes else 0.0


def _in_blocks(loops: Sequence[Loop], way: _Way, itemsize: int, costs: MemoryCosts) -> tuple[float, Block]:
    """What calls cost, beside what any way costs, over everything or in blocks, whichever is cheaper."""
    count, results, axis = 1, 1, None
    for place, loop in enumerate(loops):
        count *= loop.length
        if loop.kept:
            results *= loop.length
            axis = place if axis is None else axis  # the outermost that is kept is cut
    upcasts = costs.upcast_ratio > 1 and not isinstance(way.calls[0], ReduceAxis)
    between = (count if upcasts else 0.0) + way.written - results
    work = costs.autograd_overhead + way.work
    once = work + way.call_count * costs.call_overhead + _passing(between, itemsize, costs)
    if axis is None or not between or way.call_count == 1:
        return once, None
    held = costs.block_bytes if costs.upcast_ratio == 1 else min(costs.block_bytes, count * itemsize)
    length = loops[axis].length
    part = max(int(length * held / (2 * between * itemsize * costs.upcast_ratio)), 1)
    if part >= length:
        return once, None
    cut = work + -(-length // part) * way.call_count * costs.call_overhead
    return (cut, (axis, part)) if cut < once or upcasts else (once, None)  # upcast, all would not fit beside the input
