"""Compiled kernels for large tensors: the nodes that they compute in one pass over memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

from plait._executor.large.reductions import result_lengths_and_order
from plait._executor.options import CURRENT_OPTIONS
from plait._plan.nodes import Reduce
from plait._plan.schedule.schedules import ScheduledStep
from plait._plan.strides import contiguous_strides, dims_by_stride
from plait.backends.capabilities import LargeTensorFunctions, StepFunction
from plait.backends.interface import Backend
from plait.backends.kernels import Kernel, KernelFunctions, build_kernel, why_no_kernel


def kernels_are_enabled() -> bool:
    """Return whether the options of the current context allow kernels."""
    options = CURRENT_OPTIONS.get()
    return options is None or options.kernels


def kernel_is_cheapest(scheduled: ScheduledStep, kernels: KernelFunctions, dtype: Any) -> bool:
    """Return whether the cost model expects a kernel to be at least as fast as the calls of the framework."""
    if not isinstance(scheduled.node, Reduce) or scheduled.reduction_cost is None:
        return True
    costs = kernels.costs(scheduled.node.reduction, kernels.element_name(dtype))
    return costs.work(prod(scheduled.shape), dtype.itemsize) <= scheduled.reduction_cost


class NodeKernel(NamedTuple):
    """A kernel for one node, and the layout of its result."""

    kernel: Kernel
    result_lengths: tuple[int, ...]  # of the kept dimensions, in the order in which they lie in memory
    result_order: tuple[int, ...]  # a permutation from the order in memory to that of the result
    allocate: Callable[[Any, tuple[int, ...], str | None], Any]
    reduction: str | None  # `None` for a copy, whose result may be reshaped
    to_result: Callable[[Any], Any] | None  # for a result of rank 0

    @classmethod
    def for_node(
        cls, scheduled: ScheduledStep, functions: LargeTensorFunctions, dtype: Any, kept_order: Sequence[int] | None
    ) -> NodeKernel | None:
        """Return the kernel of a reduction, or of a copy to row-major memory; ``None`` if there is no kernel for it.

        ``kept_order`` is that of `plait._executor.large.reductions.build_reduction`.
        """
        kernels = functions.kernels
        if kernels is None or not kernels_are_enabled() or prod(scheduled.shape) < kernels.min_elements:
            return None
        if not kernel_is_cheapest(scheduled, kernels, dtype):
            return None
        _, node, shape, strides, *_ = scheduled
        reduction: str | None = None
        axes: tuple[int, ...] = ()
        memory_order: Sequence[int] = range(len(shape))
        if isinstance(node, Reduce):
            reduction, axes = node.reduction, node.axes
            memory_order = dims_by_stride(strides) if kept_order is None else kept_order
        result_itemsize = kernels.result_itemsize(dtype, reduction)
        lengths, order = result_lengths_and_order(memory_order, shape, axes)
        kept_strides = iter(map(contiguous_strides(lengths, result_itemsize).__getitem__, order))
        out_strides = [0 if dim in axes else next(kept_strides) for dim in range(len(shape))]
        kernel = build_kernel(
            reduction, kernels.element_name(dtype), dtype.itemsize, shape, strides, out_strides, axes, kernels.memory
        )
        if kernel is None:
            return None
        return cls(kernel, lengths, order, kernels.allocate, reduction, None if lengths else kernels.to_result)


def describe_kernel_use(
    has_kernel: bool, scheduled: ScheduledStep, kernels: KernelFunctions | None, dtype: Any
) -> str | None:
    """Return what ``explain`` prints about the kernel of a node; ``None`` for nothing."""
    if kernels is None or prod(scheduled.shape) < kernels.min_elements:
        return None
    if has_kernel:
        return "by a compiled kernel, in one pass over memory"
    if not kernels_are_enabled():
        return "without a kernel: plait.options(kernels=False)"
    if not kernel_is_cheapest(scheduled, kernels, dtype):
        return "without a kernel: the calls of the framework are estimated to be faster"
    reduction = scheduled.node.reduction if isinstance(scheduled.node, Reduce) else None
    reason = why_no_kernel(reduction, kernels.element_name(dtype))
    return None if reason is None else f"without a kernel: {reason}"


def build_kernel_call(node_kernel: NodeKernel, backend: Backend) -> StepFunction:
    """Return the function of a tensor and a constant that computes a node by its kernel."""
    kernel, result_lengths, result_order, allocate, reduction, to_result = node_kernel
    permute, reshape = backend.permute, backend.reshape
    is_ordered = result_order == tuple(range(len(result_order)))

    def run_kernel(tensor: Any, constant: Any) -> Any:
        result = allocate(tensor, result_lengths, reduction)
        if not is_ordered:
            result = permute(result, result_order)
        kernel(tensor, result)
        if reduction is None:
            return reshape(result, constant)
        return result if to_result is None else to_result(result)

    return run_kernel
