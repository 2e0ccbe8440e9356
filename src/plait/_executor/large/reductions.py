"""Builders of the functions that execute the schedules of reductions and copies of large tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import prod
from types import EllipsisType
from typing import Any, TypeAlias

from plait._plan.schedule.schedules import (
    AddRowsByEinsum,
    BlockedAxis,
    CopySchedule,
    MatmulOnes,
    ReduceAxis,
    ReductionCall,
    ReductionSchedule,
    TreeReduce,
)
from plait.backends.capabilities import (
    AllocateFunction,
    ReductionFunctions,
    ReductionLoopNest,
    StepFunction,
    UnaryFunction,
)
from plait.backends.interface import Backend

BlockIndex: TypeAlias = "tuple[int | slice | EllipsisType, ...]"
"""The index of a block of a tensor."""

Lengths: TypeAlias = "tuple[int, ...]"
"""The lengths of the loops of a block."""


def build_reduction(
    schedule: ReductionSchedule,
    shape: Sequence[int],
    axes: Sequence[int],
    backend: Backend,
    functions: ReductionFunctions,
    kept_order: Sequence[int] | None = None,
) -> StepFunction:
    """Return a function that reduces tensors of this shape along some axes; it ignores its second argument.

    ``kept_order`` are the dimensions that the result keeps, in the order in which they lie in its memory, the outermost
    first; by default in the order in which they lie in the tensor's memory.
    """
    step_functions, kept_loops = _functions_and_kept_loops(schedule, functions)
    count = prod([shape[axis] for axis in axes])
    reduce_into = build_loop_over_blocks(
        build_reduction_of_block(step_functions, count, functions, _upcast_function(schedule, functions)),
        schedule,
        kept_loops,
    )
    result_shape = tuple([schedule.shape[loop] for loop in kept_loops])
    to_loops = build_to_loop_order(schedule.nest.order, schedule.shape, backend)
    empty = functions.empty
    from_loops = build_result_from_loops(schedule.nest.order, shape, axes, kept_order, backend, empty)

    def reduce(tensor: Any, _: None) -> Any:
        out = empty(tensor, result_shape)
        reduce_into(to_loops(tensor), out)
        return from_loops(out)

    if functions.autograd_wrap is None:
        return reduce
    return functions.autograd_wrap(reduce, build_reduction_loops_for_gradient(schedule, shape, axes, backend))


def build_reduction_loops_for_gradient(
    schedule: ReductionSchedule, shape: Sequence[int], axes: Sequence[int], backend: Backend
) -> ReductionLoopNest:
    """Return a reduction as a loop nest over memory, through which the gradient is computed."""
    order = schedule.nest.order
    _, result_order = result_lengths_and_order(order, shape, axes)
    _, kept_loops = _functions_and_kept_loops(schedule, None)
    shape_with_units = tuple([size if loop in kept_loops else 1 for loop, size in enumerate(schedule.shape)])

    def reduce(tensor: Any, functions: ReductionFunctions) -> Any:
        upcast = _upcast_function(schedule, functions)
        tensor = tensor if upcast is None else upcast(tensor)
        for function in _functions_and_kept_loops(schedule, functions)[0]:
            tensor = function(tensor, None)
        return tensor

    return ReductionLoopNest(
        axes=tuple(axes),
        shape=schedule.shape,
        reduced_loops=tuple([loop for loop in range(len(schedule.shape)) if loop not in kept_loops]),
        to_loops=build_to_loop_order(order, schedule.shape, backend),
        result_to_loops=build_to_loop_order(_argsort(result_order), shape_with_units, backend),
        from_loops=build_from_loop_order(tuple([shape[dim] for dim in order]), _argsort(order), backend),
        reduce=reduce,
    )


def build_to_loop_order(order: tuple[int, ...], loop_lengths: tuple[int, ...], backend: Backend) -> UnaryFunction:
    """Return a function that permutes the dimensions of a tensor, and then reshapes it to the loops of a loop nest."""
    permute, reshape = backend.permute, backend.reshape
    if order == tuple(range(len(order))):
        return lambda tensor: reshape(tensor, loop_lengths)
    return lambda tensor: reshape(permute(tensor, order), loop_lengths)


def build_from_loop_order(shape: tuple[int, ...], order: tuple[int, ...], backend: Backend) -> UnaryFunction:
    """Return a function that reshapes a tensor, whose dimensions are loops, and then permutes its dimensions."""
    permute, reshape = backend.permute, backend.reshape
    if order == tuple(range(len(order))):
        return lambda tensor: reshape(tensor, shape)
    return lambda tensor: permute(reshape(tensor, shape), order)


def build_result_from_loops(
    order: Sequence[int],
    input_shape: Sequence[int],
    axes: Sequence[int],
    kept_order: Sequence[int] | None,
    backend: Backend,
    empty: AllocateFunction,
) -> UnaryFunction:
    """Return a function of the kept loops that returns the result, whose memory has the ``kept_order``.

    It is a copy where that is not the order of the loops; the place of dimensions of length 1 makes no difference.
    """
    from_loops = build_from_loop_order(*result_lengths_and_order(order, input_shape, axes), backend)
    if kept_order is None:
        return from_loops
    lengths, result_order = result_lengths_and_order(kept_order, input_shape, axes)
    if [dim for dim in kept_order if input_shape[dim] != 1] == [
        dim for dim in order if input_shape[dim] != 1 and dim not in axes
    ]:
        return build_from_loop_order(lengths, result_order, backend)
    permute = backend.permute

    def copy_from_loops(out: Any) -> Any:
        result = permute(empty(out, lengths), result_order)
        result[...] = from_loops(out)
        return result

    return copy_from_loops


def result_lengths_and_order(
    order: Sequence[int], shape: Sequence[int], axes: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the lengths of a result in the order of the input's memory, and the permutation to its own order."""
    kept_dims: list[int] = []
    lengths: list[int] = []
    for dim in order:
        if dim not in axes:
            kept_dims.append(dim)
            lengths.append(shape[dim])
    return tuple(lengths), _argsort(kept_dims)


