"""Reductions that have a centre carried out: a block after the other, and within a block a tile after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from math import prod
from typing import Any, NamedTuple, TypeAlias, TypeVar

from plait._executor.large.reductions import (
    Index,
    Made,
    laid_out,
    placed,
    reducing,
    turned,
)
from plait._plan.schedule.nodes import Centred
from plait._plan.schedule.reductions import reduced
from plait._plan.strides import contiguous
from plait.backends.capabilities import Calls, Composite
from plait.backends.costs import MemoryCosts
from plait.backends.interface import Backend

Function = TypeVar("Function")

Block: TypeAlias = Callable[[Any, Any, Any], None]
"""A function of a block, memory for its result, and memory for what is made of a tile."""

Tile: TypeAlias = Callable[[Any, Any, Any], Any]
"""A function of a tile, its centre, and the same memory: what is added up of it."""

One: TypeAlias = Callable[[Any], Any]
"""A function of a tensor."""

Lengths: TypeAlias = "tuple[int, ...]"

Group: TypeAlias = "tuple[Index, Index, list[Index]]"
"""Tiles that make one part of the result: which part of the centre is theirs, which of the result, and they."""


class Means(NamedTuple):
    """What it is done by.

    Attributes:
        backend: of the framework.
        composite: what the reduction is made of.
        terms: how many elements each element of the result is made of.
    """

    backend: Backend
    composite: Composite
    terms: int


def centring(way: Centred, shape: Sequence[int], axes: Sequence[int], backend: Backend, composite: Composite) -> Made:
    """The reduction of tensors of a shape along some axes; its second argument is nothing.

    Args:
        way: what is decided.
        shape: of the tensors.
        axes: the dimensions that are reduced.
        backend: of the framework.
        composite: what the reduction is made of.
    """
    means = Means(backend, composite, prod([shape[place] for place in axes]))
    lengths = tuple([loop.length for loop in way.loops])
    axis, length = way.block or (0, lengths[0])
    blocks: list[tuple[Index, Index, Block]] = []
    known: dict[int, Block] = {}
    before = (slice(None),) * axis
    after = (slice(None),) * sum([loop.kept for loop in way.loops[:axis]])
    for start in range(0, lengths[axis], length):
        block, size = slice(start, start + length), min(length, lengths[axis] - start)
        if size not in known:
            known[size] = _block(way, (*lengths[:axis], size, *lengths[axis + 1 :]), means)
        blocks.append(((*before, block), (*after, block, ...) if way.loops[axis].kept else (...,), known[size]))
    order, kept, back, target = placed(way.order, shape, axes)
    result = tuple([loop.length for loop in way.loops if loop.kept])
    into, home = turned(order, lengths, backend), laid_out(kept, back, backend)
    reshape, empty, room = backend.reshape, composite.empty, composite.room
    held, quiet = (prod(way.tiles),), composite.quiet

    def reduce(tensor: Any, _: None) -> Any:
        out, memory = empty(tensor, result), room(tensor, held)
        view = into(tensor)
        with quiet():
            for part, place, run in blocks:
                run(view[part], out[place], memory)
        return reshape(home(out), target)[()]

    return reduce


def _block(way: Centred, shape: Lengths, means: Means) -> Block:
    """What is done with a block of that shape: its centre is found, and then goes out of a tile after the other."""
    composite, groups = means.composite, _groups(way, shape)
    spread = tuple([size if loop.kept else 1 for size, loop in zip(shape, way.loops, strict=True)])
    whole = prod(way.tiles) >= prod(shape)
    widen = composite.widen if whole else None  # what is at hand once is so again
    if whole or composite.widen is None:
        find = _centre(way, shape, means)
    else:
        find = _centre_by_tiles(way, shape, composite.widen, means)
    tiles = _by_lengths(groups, lambda lengths: _tile(way, lengths, means))
    work = [(some, place, [(index, tiles[_lengths(index)]) for index in parts]) for some, place, parts in groups]
    settle, finish, combine, count = composite.settle, composite.finish, composite.total.combine, means.terms

    def run(block: Any, out: Any, memory: Any) -> None:
        if widen is not None:
            block = widen(block)
        centre = find(block)
        if settle is not None:
            centre = settle(centre)
        wide = centre.reshape(spread)
        for some, place, parts in work:
            taken = wide[some]
            total = in_pairs((add(block[index], taken, memory) for index, add in parts), combine)
            out[place] = finish(total, centre[place], count)

    return run


def _groups(way: Centred, shape: Lengths) -> list[Group]:
    """The tiles of a block of that shape, by the part of the result that they make."""
    cut = [
        [slice(start, min(start + tile, size)) for start in range(0, size, tile)]
        for size, tile in zip(shape, way.tiles, strict=True)
    ]
    kept = [loop.kept for loop in way.loops]
    groups: list[Group] = []
    for some in product(*[parts if stays else [slice(None)] for parts, stays in zip(cut, kept, strict=True)]):
        place = tuple([part for part, stays in zip(some, kept, strict=True) if stays])
        every = product(*[[part] if stays else parts for part, parts, stays in zip(some, cut, kept, strict=True)])
        groups.append((some, place, [*every]))
    return groups


def _lengths(index: Index) -> Lengths:
    return tuple([part.stop - part.start for part in index if isinstance(part, slice)])


def _by_lengths(groups: Sequence[Group], make: Callable[[Lengths], Function]) -> dict[Lengths, Function]:
    """What is made for tiles of each size, of which there are few."""
    return {lengths: make(lengths) for lengths in {_lengths(index) for _, _, parts in groups for index in parts}}


def _centre(way: Centred, shape: Lengths, means: Means) -> One:
    """What finds the centre of a block of that shape."""
    calls = means.composite.centre
    if means.composite.widen is None:
        return _along(shape, [loop.stride for loop in way.loops], _gone(way), way.itemsize, calls.costs, calls, means)
    return _at_hand(shape, _gone(way), calls.costs, calls, means)


def _centre_by_tiles(way: Centred, shape: Lengths, widen: One, means: Means) -> One:
    """The same of a block that has to be made wide, a tile at a time."""
    calls, groups, count = means.composite.centre, _groups(way, shape), means.terms
    plain = calls._replace(finish=None)
    tiles = _by_lengths(groups, lambda lengths: _at_hand(lengths, _gone(way), calls.costs, plain, means))
    work = [(place, [(index, tiles[_lengths(index)]) for index in parts]) for _, place, parts in groups]
    kept = tuple([size for size, loop in zip(shape, way.loops, strict=True) if loop.kept])
    room, combine, finish = calls.room, calls.combine, calls.finish

    def find(block: Any) -> Any:
        out = room(block, kept)
        for place, parts in work:
            out[place] = in_pairs((reduce(widen(block[index])) for index, reduce in parts), combine)
        return out if finish is None else finish(out, count)

    return find


def _tile(way: Centred, shape: Lengths, means: Means) -> Tile:
    """What is done with a tile of that shape: the sum of what is made of it."""
    deviate, calls = means.composite.deviate, means.composite.total
    *outer, last = shape
    count, stays = prod(shape), way.loops[-1].kept
    if not way.apart:
        add = _at_hand(shape, _gone(way), means.composite.costs, calls, means)
        return lambda part, centre, memory: add(deviate(part, centre, memory[:count].reshape(shape)))
    rest = tuple(outer)
    one = _at_hand(rest, [axis for axis in _gone(way) if axis < len(rest)], means.composite.costs, calls, means)
    count //= last

    def each(part: Any, centre: Any, memory: Any) -> Iterable[Any]:
        here = memory[:count].reshape(rest)
        for index in range(last):
            yield one(deviate(part[..., index], centre[..., index if stays else 0], here))

    def side_by_side(part: Any, centre: Any, memory: Any) -> Any:
        found: Any = None
        for index, total in enumerate(each(part, centre, memory)):
            if found is None:
                found = calls.room(total, (*total.shape, last))
            found[..., index] = total
        return found

    return side_by_side if stays else lambda *given: in_pairs(each(*given), calls.combine)


def _gone(way: Centred) -> list[int]:
    """The loops that are reduced."""
    return [place for place, loop in enumerate(way.loops) if not loop.kept]


def _at_hand(shape: Lengths, axes: Sequence[int], costs: MemoryCosts, calls: Calls, means: Means) -> One:
    """The reduction of new memory of that shape."""
    strides = [stride * costs.transform_bytes for stride in contiguous(shape)]
    return _along(shape, strides, axes, costs.transform_bytes, costs, calls, means)


def _along(
    shape: Lengths,
    strides: Sequence[int],
    axes: Sequence[int],
    itemsize: int,
    costs: MemoryCosts,
    calls: Calls,
    means: Means,
) -> One:
    """The reduction of memory of that shape along some axes, in the calls that are best, or in one."""
    best = reduced(shape, strides, axes, itemsize, costs)
    if best is not None:
        run = reducing(best, shape, axes, means.backend, calls)
        return lambda tensor: run(tensor, None)
    along, room, finish = calls.along, calls.room, calls.finish
    lengths, gone = tuple([size for place, size in enumerate(shape) if place not in axes]), tuple(axes)
    count = prod([shape[axis] for axis in axes])

    def one_call(tensor: Any) -> Any:
        out = along(tensor, gone, room(tensor, lengths))
        return out if finish is None else finish(out, count)

    return one_call


def in_pairs(parts: Iterable[Any], combine: Callable[[Any, Any, Any], Any]) -> Any:
    """All of them combined: neighbours first, then what these gave, so that a sum of many loses few digits.

    >>> in_pairs("abcde", lambda one, other, out: f"({one}{other})")
    '(((ab)(cd))e)'
    """
    waiting: list[Any] = []
    for number, part in enumerate(parts, 1):
        total, twice = part, number
        while twice % 2 == 0:
            total, twice = combine(waiting.pop(), total, None), twice // 2
        waiting.append(total)
    total = waiting.pop()
    while waiting:
        total = combine(waiting.pop(), total, None)
    return total
