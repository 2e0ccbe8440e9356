"""Reductions in two passes: a block after the other, and within a block a tile after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from math import prod
from typing import Any, TypeAlias

from plait._executor.large.reductions import (
    BlockIndex,
    Lengths,
    block_indices,
    build_from_loop_order,
    build_reduction,
    build_to_loop_order,
    result_layout,
    split_into_slices,
)
from plait._plan.schedule.loop_nest import LoopNest, build_loop_nest
from plait._plan.schedule.reductions import schedule_reduction
from plait._plan.schedule.schedules import TwoPassSchedule
from plait._plan.schedule.two_pass import temporary_loop_nest
from plait.backends.capabilities import ReductionOps, StepFunction, TwoPassOps, UnaryFunction
from plait.backends.interface import Backend

BlockFunction: TypeAlias = Callable[[Any, Any, Any], None]
"""A function of a block, memory for its result, and memory for what a tile is transformed into."""

TileFunction: TypeAlias = Callable[[Any, Any, Any], Any]
"""A function of a tile, its pivot, and the same memory: what is added up of it."""

TotalsFunction: TypeAlias = "Callable[[Any, Any, Any], Iterator[tuple[BlockIndex, Any]]]"
"""A function of a block, its pivot, and the same memory: for each part of the result its place, and what it is."""


def build_two_pass(
    schedule: TwoPassSchedule, shape: Sequence[int], axes: Sequence[int], backend: Backend, ops: TwoPassOps
) -> StepFunction:
    """The reduction of tensors of a shape along some axes; its second argument is nothing."""
    builder = _TwoPassBuilder(schedule, backend, ops, prod([shape[axis] for axis in axes]))
    loops = schedule.nest.loops
    lengths = tuple([loop.length for loop in loops])
    kept = [place for place, loop in enumerate(loops) if loop.is_kept]
    parts = block_indices(lengths, schedule.block, kept)
    functions = {each: builder.block(each) for each in {each for each, _, _ in parts}}
    result = tuple([lengths[place] for place in kept])
    to_loops = build_to_loop_order(schedule.nest.order, lengths, backend)
    from_loops = build_from_loop_order(*result_layout(schedule.nest.order, shape, axes), backend)
    empty, scratch, held, errstate = ops.empty, ops.scratch, (prod(schedule.tiles),), ops.errstate

    def reduce(tensor: Any, _: None) -> Any:
        out, memory = empty(tensor, result), scratch(tensor, held)
        view = to_loops(tensor)
        with errstate():
            for each, part, place in parts:
                functions[each](view[part], out[place], memory)
        return from_loops(out)[()]

    return reduce


class _TwoPassBuilder:
    """Makes the functions of blocks and of tiles; each element of the result is made of ``count`` elements."""

    def __init__(self, schedule: TwoPassSchedule, backend: Backend, ops: TwoPassOps, count: int) -> None:
        self.schedule, self.backend, self.ops, self.count = schedule, backend, ops, count
        self.loops = schedule.nest.loops
        self.axes = [place for place, loop in enumerate(self.loops) if not loop.is_kept]

    def block(self, shape: Lengths) -> BlockFunction:
        """What is done with a block of that shape: its pivot is found, and taken out of a tile after the other."""
        ops, count = self.ops, self.count
        broadcast = tuple([size if loop.is_kept else 1 for size, loop in zip(shape, self.loops, strict=True)])
        whole = prod(self.schedule.tiles) >= prod(shape)
        upcast = ops.upcast if whole else None  # all of it stays in the cache
        find = self.pivot(shape) if whole or ops.upcast is None else self.pivot_by_tiles(shape, ops.upcast)
        totals = self.tilewise(shape, self.tile, ops.total.combine)

        def run(block: Any, out: Any, memory: Any) -> None:
            if upcast is not None:
                block = upcast(block)
            pivot = find(block)
            if ops.fix_pivot is not None:
                pivot = ops.fix_pivot(pivot)
            for place, total in totals(block, pivot.reshape(broadcast), memory):
                out[place] = ops.finish(total, pivot[place], count)

        return run

    def tilewise(
        self, shape: Lengths, make: Callable[[Lengths], TileFunction], combine: Callable[..., Any]
    ) -> TotalsFunction:
        """What the tiles of a block of that shape give, combined; ``make`` gives the function of tiles of a size."""
        loops = self.loops
        cut = [*map(split_into_slices, shape, self.schedule.tiles)]
        made: dict[Lengths, TileFunction] = {}
        work: list[tuple[BlockIndex, BlockIndex, list[tuple[BlockIndex, TileFunction]]]] = []
        for part in product(*[own if loop.is_kept else [slice(None)] for own, loop in zip(cut, loops, strict=True)]):
            tiles: list[tuple[BlockIndex, TileFunction]] = []
            within = [[here] if loop.is_kept else own for here, own, loop in zip(part, cut, loops, strict=True)]
            for index in product(*within):
                lengths = tuple([each.stop - each.start for each in index])
                if lengths not in made:
                    made[lengths] = make(lengths)
                tiles.append((index, made[lengths]))
            work.append((part, tuple([here for here, loop in zip(part, loops, strict=True) if loop.is_kept]), tiles))

        def totals(block: Any, pivot: Any, memory: Any) -> Iterator[tuple[BlockIndex, Any]]:
            for part, place, tiles in work:
                taken = None if pivot is None else pivot[part]
                yield place, combine_pairwise((add(block[index], taken, memory) for index, add in tiles), combine)

        return totals

    def pivot(self, shape: Lengths) -> UnaryFunction:
        """What finds the pivot of a block of that shape."""
        ops = self.ops.pivot
        if self.ops.upcast is not None:
            return self.temporary_reduction(shape, ops)
        nest = build_loop_nest(shape, [loop.stride for loop in self.loops], self.axes)
        return self.reduction(nest, shape, self.schedule.itemsize, ops)

    def pivot_by_tiles(self, shape: Lengths, upcast: UnaryFunction) -> UnaryFunction:
        """The same of a block that has to be made wide, a tile at a time."""
        ops, count = self.ops.pivot, self.count
        kept = tuple([size for size, loop in zip(shape, self.loops, strict=True) if loop.is_kept])

        def make(lengths: Lengths) -> TileFunction:
            reduce = self.temporary_reduction(lengths, ops._replace(finish=None))
            return lambda tile, _pivot, _memory: reduce(upcast(tile))

        totals = self.tilewise(shape, make, ops.combine)

        def find(block: Any) -> Any:
            out = ops.scratch(block, kept)
            for place, total in totals(block, None, None):
                out[place] = total
            return out if ops.finish is None else ops.finish(out, count)

        return find

    def tile(self, shape: Lengths) -> TileFunction:
        """What is done with a tile of that shape: the sum of what it is transformed into."""
        transform, ops = self.ops.transform, self.ops.total
        *outer, last = shape
        count, stays = prod(shape), self.loops[-1].is_kept
        if not self.schedule.unroll_last:
            add = self.temporary_reduction(shape, ops)
            return lambda part, pivot, memory: add(transform(part, pivot, memory[:count].reshape(shape)))
        rest = tuple(outer)
        one = self.temporary_reduction(rest, ops)
        count //= last

        def each(part: Any, pivot: Any, memory: Any) -> Iterable[Any]:
            here = memory[:count].reshape(rest)
            for index in range(last):
                yield one(transform(part[..., index], pivot[..., index if stays else 0], here))

        def side_by_side(part: Any, pivot: Any, memory: Any) -> Any:
            found: Any = None
            for index, total in enumerate(each(part, pivot, memory)):
                if found is None:
                    found = ops.scratch(total, (*total.shape, last))
                found[..., index] = total
            return found

        return side_by_side if stays else lambda *given: combine_pairwise(each(*given), ops.combine)

    def temporary_reduction(self, shape: Lengths, ops: ReductionOps) -> UnaryFunction:
        """The reduction of new memory of that shape."""
        return self.reduction(temporary_loop_nest(shape, self.axes, ops.costs), shape, ops.costs.transform_bytes, ops)

    def reduction(self, nest: LoopNest, shape: Lengths, itemsize: int, ops: ReductionOps) -> UnaryFunction:
        """The reduction of tensors of that shape, in the calls that are best, or in one."""
        axes = tuple([axis for axis in self.axes if axis < len(shape)])
        best = schedule_reduction(nest, itemsize, ops.costs)
        if best is not None:
            run = build_reduction(best, shape, axes, self.backend, ops)
            return lambda tensor: run(tensor, None)
        reduce_axis, scratch, finish = ops.reduce_axis, ops.scratch, ops.finish
        lengths = tuple([size for axis, size in enumerate(shape) if axis not in axes])
        count = prod([shape[axis] for axis in axes])

        def one_call(tensor: Any) -> Any:
            out = reduce_axis(tensor, axes, scratch(tensor, lengths))
            return out if finish is None else finish(out, count)

        return one_call


def combine_pairwise(parts: Iterable[Any], combine: Callable[..., Any]) -> Any:
    """All of them combined: neighbours first, then what these gave, so that a sum of many loses few digits.

    >>> combine_pairwise("abcde", lambda one, other: f"({one}{other})")
    '(((ab)(cd))e)'
    """
    waiting: list[Any] = []
    for number, part in enumerate(parts, 1):
        total, twice = part, number
        while twice % 2 == 0:
            total, twice = combine(waiting.pop(), total), twice // 2
        waiting.append(total)
    total = waiting.pop()
    while waiting:
        total = combine(waiting.pop(), total)
    return total
