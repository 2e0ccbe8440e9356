"""Reductions in two passes: a block after the other, and within a block a tile after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from plait._executor.large.reductions import (
    Index,
    StepFunction,
    Unary,
    build_reduction,
    from_loop_order,
    result_layout,
    to_loop_order,
)
from plait._plan.schedule.loop_nest import LoopNest, loop_nest
from plait._plan.schedule.nodes import TwoPassReduction
from plait._plan.schedule.reductions import schedule_reduction
from plait._plan.schedule.two_pass import temporary_nest

if TYPE_CHECKING:
    from plait.backends.capabilities import ReductionOps, TwoPassOps
    from plait.backends.costs import MemoryCosts
    from plait.backends.interface import Backend

Function = TypeVar("Function")

Block: TypeAlias = Callable[[Any, Any, Any], None]
"""A function of a block, memory for its result, and memory for what a tile is transformed into."""

Tile: TypeAlias = Callable[[Any, Any, Any], Any]
"""A function of a tile, its pivot, and the same memory: what is added up of it."""

Lengths: TypeAlias = "tuple[int, ...]"

Group: TypeAlias = "tuple[Index, Index, list[Index]]"
"""Tiles that make one part of the result: which part of the pivot is theirs, which of the result, and they."""


def build_two_pass(
    schedule: TwoPassReduction, shape: Sequence[int], axes: Sequence[int], backend: Backend, ops: TwoPassOps
) -> StepFunction:
    """The reduction of tensors of a shape along some axes; its second argument is nothing."""
    builder = _Builder(schedule, backend, ops, prod([shape[axis] for axis in axes]))
    loops = schedule.nest.loops
    lengths = tuple([loop.length for loop in loops])
    axis, length = schedule.block or (0, lengths[0])
    blocks: list[tuple[Index, Index, Block]] = []
    known: dict[int, Block] = {}
    before = (slice(None),) * axis
    after = (slice(None),) * sum([loop.kept for loop in loops[:axis]])
    for start in range(0, lengths[axis], length):
        block, size = slice(start, start + length), min(length, lengths[axis] - start)
        if size not in known:
            known[size] = builder.block((*lengths[:axis], size, *lengths[axis + 1 :]))
        blocks.append(((*before, block), (*after, block, ...) if loops[axis].kept else (...,), known[size]))
    result = tuple([loop.length for loop in loops if loop.kept])
    to_loops = to_loop_order(schedule.nest.order, lengths, backend)
    from_loops = from_loop_order(*result_layout(schedule.nest.order, shape, axes), backend)
    empty, scratch, held, errstate = ops.empty, ops.scratch, (prod(schedule.tiles),), ops.errstate

    def reduce(tensor: Any, _: None) -> Any:
        out, memory = empty(tensor, result), scratch(tensor, held)
        view = to_loops(tensor)
        with errstate():
            for part, place, run in blocks:
                run(view[part], out[place], memory)
        return from_loops(out)[()]

    return reduce


class _Builder:
    """Makes the functions of blocks and of tiles.

    Attributes:
        schedule: what is decided.
        backend: of the framework.
        ops: what the reduction is made of.
        count: how many elements each element of the result is made of.
        loops: over the tensor.
        axes: those that are reduced.
    """

    def __init__(self, schedule: TwoPassReduction, backend: Backend, ops: TwoPassOps, count: int) -> None:
        self.schedule, self.backend, self.ops, self.count = schedule, backend, ops, count
        self.loops = schedule.nest.loops
        self.axes = [place for place, loop in enumerate(self.loops) if not loop.kept]

    def block(self, shape: Lengths) -> Block:
        """What is done with a block of that shape: its pivot is found, and taken out of a tile after the other."""
        ops, groups = self.ops, self.groups(shape)
        broadcast = tuple([size if loop.kept else 1 for size, loop in zip(shape, self.loops, strict=True)])
        whole = prod(self.schedule.tiles) >= prod(shape)
        upcast = ops.upcast if whole else None  # what is at hand once is so again
        find = self.pivot(shape) if whole or ops.upcast is None else self.pivot_by_tiles(shape, ops.upcast)
        tiles = _by_lengths(groups, self.tile)
        work = [(some, place, [(index, tiles[_lengths(index)]) for index in parts]) for some, place, parts in groups]
        fix_pivot, finish, combine, count = ops.fix_pivot, ops.finish, ops.total.combine, self.count

        def run(block: Any, out: Any, memory: Any) -> None:
            if upcast is not None:
                block = upcast(block)
            pivot = find(block)
            if fix_pivot is not None:
                pivot = fix_pivot(pivot)
            wide = pivot.reshape(broadcast)
            for some, place, parts in work:
                taken = wide[some]
                total = combine_in_pairs((add(block[index], taken, memory) for index, add in parts), combine)
                out[place] = finish(total, pivot[place], count)

        return run

    def groups(self, shape: Lengths) -> list[Group]:
        """The tiles of a block of that shape, by the part of the result that they make."""
        cut = [
            [slice(start, min(start + tile, size)) for start in range(0, size, tile)]
            for size, tile in zip(shape, self.schedule.tiles, strict=True)
        ]
        kept = [loop.kept for loop in self.loops]
        groups: list[Group] = []
        for some in product(*[parts if stays else [slice(None)] for parts, stays in zip(cut, kept, strict=True)]):
            place = tuple([part for part, stays in zip(some, kept, strict=True) if stays])
            every = product(*[[part] if stays else parts for part, parts, stays in zip(some, cut, kept, strict=True)])
            groups.append((some, place, [*every]))
        return groups

    def pivot(self, shape: Lengths) -> Unary:
        """What finds the pivot of a block of that shape."""
        ops = self.ops.pivot
        if self.ops.upcast is not None:
            return self.temporary_reduction(shape, ops.costs, ops)
        nest = loop_nest(shape, [loop.stride for loop in self.loops], self.axes)
        return self.reduction(nest, shape, self.schedule.itemsize, ops.costs, ops)

    def pivot_by_tiles(self, shape: Lengths, upcast: Unary) -> Unary:
        """The same of a block that has to be made wide, a tile at a time."""
        ops, groups, count = self.ops.pivot, self.groups(shape), self.count
        tiles = _by_lengths(
            groups, lambda lengths: self.temporary_reduction(lengths, ops.costs, ops._replace(finish=None))
        )
        work = [(place, [(index, tiles[_lengths(index)]) for index in parts]) for _, place, parts in groups]
        kept = tuple([size for size, loop in zip(shape, self.loops, strict=True) if loop.kept])
        scratch, combine, finish = ops.scratch, ops.combine, ops.finish

        def find(block: Any) -> Any:
            out = scratch(block, kept)
            for place, parts in work:
                out[place] = combine_in_pairs((reduce(upcast(block[index])) for index, reduce in parts), combine)
            return out if finish is None else finish(out, count)

        return find

    def tile(self, shape: Lengths) -> Tile:
        """What is done with a tile of that shape: the sum of what it is transformed into."""
        transform, ops, costs = self.ops.transform, self.ops.total, self.ops.costs
        *outer, last = shape
        count, stays = prod(shape), self.loops[-1].kept
        if not self.schedule.unroll_last:
            add = self.temporary_reduction(shape, costs, ops)
            return lambda part, pivot, memory: add(transform(part, pivot, memory[:count].reshape(shape)))
        rest = tuple(outer)
        one = self.temporary_reduction(rest, costs, ops)
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

        return side_by_side if stays else lambda *given: combine_in_pairs(each(*given), ops.combine)

    def temporary_reduction(self, shape: Lengths, costs: MemoryCosts, ops: ReductionOps) -> Unary:
        """The reduction of new memory of that shape."""
        nest = temporary_nest(shape, self.axes, costs)
        return self.reduction(nest, shape, costs.transform_bytes, costs, ops)

    def reduction(self, nest: LoopNest, shape: Lengths, itemsize: int, costs: MemoryCosts, ops: ReductionOps) -> Unary:
        """The reduction of tensors of that shape, in the calls that are best, or in one."""
        axes = tuple([axis for axis in self.axes if axis < len(shape)])
        best = schedule_reduction(nest, itemsize, costs)
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


def _lengths(index: Index) -> Lengths:
    return tuple([part.stop - part.start for part in index if isinstance(part, slice)])


def _by_lengths(groups: Sequence[Group], make: Callable[[Lengths], Function]) -> dict[Lengths, Function]:
    """What is made for tiles of each size, of which there are few."""
    return {lengths: make(lengths) for lengths in {_lengths(index) for _, _, parts in groups for index in parts}}


def combine_in_pairs(parts: Iterable[Any], combine: Callable[..., Any]) -> Any:
    """All of them combined: neighbours first, then what these gave, so that a sum of many loses few digits.

    >>> combine_in_pairs("abcde", lambda one, other: f"({one}{other})")
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
