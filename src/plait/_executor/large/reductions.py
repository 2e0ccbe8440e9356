"""Reductions and copies of large tensors carried out: from what is decided to one function of a tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import prod
from types import EllipsisType
from typing import Any, TypeAlias

from plait._plan.schedule.nodes import (
    Along,
    Call,
    Copying,
    Halves,
    Ones,
    Reduction,
    Rows,
)
from plait.backends.capabilities import Calls, Loops
from plait.backends.interface import Backend

Index: TypeAlias = "tuple[int | slice | EllipsisType, ...]"
"""What a part of a tensor is taken out by."""

Made: TypeAlias = Callable[[Any, Any], Any]
"""A function of a tensor, and of a constant: within this file memory for its result, or ``None``."""


def reducing(way: Reduction, shape: Sequence[int], axes: Sequence[int], backend: Backend, calls: Calls) -> Made:
    """The reduction of tensors of a shape along some axes; its second argument is nothing.

    Args:
        way: what is decided.
        shape: of the tensors.
        axes: the dimensions that are reduced.
        backend: of the framework.
        calls: of the reduction.
    """
    made, left = _one_by_one(way, calls), _left(way)
    count = prod([shape[place] for place in axes])
    part_by_part = _part_by_part(_finished(made, count, calls._replace(widen=_widen(way, calls))), way, left)
    order, lengths, back, target = placed(way.order, shape, axes)
    result = tuple([way.shape[place] for place in left])
    into, empty = turned(order, way.shape, backend), calls.empty
    home, reshape = laid_out(lengths, back, backend), backend.reshape

    def reduce(tensor: Any, _: None) -> Any:
        out = empty(tensor, result)
        part_by_part(into(tensor), out)
        return reshape(home(out), target)

    return reduce if calls.recorded is None else calls.recorded(reduce, loops(way, shape, axes, backend))


def loops(way: Reduction, shape: Sequence[int], axes: Sequence[int], backend: Backend) -> Loops:
    """A reduction as loops over memory, for the way back from its result.

    Args:
        way: what is decided.
        shape: of the tensors.
        axes: the dimensions that are reduced.
        backend: of the framework.
    """
    order, *_ = placed(way.order, shape, axes)
    lengths = tuple([shape[place] for place in order])
    home = tuple(sorted(range(len(order)), key=order.__getitem__))
    kept = [place for place in range(len(shape)) if place not in axes]
    laid = tuple([kept.index(place) for place in order if place not in axes])
    left = _left(way)
    units = tuple([size if place in left else 1 for place, size in enumerate(way.shape)])

    def fold(tensor: Any, calls: Calls) -> Any:
        widen = _widen(way, calls)
        tensor = tensor if widen is None else widen(tensor)
        for make in _one_by_one(way, calls):
            tensor = make(tensor, None)
        return tensor

    return Loops(
        axes=tuple(axes),
        shape=way.shape,
        reduced=tuple([place for place in range(len(way.shape)) if place not in left]),
        into=turned(order, way.shape, backend),
        left=turned(laid, units, backend),
        back=laid_out(lengths, home, backend),
        fold=fold,
    )


def turned(order: tuple[int, ...], shape: tuple[int, ...], backend: Backend) -> Callable[[Any], Any]:
    """A tensor's dimensions in an order, and then in a shape."""
    permute, reshape = backend.permute, backend.reshape
    if order == tuple(range(len(order))):
        return lambda tensor: reshape(tensor, shape)
    return lambda tensor: reshape(permute(tensor, order), shape)


def laid_out(shape: tuple[int, ...], order: tuple[int, ...], backend: Backend) -> Callable[[Any], Any]:
    """A tensor in a shape, and then with its dimensions in an order."""
    permute, reshape = backend.permute, backend.reshape
    if order == tuple(range(len(order))):
        return lambda tensor: reshape(tensor, shape)
    return lambda tensor: permute(reshape(tensor, shape), order)


def _one_by_one(way: Reduction, calls: Calls) -> list[Made]:
    """The calls as functions."""
    sizes = [*way.shape]
    made = []
    for call in way.calls:
        made.append(_made(call, sizes, calls))
        del sizes[call.axis]
    return made


def _widen(way: Reduction, calls: Calls) -> Callable[[Any], Any] | None:
    """What makes the elements as wide as they are combined; a call along an axis converts what it reads."""
    return None if isinstance(way.calls[0], Along) else calls.widen


def _left(way: Reduction) -> list[int]:
    """Which loops the calls leave."""
    left = [*range(len(way.shape))]
    for call in way.calls:
        del left[call.axis]
    return left


