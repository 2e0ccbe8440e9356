"""The ways to reduce: which axis first, how, and in which blocks.

A reduction over several axes may take them one after the other, in any order: minimum, maximum, sum, product, any and
all combine associatively. Sums stay as accurate: along outer axes a term goes through as many additions as in one call
or fewer, and where halves are combined through a logarithm of that; products with ones are kept short.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, prod
from typing import NamedTuple, TypeAlias

from plait._plan.schedule.loop_nest import Loop, merged, nest
from plait._plan.schedule.nodes import (
    Along,
    Call,
    Halves,
    Ones,
    Reduction,
    Rows,
)
from plait._plan.schedule.rewrites import (
    APART,
    BLOCKS,
    FOLDED,
    HALVES,
    MERGED,
    ONE_BY_ONE,
    PRODUCT,
    ROWS,
)
from plait.backends.costs import MemoryCosts

WORTH = 0.9
"""What part of the plain call's time several calls may take, as estimated, to be worth it."""

LONGEST_HALVED = 64
"""No axis longer than this is halved: the framework's own loop is as fast."""

Calls: TypeAlias = tuple[Call, ...]

LONGEST_PRODUCT = 128
"""Nor is a longer one added up by a product, which may do it one by one: it would lose digits."""

LEAST_PART = 48
"""Nor is a row cut into parts that are shorter than this."""

SHORT = 64
"""Rows that are reduced and much longer than this are nothing that a framework is slow at."""

ROW = 4096
"""How many elements short rows are joined to."""


def reduced(
    shape: Sequence[int], strides: Sequence[int], axes: Sequence[int], itemsize: int, costs: MemoryCosts
) -> Reduction | None:
    """The cheapest way to reduce a tensor, or ``None`` where that is one call of the framework's.

    Args:
        shape: of the tensor.
        strides: in bytes.
        axes: the dimensions to be reduced.
        itemsize: bytes of an element.
        costs: of the framework.
    """
    loops, order = nest(shape, strides, axes)
    kept = sum([loop.kept for loop in loops])
    if not (0 if costs.max_matmul_part else 1) <= kept < len(loops) or any(loop.stride == 0 for loop in loops):
        return None
    plain = one_call(shape, strides, axes, itemsize, costs)
    starts = (loops, *_folded(loops, itemsize), *_parted(loops, itemsize, costs))
    found = [_priced(start, _cheapest(start, itemsize, costs, {})[1], itemsize, costs) for start in starts]
    best = min(found, key=lambda way: way.cost)
    if best.cost >= WORTH * plain:
        return None
    if len(loops) == len(order) and not any(shape[axis] == 1 for axis in axes):
        best = best._replace(rewrites=tuple([name for name in best.rewrites if name != MERGED]))
    return best._replace(order=order, plain=plain)


def one_call(
    shape: Sequence[int], strides: Sequence[int], axes: Sequence[int], itemsize: int, costs: MemoryCosts
) -> float:
    """Microseconds that one call of the framework's takes to reduce a tensor with more than one element."""
    loops, order = nest(shape, strides, axes)
    if not loops:
        return costs.call_overhead / 1e3
    units = costs.units_stop_coalescing and any(shape[axis] == 1 for axis in axes)
    row = next(shape[place] for place in reversed(order)) if units else loops[-1].length
    return _plain(loops, row, itemsize, costs)


def _plain(loops: Sequence[Loop], row: int, itemsize: int, costs: MemoryCosts) -> float:
    """One call over all axes, row by row; of several axes, or across rows that are kept, it may be slow."""
    count = prod([loop.length for loop in loops])
    time = count / row * _beginning(row, itemsize, costs) + count * costs.reduce_element
    lengths = [loop.length for loop in loops if not loop.kept]
    if len(lengths) > 1:
        long = costs.vector_bytes / itemsize
        short = 1.0 if loops[-1].kept else float(row < long) if long else min((SHORT / row) ** 2, 1.0)
        time = max(
            time,
            count * costs.multi_axis_element * short,
            count / lengths[-1] * costs.multi_axis_row_overhead * loops[-1].kept,
        )
    elif loops[-1].kept:
        time = max(time, count * costs.single_outer_axis_element)
    back = count / row * costs.backward_row_overhead + count * costs.backward_element
    return (costs.call_overhead + time + back) / 1e3 + _reading(loops, itemsize, costs)


def _beginning(row: int, itemsize: int, costs: MemoryCosts) -> float:
    """What a row that is reduced costs beside its elements: it begins, and at its end a vector may not be full."""
    vector = costs.vector_bytes // itemsize
    return costs.reduce_row_overhead + (row % vector * costs.vector_tail_element if vector else 0.0)


