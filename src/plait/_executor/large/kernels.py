"""Large tensors by a compiled kernel, in one pass over memory; until it is ready, by the framework's calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from math import inf, prod
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from plait._executor.large.reductions import result_layout
from plait._plan.nodes import Reduce
from plait._plan.schedule.schedules import ScheduledStep
from plait._plan.strides import contiguous_strides, dims_by_stride
from plait.backends.capabilities import AllocateFunction, LargeTensorOps, ReductionOps, StepFunction, TwoPassOps
from plait.backends.interface import Backend

if TYPE_CHECKING:
    from plait.backends.kernels import Filler

TIMED_CALLS = 3
"""How many calls each of two ways has to show how fast it is."""


class KernelTask(NamedTuple):
    """What a kernel fills."""

    filler: Filler
    order: tuple[int, ...]  # of the tensor's dimensions, those that are reduced last
    lengths: tuple[int, ...]  # of new memory, in the order in which the tensor has its dimensions in memory
    back: tuple[int, ...]  # the order in which the result has them
    empty: AllocateFunction
    copies: bool  # whether the result is a copy, whose shape may be another

    @classmethod
    def for_node(
        cls, scheduled: ScheduledStep, large: LargeTensorOps, ops: ReductionOps | TwoPassOps | None, dtype: Any
    ) -> KernelTask | None:
        """The task of a reduction, or of a copy to row-major memory; ``None`` where no kernel has it."""
        _, node, shape, strides, *_ = scheduled
        if large.build_kernel is None or large.empty is None or prod(shape) < large.min_kernel_elements:
            return None
        name: str | None = None
        axes: tuple[int, ...] = ()
        itemsize, empty, memory = dtype.itemsize, large.empty, tuple(range(len(shape)))
        if isinstance(node, Reduce):
            if not isinstance(ops, ReductionOps) or len(node.axes) == len(shape):
                return None
            name, axes, itemsize, empty = node.reduction, node.axes, ops.itemsize, ops.empty
            memory = dims_by_stride(strides)
        lengths, back = result_layout(memory, shape, axes)
        order = (*[dim for dim in range(len(shape)) if dim not in axes], *axes)
        new = contiguous_strides(lengths, itemsize)
        filler = large.build_kernel(
            name,
            tuple(map(shape.__getitem__, order)),
            tuple(map(strides.__getitem__, order)),
            len(axes),
            tuple(map(new.__getitem__, back)),
            dtype,
        )
        return None if filler is None else cls(filler, order, lengths, back, empty, not axes)


def describe_kernel_use(
    task: KernelTask | None, scheduled: ScheduledStep, large: LargeTensorOps, dtype: Any
) -> str | None:
    """What ``explain`` says of a step that a kernel does, or could do; ``None`` where there is nothing to be said."""
    if large.build_kernel is None or large.why_no_kernel is None or prod(scheduled.shape) < large.min_kernel_elements:
        return None
    if task is not None and task.filler.ready:
        return "by a compiled kernel, where the first calls show that it is faster"
    step = scheduled.node
    reduction = step.reduction if isinstance(step, Reduce) else None
    reason = large.why_no_kernel(reduction, dtype) if task is None else task.filler.why
    return None if reason is None else f"without a kernel: {reason}"


def kernel_with_fallback(task: KernelTask, backend: Backend, fallback: StepFunction) -> StepFunction:
    """The function that fills new memory once the kernel is ready, if that is faster; the second call asks for it."""
    filler, order, lengths, back, empty, copies = task
    permute, reshape = backend.permute, backend.reshape

    def fill(tensor: Any, constant: Any) -> Any:
        out = permute(empty(tensor, lengths), back)
        filler(permute(tensor, order), out)
        return reshape(out, constant) if copies else out

    return choose_faster_by_timing(fallback, fill, filler)


def choose_faster_by_timing(fallback: StepFunction, fill: StepFunction, filler: Filler) -> StepFunction:
    """One of two functions, timed in their first calls: no estimate knows which is faster on a machine."""
    best = [inf, inf]
    left = [TIMED_CALLS, TIMED_CALLS]
    chosen: StepFunction | None = None

    def call(tensor: Any, constant: Any) -> Any:
        nonlocal chosen
        if chosen is not None:
            return chosen(tensor, constant)
        turn = int(left[0] <= 0 and filler.ready is not None)
        if left[0] < TIMED_CALLS and filler.ready is None:
            filler.start()
        start = perf_counter()
        result = (fallback, fill)[turn](tensor, constant)
        best[turn] = min(best[turn], perf_counter() - start)
        left[turn] -= 1
        if left[1] <= 0:
            chosen = fill if best[1] < best[0] else fallback
        return result

    return call


def why_kernels_unavailable() -> str | None:
    """Why there are no kernels for ``plait warmup``, or ``None``."""
    if find_spec("numpy") is None:
        return "numpy is not installed"
    from plait.backends.kernels.state import unavailable as absent

    return absent()


def compile_kernels(names: Sequence[str], dtypes: Sequence[str]) -> Iterator[str]:
    """Compile the kernels for those reductions of those types; yields the name of each before its turn."""
    from plait.backends.kernels.warming import warm as compile_all

    return compile_all(names, dtypes)