def placed(
    order: Sequence[int], shape: Sequence[int], axes: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """How a tensor becomes a nest of loops, and what is left of it a result.

    Args:
        order: of its dimensions that have more than one element, as memory has them.
        shape: of the tensor.
        axes: the dimensions that are reduced.

    Returns:
        The order of all dimensions; the lengths of those that are kept, as memory has them; their order in the result;
        and the result's shape.
    """
    kept = [place for place in order if place not in axes]
    rest = [place for place in range(len(shape)) if place not in order]
    lengths = tuple([shape[place] for place in kept])
    back = tuple([kept.index(place) for place in sorted(kept)])
    return (*order, *rest), lengths, back, tuple([size for place, size in enumerate(shape) if place not in axes])


def _made(call: Call, sizes: Sequence[int], calls: Calls) -> Made:
    if isinstance(call, Halves):
        return _halves(call, sizes, calls)
    if isinstance(call, Ones) and calls.product is not None:
        return calls.product
    axis, along = call.axis, calls.rows if isinstance(call, Rows) and calls.rows is not None else calls.along
    return lambda tensor, out: along(tensor, axis, out)


def _halves(call: Halves, sizes: Sequence[int], calls: Calls) -> Made:
    """One axis reduced by halves, in the memory that is given or new one."""
    levels = [*_levels(call.axis, sizes[call.axis])]
    combine, room = calls.combine, calls.room

    def halve(tensor: Any, out: Any) -> Any:
        for even, odd, first, last in levels[:-1]:
            found = combine(tensor[even], tensor[odd], None)
            if last is not None:
                combine(found[first], tensor[last], found[first])
            tensor = found
        even, odd, _, last = levels[-1]
        if last is None:
            return combine(tensor[even], tensor[odd], out)
        return combine(combine(tensor[even], tensor[odd], None), tensor[last], out)

    def halve_apart(tensor: Any, out: Any) -> Any:
        if out is None:
            shape = tensor.shape
            out = room(tensor, (*shape[: call.axis], *shape[call.axis + 1 :]))
        for index in range(tensor.shape[-1]):
            halve(tensor[..., index], out[..., index])
        return out

    return halve_apart if call.apart else halve


def _levels(axis: int, length: int) -> list[tuple[Index, Index, Index, Index | None]]:
    """Until one element is left: the even and the odd ones, the first of what they make, and one that is left over.

    >>> [(even[-1], odd[-1]) for even, odd, _, _ in _levels(0, 4)]
    [(slice(0, 4, 2), slice(1, 4, 2)), (0, 1)]
    """
    before = (slice(None),) * axis
    first = (*before, slice(0, 1))
    levels: list[tuple[Index, Index, Index, Index | None]] = []
    while length > 3:
        whole = length // 2 * 2
        left_over = (*before, slice(whole, length)) if length % 2 else None
        levels.append(((*before, slice(0, whole, 2)), (*before, slice(1, whole, 2)), first, left_over))
        length //= 2
    levels.append(((*before, 0), (*before, 1), first, (*before, 2) if length == 3 else None))
    return levels


def _finished(made: Sequence[Made], count: int, calls: Calls) -> Callable[[Any, Any], None]:
    """The calls one after the other, from a part of the tensor to the memory of its result."""
    *early, last = made
    widen, finish, narrow, room = calls.widen, calls.finish, calls.narrow, calls.room

    def whole(tensor: Any, out: Any) -> None:
        if widen is not None:
            tensor = widen(tensor)
        for make in early:
            tensor = make(tensor, None)
        found = last(tensor, room(tensor, out.shape) if narrow else out)
        if finish is not None:
            finish(found, count)
        if narrow:
            out[...] = found

    return whole


def _part_by_part(whole: Callable[[Any, Any], None], way: Reduction, left: Sequence[int]) -> Callable[[Any, Any], None]:
    """The same, a block at a time."""
    if way.block is None:
        return whole
    axis, length = way.block
    before, after = (slice(None),) * axis, (slice(None),) * left.index(axis)
    blocks = [slice(start, start + length) for start in range(0, way.shape[axis], length)]
    parts = [((*before, block), (*after, block)) for block in blocks]

    def run(tensor: Any, out: Any) -> None:
        for part, place in parts:
            whole(tensor[part], out[place])

    return run


def copying(way: Copying, target: tuple[int, ...], copy: Callable[[Any, tuple[int, ...], list[Any]], Any]) -> Made:
    """The copy of a tensor into new memory of a shape; its second argument is nothing."""
    lengths = zip(way.shape, way.tiles, strict=True)
    tiles = [[slice(start, start + tile) for start in range(0, length, tile)] for length, tile in lengths]
    parts = [*product(*tiles)]
    return lambda tensor, _: copy(tensor, way.shape, parts).reshape(target)