def _reading(loops: Sequence[Loop], itemsize: int, costs: MemoryCosts) -> float:
    """Microseconds to get the tensor from memory, where it is too large to be at hand."""
    spread = min(max(abs(loops[-1].stride) // itemsize, 1), 64 // itemsize or 1)
    size = prod([loop.length for loop in loops]) * itemsize * spread
    return size * costs.memory_byte / 1e3 if size > costs.cache_bytes else 0.0


def _folded(loops: Sequence[Loop], itemsize: int) -> Iterator[tuple[Loop, ...]]:
    """The loops with a reduced one, whose rows are short, made two, so that the rows are longer."""
    row = 1
    for place in range(len(loops) - 1, -1, -1):
        loop = loops[place]
        contiguous = loop.stride == row * itemsize
        if not loop.kept and contiguous and 1 < row < ROW // 2:
            most = min(ROW // row, loop.length // 2)
            width = next((part for part in range(most, 1, -1) if loop.length % part == 0), 1)
            if width > 1:
                outer = Loop(loop.length // width, loop.stride * width, False)
                inner = Loop(width, loop.stride, False)
                yield (*loops[:place], outer, inner, *loops[place + 1 :])
        if not contiguous:
            return
        row *= loop.length


def _parted(loops: Sequence[Loop], itemsize: int, costs: MemoryCosts) -> Iterator[tuple[Loop, ...]]:
    """The loops with the innermost one, along rows to be added up, made two, so that products can do it."""
    length, stride, kept = loops[-1]
    width = next((part for part in range(costs.max_matmul_part, LEAST_PART - 1, -1) if length % part == 0), 0)
    if not kept and stride == itemsize and 0 < width < length:
        yield (*loops[:-1], Loop(length // width, stride * width, False), Loop(width, stride, False))


def _cheapest(
    loops: tuple[Loop, ...], itemsize: int, costs: MemoryCosts, known: dict[tuple[Loop, ...], tuple[float, Calls]]
) -> tuple[float, Calls]:
    """The nanoseconds and the calls that reduce the axes one by one, from the outside in or from the inside out."""
    places = [place for place, loop in enumerate(loops) if not loop.kept]
    if not places:
        return 0.0, ()
    if loops not in known:
        ways: list[tuple[float, Calls]] = []
        for place in dict.fromkeys((places[0], places[-1])):
            rest, later = _cheapest(_without(loops, place, itemsize), itemsize, costs, known)
            for call in _calls(loops, place):
                done = _done(loops, call, costs, itemsize)
                work = done.work + done.calls * costs.call_overhead + rest
                if _cut(loops) is None:
                    work += _passing(done.written, itemsize, costs)
                ways.append((work, (call, *later)))
        known[loops] = min(ways, key=lambda way: way[0])
    return known[loops]


def _calls(loops: Sequence[Loop], place: int) -> Iterator[Call]:
    yield Along(place)
    if place < len(loops) - 1:
        yield Rows(place)
    if place == len(loops) - 1 and loops[place].length <= LONGEST_PRODUCT:
        yield Ones(place)
    if loops[place].length <= LONGEST_HALVED:
        yield Halves(place)
        if place < len(loops) - 1:
            yield Halves(place, apart=True)


def _priced(start: Sequence[Loop], calls: Calls, itemsize: int, costs: MemoryCosts) -> Reduction:
    """What these calls cost, over everything or in blocks, whichever is cheaper."""
    shape = tuple([loop.length for loop in start])
    loops, work, count = tuple(start), costs.autograd_overhead, 0
    between = prod(shape) if costs.upcast_ratio > 1 and not isinstance(calls[0], Along) else 0.0
    for call in calls:
        done = _done(loops, call, costs, itemsize)
        loops = _without(loops, call.axis, itemsize)
        work, count, between = work + done.work, count + done.calls, between + done.written
    size = prod([loop.length for loop in loops]) * itemsize
    outside = (
        _reading(start, itemsize, costs)
        + (size > costs.cache_bytes) * size * (costs.memory_byte + costs.page_fault_byte) / 1e3
    )
    whole = Reduction((), shape, calls, None, _names(start, calls), 0.0, 0.0)
    between -= size / itemsize
    passing = _passing(between, itemsize, costs)
    once = (work + count * costs.call_overhead + passing) / 1e3 + outside
    block = _block(start, between, itemsize, costs)
    if block is None or count == 1:
        return whole._replace(cost=once)
    parts = -(-shape[block[0]] // block[1])
    cut = (work + parts * count * costs.call_overhead) / 1e3 + outside
    larger = costs.upcast_ratio > 1 and not isinstance(
        calls[0], Along
    )  # all at once, it would not fit beside the input
    if cut >= once and not larger:
        return whole._replace(cost=once)
    return whole._replace(block=block, rewrites=(*whole.rewrites, BLOCKS), cost=cut)


def _names(start: Sequence[Loop], calls: Calls) -> tuple[str, ...]:
    """The rewrites that these calls come to."""
    halves = [call for call in calls if isinstance(call, Halves)]
    found = {
        MERGED: len(calls) == 1 and not halves,
        ONE_BY_ONE: len(calls) > 1,
        HALVES: bool(halves),
        PRODUCT: any(isinstance(call, Ones) for call in calls),
        ROWS: any(isinstance(call, Rows) for call in calls),
        APART: any(call.apart for call in halves),
        FOLDED: len(start) > len(merged(start)),
    }
    return tuple([name for name, holds in found.items() if holds])


class _Done(NamedTuple):
    """What a call comes to: nanoseconds, how many calls of the framework, and how many elements they write."""

    work: float
    calls: int
    written: float


def _done(loops: Sequence[Loop], call: Call, costs: MemoryCosts, itemsize: int) -> _Done:
    axis, length = call.axis, loops[call.axis].length
    count = prod([loop.length for loop in loops])
    row = _row(loops[axis + 1 :], itemsize)
    if isinstance(call, Along):
        inner = row if axis < len(loops) - 1 else length
        strided = costs.combine_strided_element - costs.combine_element if abs(loops[-1].stride) != itemsize else 0.0
        element = costs.reduce_element + max(strided, 0.0) + costs.outer_axis_element * (axis < len(loops) - 1)
        work = count / inner * _beginning(inner, itemsize, costs) + count * element
        return _Done(work, 1, count / length)
    if isinstance(call, Ones):
        solid = _row(loops, itemsize) == count  # else it would be copied
        return _Done(
            count / length * costs.matmul_row_overhead + count * costs.matmul_element if solid else inf,
            1,
            count / length,
        )
    if isinstance(call, Rows):
        solid = loops[-1].stride == itemsize
        return _Done(
            count / row * costs.einsum_row_overhead + count * costs.einsum_element if solid else inf, 1, count / length
        )
    made = count - count // length
    calls = length.bit_length() + length.bit_count() - 2
    element = costs.combine_element
    if call.apart:
        few = loops[-1].length
        calls, element = calls * few, costs.combine_strided_element if few <= costs.max_unrolled else inf
        row = loops[-2].length if axis < len(loops) - 2 else made // few
    elif axis == len(loops) - 1:
        row, element = made, costs.combine_strided_element
    return _Done(made * element + made / max(row, 1) * costs.combine_row_overhead, calls, made)


def _passing(count: float, itemsize: int, costs: MemoryCosts) -> float:
    """Nanoseconds to write so many elements, and to read them again, where they do not stay at hand."""
    size = count * itemsize * costs.upcast_ratio
    return size * (2 * costs.memory_byte + costs.page_fault_byte) if size > costs.cache_bytes else 0.0


def _row(loops: Sequence[Loop], itemsize: int) -> int:
    """How many elements the loops inside run through without a jump."""
    row = 1
    for loop in reversed(loops):
        if loop.stride != row * itemsize:
            break
        row *= loop.length
    return row


def _without(loops: Sequence[Loop], axis: int, itemsize: int) -> tuple[Loop, ...]:
    """What a call leaves: the other loops, over new memory that is filled in their order."""
    rest = [loop for place, loop in enumerate(loops) if place != axis]
    stride = itemsize
    found: list[Loop] = []
    for loop in reversed(rest):
        found.append(Loop(loop.length, stride, loop.kept))
        stride *= loop.length
    return tuple(reversed(found))


def _cut(loops: Sequence[Loop]) -> int | None:
    """The axis that is cut into blocks: the outermost that is kept; ``None`` where there is none."""
    places = [place for place, loop in enumerate(loops) if loop.kept and loop.length > 1]
    return places[0] if places else None


def _block(loops: Sequence[Loop], between: float, itemsize: int, costs: MemoryCosts) -> tuple[int, int] | None:
    """The axis that is cut, and the length of its parts: what is between the calls of one of them stays at hand.

    Args:
        loops: over the tensor.
        between: how many elements the calls write, and read again.
        itemsize: bytes of an element.
        costs: of the framework.
    """
    axis = _cut(loops)
    if axis is None or not between:
        return None
    size = prod([loop.length for loop in loops]) * itemsize
    held = costs.block_bytes if costs.upcast_ratio == 1 else min(costs.block_bytes, size)
    length = max(int(loops[axis].length * held / (2 * between * itemsize * costs.upcast_ratio)), 1)
    return (axis, length) if length < loops[axis].length else None
