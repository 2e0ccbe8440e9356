"""Compiled kernels for large tensors: one pass over memory, with the framework's calls as the fallback."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from math import inf, prod
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from plait._executor.large.reductions import result_lengths_and_order
from plait._plan.nodes import Reduce
from plait._plan.schedule.schedules import ScheduledStep
from plait._plan.strides import contiguous_strides, dims_by_stride
from plait.backends.capabilities import (
    AllocateFunction,
    LargeTensorFunctions,
    ReductionFunctions,
    StepFunction,
    TwoPassFunctions,
)
from plait.backends.interface import Backend

if TYPE_CHECKING:
    from plait.backends.kernels import Filler

TIMED_CALLS_PER_FUNCTION = 3
"""The number of calls by which each of two functions is timed."""


class NodeKernel(NamedTuple):
    """A kernel for one node, and the layouts of its input and of its result."""

    filler: Filler
    kernel_order: tuple[int, ...]  # a permutation that puts the reduced dimensions of the input last
    result_lengths: tuple[int, ...]  # of the kept dimensions, in the order in which they lie in memory
    result_order: tuple[int, ...]  # a permutation from the order in memory to that of the result
    allocate: AllocateFunction
    is_copy: bool  # whether the node is a copy, whose result may be reshaped

    @classmethod
    def for_node(
        cls,
        scheduled: ScheduledStep,
        large_tensor_functions: LargeTensorFunctions,
        reduction_functions: ReductionFunctions | TwoPassFunctions | None,
        dtype: Any,
        kept_order: Sequence[int] | None = None,
    ) -> NodeKernel | None:
        """Return the kernel of a reduction, or of a copy to row-major memory; ``None`` if there is no kernel for it.

        ``kept_order`` is that of `plait._executor.large.reductions.build_reduction`.
        """
        _, node, shape, strides, *_ = scheduled
        if (
            large_tensor_functions.build_kernel is None
            or large_tensor_functions.empty is None
            or prod(shape) < large_tensor_functions.min_kernel_elements
        ):
            return None
        reduction: str | None = None
        axes: tuple[int, ...] = ()
        result_itemsize, allocate, memory_order = dtype.itemsize, large_tensor_functions.empty, tuple(range(len(shape)))
        if isinstance(node, Reduce):
            if not isinstance(reduction_functions, ReductionFunctions) or len(node.axes) == len(shape):
                return None
            reduction, axes, result_itemsize, allocate = (
                node.reduction,
                node.axes,
                reduction_functions.itemsize,
                reduction_functions.empty,
            )
            memory_order = dims_by_stride(strides) if kept_order is None else tuple(kept_order)
        result_lengths, result_order = result_lengths_and_order(memory_order, shape, axes)
        kernel_order = (*[dim for dim in range(len(shape)) if dim not in axes], *axes)
        result_strides = contiguous_strides(result_lengths, result_itemsize)
        filler = large_tensor_functions.build_kernel(
            reduction,
            tuple(map(shape.__getitem__, kernel_order)),
            tuple(map(strides.__getitem__, kernel_order)),
            len(axes),
            tuple(map(result_strides.__getitem__, result_order)),
            dtype,
        )
        return None if filler is None else cls(filler, kernel_order, result_lengths, result_order, allocate, not axes)


def describe_kernel_use(
    task: NodeKernel | None, scheduled: ScheduledStep, large_tensor_functions: LargeTensorFunctions, dtype: Any
) -> str | None:
    """Return what ``explain`` prints about the kernel of a node; ``None`` for nothing."""
    if (
        large_tensor_functions.build_kernel is None
        or large_tensor_functions.why_no_kernel is None
        or prod(scheduled.shape) < large_tensor_functions.min_kernel_elements
    ):
        return None
    if task is not None and task.filler.ready:
        return "by a compiled kernel, if the first calls show that it is faster"
    node = scheduled.node
    reduction = node.reduction if isinstance(node, Reduce) else None
    reason = large_tensor_functions.why_no_kernel(reduction, dtype) if task is None else task.filler.why
    return None if reason is None else f"without a kernel: {reason}"


def kernel_with_fallback(task: NodeKernel, backend: Backend, fallback: StepFunction) -> StepFunction:
    """Return a function that uses the kernel once it is compiled and if it is faster, and the fallback until then."""
    filler, kernel_order, result_lengths, result_order, allocate, is_copy = task
    permute, reshape = backend.permute, backend.reshape

    def run_kernel(tensor: Any, constant: Any) -> Any:
        out = permute(allocate(tensor, result_lengths), result_order)
        filler(permute(tensor, kernel_order), out)
        return reshape(out, constant) if is_copy else out

    return build_timed_choice(fallback, run_kernel, filler)


def build_timed_choice(fallback: StepFunction, run_kernel: StepFunction, filler: Filler) -> StepFunction:
    """Return a function that times both functions in its first calls, and from then on calls the faster one.

    The second call starts to compile the kernel; ``fallback`` is called until it is ready. Threads count their calls
    together, without a lock: if a count is lost, one more call is timed.
    """
    best_seconds = [inf, inf]
    calls_left = [TIMED_CALLS_PER_FUNCTION, TIMED_CALLS_PER_FUNCTION]
    chosen: StepFunction | None = None

    def call(tensor: Any, constant: Any) -> Any:
        nonlocal chosen
        if chosen is not None:
            return chosen(tensor, constant)
        candidate = int(calls_left[0] <= 0 and filler.ready is not None)
        if calls_left[0] < TIMED_CALLS_PER_FUNCTION and filler.ready is None:
            filler.start()
        start = perf_counter()
        result = (fallback, run_kernel)[candidate](tensor, constant)
        best_seconds[candidate] = min(best_seconds[candidate], perf_counter() - start)
        calls_left[candidate] -= 1
        if calls_left[1] <= 0:
            chosen = run_kernel if best_seconds[1] < best_seconds[0] else fallback
        return result

    return call


def why_kernels_unavailable() -> str | None:
    """Return the reason why there are no kernels for ``plait warmup``; ``None`` if they are available."""
    if find_spec("numpy") is None:
        return "numpy is not installed"
    from plait.backends.kernels.state import unavailable as absent

    return absent()


def compile_kernels_one_by_one(reductions: Sequence[str], dtypes: Sequence[str]) -> Iterator[str]:
    """Compile the kernels of these reductions for these dtypes; yield the name of each before it is compiled."""
    from plait.backends.kernels.warming import warm as compile_all

    return compile_all(reductions, dtypes)