def _argsort(values: Sequence[int]) -> tuple[int, ...]:
    """Return the indices that sort the values."""
    return tuple(sorted(range(len(values)), key=values.__getitem__))


def _functions_and_kept_loops(
    schedule: ReductionSchedule, functions: ReductionFunctions | None
) -> tuple[list[StepFunction], list[int]]:
    """Return the functions of the calls of the schedule, and the loops that are not reduced.

    Without ``functions`` the list is empty.
    """
    kept_loops = [*range(len(schedule.shape))]
    step_functions: list[StepFunction] = []
    for call in schedule.calls:
        if functions is not None:
            step_functions.append(_function_of_call(call, schedule.shape[kept_loops[call.axis]], functions))
        del kept_loops[call.axis]
    return step_functions, kept_loops


def _function_of_call(call: ReductionCall, length: int, functions: ReductionFunctions) -> StepFunction:
    """Return the function of a tensor and its output memory that executes one call along an axis."""
    if isinstance(call, TreeReduce):
        return build_tree_reduce(call, length, functions)
    if isinstance(call, MatmulOnes) and functions.matmul_ones is not None:
        return functions.matmul_ones
    axis, reduce = call.axis, functions.reduce_axis
    if isinstance(call, AddRowsByEinsum) and functions.reduce_rows is not None:
        reduce = functions.reduce_rows
    return lambda tensor, out: reduce(tensor, axis, out)


def _upcast_function(schedule: ReductionSchedule, functions: ReductionFunctions) -> UnaryFunction | None:
    """Return the function that converts a block to the type of the accumulator.

    Return ``None`` if the first call of the schedule converts its input itself, or if the input has that type already.
    """
    return None if isinstance(schedule.calls[0], ReduceAxis) else functions.upcast


def build_tree_reduce(call: TreeReduce, length: int, functions: ReductionFunctions) -> StepFunction:
    """Return a function that reduces one axis by repeatedly combining elements at even and odd positions."""
    *levels, (last_even, last_odd, _, last_leftover) = _tree_level_indices(call.axis, length)
    combine, scratch = functions.combine, functions.scratch

    def reduce(tensor: Any, out: Any) -> Any:
        for even, odd, first, leftover in levels:
            combined = combine(tensor[even], tensor[odd])
            if leftover is not None:
                combine(combined[first], tensor[leftover], out=combined[first])
            tensor = combined
        if last_leftover is None:
            return combine(tensor[last_even], tensor[last_odd], out=out)
        return combine(combine(tensor[last_even], tensor[last_odd]), tensor[last_leftover], out=out)

    def reduce_unrolled(tensor: Any, out: Any) -> Any:
        if out is None:
            shape = tensor.shape
            out = scratch(tensor, (*shape[: call.axis], *shape[call.axis + 1 :]))
        for index in range(tensor.shape[-1]):
            reduce(tensor[..., index], out[..., index])
        return out

    return reduce_unrolled if call.unroll_last else reduce


