"""Reductions and copies of large tensors: from a schedule to one function of a tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import prod
from types import EllipsisType
from typing import Any, TypeAlias

from plait._plan.schedule.schedules import (
    BlockedAxis,
    CopySchedule,
    EinsumRows,
    MatmulOnes,
    ReduceAxis,
    ReductionCall,
    ReductionSchedule,
    TreeReduce,
)
from plait.backends.capabilities import LoopView, ReductionOps, StepFunction, UnaryFunction
from plait.backends.interface import Backend

BlockIndex: TypeAlias = "tuple[int | slice | EllipsisType, ...]"
"""What a part of a tensor is taken out by."""

Lengths: TypeAlias = "tuple[int, ...]"


def build_reduction(
    schedule: ReductionSchedule, shape: Sequence[int], axes: Sequence[int], backend: Backend, ops: ReductionOps
) -> StepFunction:
    """The reduction of tensors of a shape along some axes; its second argument is nothing."""
    functions, left = _step_functions(schedule, ops)
    count = prod([shape[axis] for axis in axes])
    run = blockwise(with_epilogue(functions, count, ops, _upcast_function(schedule, ops)), schedule, left)
    result = tuple([schedule.shape[place] for place in left])
    to_loops = build_to_loop_order(schedule.nest.order, schedule.shape, backend)
    from_loops = build_from_loop_order(*result_layout(schedule.nest.order, shape, axes), backend)
    empty = ops.empty

    def reduce(tensor: Any, _: None) -> Any:
        out = empty(tensor, result)
        run(to_loops(tensor), out)
        return from_loops(out)

    if ops.autograd_wrap is None:
        return reduce
    return ops.autograd_wrap(reduce, build_loop_view(schedule, shape, axes, backend))


def build_loop_view(
    schedule: ReductionSchedule, shape: Sequence[int], axes: Sequence[int], backend: Backend
) -> LoopView:
    """A reduction as loops over memory, for the way back from its result."""
    order = schedule.nest.order
    _, back = result_layout(order, shape, axes)
    _, left = _step_functions(schedule, None)
    units = tuple([size if place in left else 1 for place, size in enumerate(schedule.shape)])

    def reduce(tensor: Any, ops: ReductionOps) -> Any:
        upcast = _upcast_function(schedule, ops)
        tensor = tensor if upcast is None else upcast(tensor)
        for function in _step_functions(schedule, ops)[0]:
            tensor = function(tensor, None)
        return tensor

    return LoopView(
        axes=tuple(axes),
        shape=schedule.shape,
        reduced_loops=tuple([place for place in range(len(schedule.shape)) if place not in left]),
        to_loops=build_to_loop_order(order, schedule.shape, backend),
        result_to_loops=build_to_loop_order(_argsort(back), units, backend),
        from_loops=build_from_loop_order(tuple([shape[dim] for dim in order]), _argsort(order), backend),
        reduce=reduce,
    )


def build_to_loop_order(order: tuple[int, ...], shape: tuple[int, ...], backend: Backend) -> UnaryFunction:
    """A tensor's dimensions in an order, and then in a shape."""
    permute, reshape = backend.permute, backend.reshape
    if order == tuple(range(len(order))):
        return lambda tensor: reshape(tensor, shape)
    return lambda tensor: reshape(permute(tensor, order), shape)


def build_from_loop_order(shape: tuple[int, ...], order: tuple[int, ...], backend: Backend) -> UnaryFunction:
    """A tensor in a shape, and then with its dimensions in an order."""
    permute, reshape = backend.permute, backend.reshape
    if order == tuple(range(len(order))):
        return lambda tensor: reshape(tensor, shape)
    return lambda tensor: permute(reshape(tensor, shape), order)


