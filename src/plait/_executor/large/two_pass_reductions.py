"""Builders of the functions that execute two-pass reductions, block by block, and tile by tile within a block.

The first pass computes the pivot, the mean or the maximum; the second transforms each element by it, and sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from math import prod
from typing import Any, TypeAlias

from plait._executor.large.reductions import (
    BlockIndex,
    Lengths,
    block_shapes_and_indices,
    build_reduction,
    build_result_from_loops,
    build_to_loop_order,
    split_into_slices,
)
from plait._plan.schedule.loop_nest import LoopNest, build_loop_nest
from plait._plan.schedule.reductions import schedule_reduction
from plait._plan.schedule.schedules import TwoPassSchedule
from plait._plan.schedule.two_pass import temporary_loop_nest
from plait.backends.capabilities import ReductionFunctions, StepFunction, TwoPassFunctions, UnaryFunction
from plait.backends.interface import Backend

BlockFunction: TypeAlias = Callable[[Any, Any, Any], None]
"""A function of a block, the memory for its result, and scratch memory for a transformed tile."""

ReduceTileFunction: TypeAlias = Callable[[Any, Any, Any], Any]
"""A function of a tile, its pivot, and scratch memory that returns the sum of the transformed tile."""

BlockTotalsFunction: TypeAlias = "Callable[[Any, Any, Any], Iterator[tuple[BlockIndex, Any]]]"
"""A function of a block, its pivot, and scratch memory that yields index and value of each part of the result."""


def build_two_pass(
    schedule: TwoPassSchedule,
    shape: Sequence[int],
    axes: Sequence[int],
    backend: Backend,
    functions: TwoPassFunctions,
    kept_order: Sequence[int] | None = None,
) -> StepFunction:
    """Return a function that reduces tensors of this shape along some axes; it ignores its second argument.

    ``kept_order`` is that of `plait._executor.large.reductions.build_reduction`.
    """
    builder = _TwoPassBuilder(schedule, backend, functions, prod([shape[axis] for axis in axes]))
    loops = schedule.nest.loops
    lengths = tuple([loop.length for loop in loops])
    kept_loops = [index for index, loop in enumerate(loops) if loop.is_kept]
    blocks = block_shapes_and_indices(lengths, schedule.block, kept_loops)
    function_by_shape = {
        each: builder.build_two_pass_block_function(each) for each in {block_shape for block_shape, _, _ in blocks}
    }
    result_shape = tuple([lengths[index] for index in kept_loops])
    to_loops = build_to_loop_order(schedule.nest.order, lengths, backend)
    from_loops = build_result_from_loops(schedule.nest.order, shape, axes, kept_order, backend, functions.empty)
    empty, scratch, scratch_shape, errstate = (
        functions.empty,
        functions.scratch,
        (prod(schedule.tile_shape),),
        functions.errstate,
    )

    def reduce(tensor: Any, _: None) -> Any:
        out, memory = empty(tensor, result_shape), scratch(tensor, scratch_shape)
        view = to_loops(tensor)
        with errstate():
            for block_shape, input_index, result_index in blocks:
                function_by_shape[block_shape](view[input_index], out[result_index], memory)
        return from_loops(out)[()]

    return reduce


class _TwoPassBuilder:
    """A builder of the functions for blocks and tiles; ``count`` elements are reduced to each element of the result."""

    def __init__(self, schedule: TwoPassSchedule, backend: Backend, functions: TwoPassFunctions, count: int) -> None:
        self.schedule, self.backend, self.functions, self.count = schedule, backend, functions, count
        self.loops = schedule.nest.loops
        self.reduced_loops = [index for index, loop in enumerate(self.loops) if not loop.is_kept]

    def build_two_pass_block_function(self, shape: Lengths) -> BlockFunction:
        """Return the function that finds the pivot of a block and then reduces its transformed tiles."""
        functions, count = self.functions, self.count
        pivot_shape = tuple([size if loop.is_kept else 1 for size, loop in zip(shape, self.loops, strict=True)])
        fits_one_tile = prod(self.schedule.tile_shape) >= prod(shape)
        upcast = functions.upcast if fits_one_tile else None  # the block fits into the cache, and is upcast as a whole
        find_pivot = (
            self.build_mean_or_max_function(shape)
            if fits_one_tile or functions.upcast is None
            else self.build_tiled_mean_or_max_function(shape, functions.upcast)
        )
        totals = self.build_block_totals_function(shape, self.build_transformed_tile_sum, functions.total.combine)

        def reduce_block(block: Any, out: Any, memory: Any) -> None:
            if upcast is not None:
                block = upcast(block)
            pivot = find_pivot(block)
            if functions.fix_pivot is not None:
                pivot = functions.fix_pivot(pivot)
            for result_index, total in totals(block, pivot.reshape(pivot_shape), memory):
                out[result_index] = functions.finish(total, pivot[result_index], count)

        return reduce_block

    def build_block_totals_function(
        self, shape: Lengths, build_tile: Callable[[Lengths], ReduceTileFunction], combine: Callable[..., Any]
    ) -> BlockTotalsFunction:
        """Return the function that reduces the tiles of a block, and combines the results of tiles by ``combine``.

        ``build_tile`` returns the function that reduces a tile of given lengths.
        """
        loops = self.loops
        slices_by_loop = [*map(split_into_slices, shape, self.schedule.tile_shape)]
        functions_by_shape: dict[Lengths, ReduceTileFunction] = {}
        parts: list[tuple[BlockIndex, BlockIndex, list[tuple[BlockIndex, ReduceTileFunction]]]] = []
        outer = [each if loop.is_kept else [slice(None)] for each, loop in zip(slices_by_loop, loops, strict=True)]
        for outer_index in product(*outer):
            tiles: list[tuple[BlockIndex, ReduceTileFunction]] = []
            tile_slices = [
                [outer_slice] if loop.is_kept else slices
                for outer_slice, slices, loop in zip(outer_index, slices_by_loop, loops, strict=True)
            ]
            for index in product(*tile_slices):
                lengths = tuple([each.stop - each.start for each in index])
                if lengths not in functions_by_shape:
                    functions_by_shape[lengths] = build_tile(lengths)
                tiles.append((index, functions_by_shape[lengths]))
            parts.append(
                (
                    outer_index,
                    tuple([outer_slice for outer_slice, loop in zip(outer_index, loops, strict=True) if loop.is_kept]),
                    tiles,
                )
            )

        def totals(block: Any, pivot: Any, memory: Any) -> Iterator[tuple[BlockIndex, Any]]:
            for outer_index, result_index, tiles in parts:
                pivot_part = None if pivot is None else pivot[outer_index]
                yield (
                    result_index,
                    combine_pairwise(
                        (reduce_tile(block[index], pivot_part, memory) for index, reduce_tile in tiles), combine
                    ),
                )

        return totals

    def build_mean_or_max_function(self, block_shape: Lengths) -> UnaryFunction:
        """Return the function that computes the pivot of a block of this shape."""
        functions = self.functions.pivot
        if self.functions.upcast is not None:
            return self.build_reduction_of_temporary(block_shape, functions)
        nest = build_loop_nest(block_shape, [loop.stride for loop in self.loops], self.reduced_loops)
        return self.build_reduction_of_nest(nest, block_shape, self.schedule.itemsize, functions)

    def build_tiled_mean_or_max_function(self, block_shape: Lengths, upcast: UnaryFunction) -> UnaryFunction:
        """Return the function that computes the pivot of a block whose tiles are upcast one at a time."""
        functions, count = self.functions.pivot, self.count
        kept_lengths = tuple([size for size, loop in zip(block_shape, self.loops, strict=True) if loop.is_kept])

        def build_tile(lengths: Lengths) -> ReduceTileFunction:
            reduce = self.build_reduction_of_temporary(lengths, functions._replace(finish=None))
            return lambda tile, _pivot, _memory: reduce(upcast(tile))

        totals = self.build_block_totals_function(block_shape, build_tile, functions.combine)

        def find_pivot(block: Any) -> Any:
            out = functions.scratch(block, kept_lengths)
            for result_index, total in totals(block, None, None):
                out[result_index] = total
            return out if functions.finish is None else functions.finish(out, count)

        return find_pivot

    def build_transformed_tile_sum(self, shape: Lengths) -> ReduceTileFunction:
        """Return the function that transforms a tile of this shape by the pivot and sums the result."""
        transform, functions = self.functions.transform, self.functions.total
        *outer, last = shape
        count, last_is_kept = prod(shape), self.loops[-1].is_kept
        if not self.schedule.unroll_last:
            add = self.build_reduction_of_temporary(shape, functions)
            return lambda part, pivot, memory: add(transform(part, pivot, memory[:count].reshape(shape)))
        column_shape = tuple(outer)
        reduce_column = self.build_reduction_of_temporary(column_shape, functions)
        count //= last

        def column_totals(part: Any, pivot: Any, memory: Any) -> Iterable[Any]:
            column_memory = memory[:count].reshape(column_shape)
            for index in range(last):
                yield reduce_column(
                    transform(part[..., index], pivot[..., index if last_is_kept else 0], column_memory)
                )

        def reduce_columns(part: Any, pivot: Any, memory: Any) -> Any:
            result: Any = None
            for index, total in enumerate(column_totals(part, pivot, memory)):
                if result is None:
                    result = functions.scratch(total, (*total.shape, last))
                result[..., index] = total
            return result

        return (
            reduce_columns
            if last_is_kept
            else lambda *given: combine_pairwise(column_totals(*given), functions.combine)
        )

    def build_reduction_of_temporary(self, shape: Lengths, functions: ReductionFunctions) -> UnaryFunction:
        """Return the function that reduces a contiguous temporary tensor of this shape."""
        return self.build_reduction_of_nest(
            temporary_loop_nest(shape, self.reduced_loops, functions.costs),
            shape,
            functions.costs.transform_bytes,
            functions,
        )

    def build_reduction_of_nest(
        self, loop_nest: LoopNest, shape: Lengths, itemsize: int, functions: ReductionFunctions
    ) -> UnaryFunction:
        """Return the function that reduces tensors of this shape by the best schedule, or in one call."""
        axes = tuple([axis for axis in self.reduced_loops if axis < len(shape)])
        schedule = schedule_reduction(loop_nest, itemsize, functions.costs)
        if schedule is not None:
            reduce = build_reduction(schedule, shape, axes, self.backend, functions)
            return lambda tensor: reduce(tensor, None)
        reduce_axis, scratch, finish = functions.reduce_axis, functions.scratch, functions.finish
        lengths = tuple([size for axis, size in enumerate(shape) if axis not in axes])
        count = prod([shape[axis] for axis in axes])

        def reduce_in_one_call(tensor: Any) -> Any:
            out = reduce_axis(tensor, axes, scratch(tensor, lengths))
            return out if finish is None else finish(out, count)

        return reduce_in_one_call


def combine_pairwise(parts: Iterable[Any], combine: Callable[..., Any]) -> Any:
    """Combine neighbours first and then their results, so that a sum of many terms loses fewer digits.

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