def _tree_level_indices(axis: int, length: int) -> list[tuple[BlockIndex, BlockIndex, BlockIndex, BlockIndex | None]]:
    """Return the indices for each halving of an axis: even elements, odd elements, first result, leftover element.

    If the length is odd, the leftover element is combined with the first result.

    >>> [(even[-1], odd[-1]) for even, odd, _, _ in _tree_level_indices(0, 4)]
    [(slice(0, 4, 2), slice(1, 4, 2)), (0, 1)]
    """
    leading = (slice(None),) * axis
    first = (*leading, slice(0, 1))
    levels: list[tuple[BlockIndex, BlockIndex, BlockIndex, BlockIndex | None]] = []
    while length > 3:
        even_length = length // 2 * 2
        leftover = (*leading, slice(even_length, length)) if length % 2 else None
        levels.append(((*leading, slice(0, even_length, 2)), (*leading, slice(1, even_length, 2)), first, leftover))
        length //= 2
    levels.append(((*leading, 0), (*leading, 1), first, (*leading, 2) if length == 3 else None))
    return levels


def build_reduction_of_block(
    step_functions: Sequence[StepFunction],
    count: int,
    functions: ReductionFunctions,
    upcast: UnaryFunction | None,
) -> Callable[[Any, Any], None]:
    """Return a function that reduces a block in these steps, finishes the result, and writes it to ``out``.

    If ``needs_downcast``, the result is cast from the type of the accumulator to that of ``out``.
    """
    *first_functions, last = step_functions
    finish, needs_downcast, scratch = functions.finish, functions.needs_downcast, functions.scratch

    def reduce_into(tensor: Any, out: Any) -> None:
        if upcast is not None:
            tensor = upcast(tensor)
        for function in first_functions:
            tensor = function(tensor, None)
        result = last(tensor, scratch(tensor, out.shape) if needs_downcast else out)
        if finish is not None:
            finish(result, count)
        if needs_downcast:
            out[...] = result

    return reduce_into


def build_loop_over_blocks(
    reduce_into: Callable[[Any, Any], None], schedule: ReductionSchedule, kept_loops: Sequence[int]
) -> Callable[[Any, Any], None]:
    """Return a function that reduces a tensor one block after the other."""
    if schedule.block is None:
        return reduce_into
    blocks = block_shapes_and_indices(schedule.shape, schedule.block, kept_loops)

    def run_blocks(tensor: Any, out: Any) -> None:
        for _, input_index, result_index in blocks:
            reduce_into(tensor[input_index], out[result_index])

    return run_blocks


def block_shapes_and_indices(
    shape: Lengths, block: BlockedAxis, kept_loops: Sequence[int]
) -> list[tuple[Lengths, BlockIndex, BlockIndex]]:
    """Return the shape of each block, its index in the tensor, and its index in the result of the kept loops."""
    if block is None:
        return [(shape, (...,), (...,))]
    axis, length = block
    leading, result_leading = (slice(None),) * axis, (slice(None),) * kept_loops.index(axis)
    return [
        (
            (*shape[:axis], block_slice.stop - block_slice.start, *shape[axis + 1 :]),
            (*leading, block_slice),
            (*result_leading, block_slice),
        )
        for block_slice in split_into_slices(shape[axis], length)
    ]


def split_into_slices(length: int, slice_length: int) -> list[slice]:
    """Return slices of ``slice_length`` that together cover an axis; the last one may be shorter."""
    return [slice(start, min(start + slice_length, length)) for start in range(0, length, slice_length)]


def build_copy(
    schedule: CopySchedule, target: tuple[int, ...], copy_tiles: Callable[[Any, tuple[int, ...], list[Any]], Any]
) -> StepFunction:
    """Return a function that copies a tensor tile by tile to new memory of a shape; it ignores its second argument."""
    tiles = [*product(*map(split_into_slices, schedule.shape, schedule.tile_shape))]
    return lambda tensor, _: copy_tiles(tensor, schedule.shape, tiles).reshape(target)