def result_layout(
    order: Sequence[int], shape: Sequence[int], axes: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The lengths of a result in the order in which the tensor has its dimensions in memory, and the way back."""
    kept: list[int] = []
    lengths: list[int] = []
    for dim in order:
        if dim not in axes:
            kept.append(dim)
            lengths.append(shape[dim])
    return tuple(lengths), _argsort(kept)


def _argsort(values: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(range(len(values)), key=values.__getitem__))


def _step_functions(schedule: ReductionSchedule, ops: ReductionOps | None) -> tuple[list[StepFunction], list[int]]:
    """The calls as functions, where there are operations; and which loops they leave."""
    left = [*range(len(schedule.shape))]
    functions: list[StepFunction] = []
    for call in schedule.calls:
        if ops is not None:
            functions.append(_step_function(call, schedule.shape[left[call.axis]], ops))
        del left[call.axis]
    return functions, left


def _step_function(call: ReductionCall, length: int, ops: ReductionOps) -> StepFunction:
    if isinstance(call, TreeReduce):
        return build_tree_reduce(call, length, ops)
    if isinstance(call, MatmulOnes) and ops.matmul_ones is not None:
        return ops.matmul_ones
    axis, reduce = call.axis, ops.reduce_axis
    if isinstance(call, EinsumRows) and ops.reduce_rows is not None:
        reduce = ops.reduce_rows
    return lambda tensor, out: reduce(tensor, axis, out)


def _upcast_function(schedule: ReductionSchedule, ops: ReductionOps) -> UnaryFunction | None:
    """What makes the elements as wide as they are combined; a call along an axis converts what it reads."""
    return None if isinstance(schedule.calls[0], ReduceAxis) else ops.upcast


def build_tree_reduce(call: TreeReduce, length: int, ops: ReductionOps) -> StepFunction:
    """One axis reduced by halves, in the memory that is given or new one."""
    *levels, (last_even, last_odd, _, last_rest) = _tree_levels(call.axis, length)
    combine, scratch = ops.combine, ops.scratch

    def reduce(tensor: Any, out: Any) -> Any:
        for even, odd, first, rest in levels:
            found = combine(tensor[even], tensor[odd])
            if rest is not None:
                combine(found[first], tensor[rest], out=found[first])
            tensor = found
        if last_rest is None:
            return combine(tensor[last_even], tensor[last_odd], out=out)
        return combine(combine(tensor[last_even], tensor[last_odd]), tensor[last_rest], out=out)

    def reduce_unrolled(tensor: Any, out: Any) -> Any:
        if out is None:
            shape = tensor.shape
            out = scratch(tensor, (*shape[: call.axis], *shape[call.axis + 1 :]))
        for index in range(tensor.shape[-1]):
            reduce(tensor[..., index], out[..., index])
        return out

    return reduce_unrolled if call.unroll_last else reduce


def _tree_levels(axis: int, length: int) -> list[tuple[BlockIndex, BlockIndex, BlockIndex, BlockIndex | None]]:
    """Until one element is left: the even and the odd ones, the first of what they make, and one that is left over.

    >>> [(even[-1], odd[-1]) for even, odd, _, _ in _tree_levels(0, 4)]
    [(slice(0, 4, 2), slice(1, 4, 2)), (0, 1)]
    """
    before = (slice(None),) * axis
    first = (*before, slice(0, 1))
    levels: list[tuple[BlockIndex, BlockIndex, BlockIndex, BlockIndex | None]] = []
    while length > 3:
        whole = length // 2 * 2
        rest = (*before, slice(whole, length)) if length % 2 else None
        levels.append(((*before, slice(0, whole, 2)), (*before, slice(1, whole, 2)), first, rest))
        length //= 2
    levels.append(((*before, 0), (*before, 1), first, (*before, 2) if length == 3 else None))
    return levels


def with_epilogue(
    functions: Sequence[StepFunction], count: int, ops: ReductionOps, upcast: UnaryFunction | None
) -> Callable[[Any, Any], None]:
    """The functions one after the other, from a part of the tensor to the memory of its result."""
    *early, last = functions
    finish, downcast, scratch = ops.finish, ops.needs_downcast, ops.scratch

    def run(tensor: Any, out: Any) -> None:
        if upcast is not None:
            tensor = upcast(tensor)
        for function in early:
            tensor = function(tensor, None)
        found = last(tensor, scratch(tensor, out.shape) if downcast else out)
        if finish is not None:
            finish(found, count)
        if downcast:
            out[...] = found

    return run


def blockwise(
    run: Callable[[Any, Any], None], schedule: ReductionSchedule, left: Sequence[int]
) -> Callable[[Any, Any], None]:
    """The same, a block at a time."""
    if schedule.block is None:
        return run
    parts = block_indices(schedule.shape, schedule.block, left)

    def run_blocks(tensor: Any, out: Any) -> None:
        for _, part, place in parts:
            run(tensor[part], out[place])

    return run_blocks


def block_indices(
    shape: Lengths, block: BlockedAxis, left: Sequence[int]
) -> list[tuple[Lengths, BlockIndex, BlockIndex]]:
    """The shape of each block, and its place in the tensor and in the result, which has the loops that are left."""
    if block is None:
        return [(shape, (...,), (...,))]
    axis, length = block
    before, after = (slice(None),) * axis, (slice(None),) * left.index(axis)
    return [
        ((*shape[:axis], part.stop - part.start, *shape[axis + 1 :]), (*before, part), (*after, part))
        for part in split_into_slices(shape[axis], length)
    ]


def split_into_slices(length: int, part: int) -> list[slice]:
    """An axis cut into parts, of which the last may be shorter."""
    return [slice(start, min(start + part, length)) for start in range(0, length, part)]


def build_copy(
    schedule: CopySchedule, target: tuple[int, ...], copy: Callable[[Any, tuple[int, ...], list[Any]], Any]
) -> StepFunction:
    """The copy of a tensor into new memory of a shape; its second argument is nothing."""
    parts = [*product(*map(split_into_slices, schedule.shape, schedule.tiles))]
    return lambda tensor, _: copy(tensor, schedule.shape, parts).reshape(target)
