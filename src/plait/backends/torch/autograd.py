"""Record a reduction in several calls as one node of PyTorch's autograd graph.

The gradients equal those of PyTorch's own reductions to the last bit. They are computed block by block by functions
that write into memory, or by PyTorch's differentiable functions if a gradient itself needs a gradient or is traced.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch.autograd import Function

from plait.backends.capabilities import ReductionFunctions, ReductionLoopNest, StepFunction
from plait.backends.torch.tracing import why_not_decompose


class Sum(Function):  # type: ignore[misc]  # PyTorch is Any to the checker
    """The node of a sum or a mean, which PyTorch displays as ``SumBackward``."""

    @staticmethod
    def forward(ctx: Any, tensor: Any, reduce: StepFunction, loops: ReductionLoopNest, divide: int | None) -> Any:
        """Compute the sum, or the mean if ``divide`` is the number of elements, and save what the gradient needs."""
        ctx.context = tensor.shape, loops, divide
        ctx.set_materialize_grads(False)
        return reduce(tensor, None).data  # detached from its base, so that it can be changed in place

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
        """Compute the gradient that one call of PyTorch would have."""
        shape, loops, divide = ctx.context
        if grad is None:
            return None, None, None, None
        if divide is not None:
            grad = grad / divide
        if _needs_differentiable_gradient(grad):
            return _unsqueeze_reduced(grad, loops).expand(shape), None, None, None
        return gradient_of_sum(grad, loops), None, None, None


class Amax(Function):  # type: ignore[misc]  # as above
    """The node of a minimum or maximum, which PyTorch displays as ``AmaxBackward``."""

    @staticmethod
    def forward(
        ctx: Any, tensor: Any, reduce: StepFunction, loops: ReductionLoopNest, sum_functions: ReductionFunctions
    ) -> Any:
        """Compute the minimum or maximum, and save what the gradient needs."""
        result = reduce(tensor, None).data  # detached, as in `Sum.forward`
        ctx.save_for_backward(tensor, result)
        ctx.context = loops, sum_functions
        ctx.set_materialize_grads(False)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
        """Compute the gradient that one call of PyTorch would have."""
        if grad is None:
            return None, None, None, None
        (tensor, result), (loops, sum_functions) = ctx.saved_tensors, ctx.context
        if not _needs_differentiable_gradient(grad) and elements_per_result(loops) <= MAX_EXACT_COUNT:
            return gradient_of_extremum(tensor, result, grad, loops, sum_functions), None, None, None
        equal = _unsqueeze_reduced(result, loops) == tensor
        return _unsqueeze_reduced(grad, loops) * equal / equal.sum(loops.axes, keepdim=True), None, None, None


def _needs_differentiable_gradient(grad: Any) -> bool:
    """Return whether a gradient must be computed by functions that autograd and tracers can record."""
    if torch.is_grad_enabled() or type(grad) is not torch.Tensor or why_not_decompose(grad) is not None:
        return True
    return not torch._C._has_storage(grad)  # a batch of gradients, by `is_grads_batched`


def _unsqueeze_reduced(result: Any, loops: ReductionLoopNest) -> Any:
    """Insert the reduced dimensions, with length 1, into a result or its gradient."""
    for axis in sorted(loops.axes):
        result = result.unsqueeze(axis)
    return result


def build_autograd_decorator(
    name: str, sum_functions: ReductionFunctions
) -> Callable[[StepFunction, ReductionLoopNest], StepFunction]:
    """Return the function that wraps a reduction so that it is recorded as one node.

    For a minimum or maximum, ``sum_functions`` count the elements that share its gradient.
    """
    if name in ("min", "max"):
        return lambda reduce, loops: lambda tensor, _: Amax.apply(tensor, reduce, loops, sum_functions)
    divides = name == "mean"
    return lambda reduce, loops: (
        lambda tensor, _: Sum.apply(tensor, reduce, loops, elements_per_result(loops) if divides else None)
    )


MIN_BROADCAST_ROW = 32
"""The row length from which PyTorch broadcasts fast; shorter rows are repeated in memory instead."""

MAX_EXACT_COUNT = 1 << 24
"""The largest number of ones that float32 sums exactly."""

GRADIENT_BLOCK_ELEMENTS = 1 << 18
"""The number of elements in a block; all calls of a gradient are made for one block after the other."""


def gradient_of_sum(grad: Any, loops: ReductionLoopNest) -> Any:
    """Return the gradient of a sum: that of each element of the result, broadcast to the elements that were summed."""
    return loops.from_loops(_repeat_short_rows(loops.result_to_loops(grad), loops).expand(loops.shape))


def gradient_of_extremum(
    tensor: Any, result: Any, grad: Any, loops: ReductionLoopNest, sum_functions: ReductionFunctions
) -> Any:
    """Return the gradient of a minimum or maximum, divided equally among the elements that are equal to it.

    ``sum_functions`` are the operations of the sum that counts these elements.
    """
    tensor, result, grad = loops.to_loops(tensor), loops.result_to_loops(result), loops.result_to_loops(grad)
    shares = tensor.new_empty(loops.shape)
    rows, elements = loops.shape[0], shares.numel()
    length = (
        rows
        if 0 in loops.reduced_loops or elements <= GRADIENT_BLOCK_ELEMENTS
        else max(rows * GRADIENT_BLOCK_ELEMENTS // elements, 1)
    )
    for start in range(0, rows, length):
        part = slice(start, start + length)
        _fill_gradient_block(tensor[part], result[part], grad[part], shares[part], loops, sum_functions)
    return loops.from_loops(shares)


def _fill_gradient_block(
    tensor: Any, result: Any, grad: Any, shares: Any, loops: ReductionLoopNest, sum_functions: ReductionFunctions
) -> None:
    """Write the gradient of one block into ``shares``, which first has 1 for equal elements and 0 for others."""
    torch.eq(tensor, _repeat_short_rows(result, loops), out=shares)
    ties = loops.reduce(shares, sum_functions).to(grad.dtype).view(grad.shape)
    shares.mul_(_repeat_short_rows(grad / ties, loops))


def elements_per_result(loops: ReductionLoopNest) -> int:
    """Return the number of elements that are reduced to one element of the result."""
    return prod([loops.shape[axis] for axis in loops.reduced_loops])


def _repeat_short_rows(result: Any, loops: ReductionLoopNest) -> Any:
    """Repeat a result along the reduced loops whose rows are short."""
    for axis in reversed(loops.reduced_loops):
        length, rest = loops.shape[axis], loops.shape[axis + 1 :]
        if (prod(rest) if rest else length) >= MIN_BROADCAST_ROW:
            continue
        repeated = result.new_empty((*result.shape[:axis], length, *result.shape[axis + 1 :]))
        if length > 2:
            repeated.copy_(result.expand_as(repeated))
        else:  # at most two calls, which copy many elements each; one call would loop over pairs of elements
            for each in repeated.unbind(axis):
                each.copy_(result.select(axis, 0))
        result = repeated
    return result
