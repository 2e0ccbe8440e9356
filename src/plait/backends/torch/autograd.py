"""Record a reduction in several calls as one node of PyTorch's autograd graph.

The gradients equal those of PyTorch's own reductions to the last bit. They are computed block by block by functions
that write into memory, or by PyTorch's differentiable functions if a gradient itself needs a gradient or is traced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch.autograd import Function

from plait._caches import clearable_lru_cache
from plait.backends.capabilities import ReductionFunctions, ReductionLoopNest, StepFunction
from plait.backends.torch.tracing import why_not_decompose


class PlaitSum(Function):  # type: ignore[misc]  # PyTorch is Any to the checker
    """The node of a sum, which PyTorch and its profiler display as ``PlaitSumBackward``."""

    @staticmethod
    def forward(ctx: Any, tensor: Any, reduce: StepFunction, loops: ReductionLoopNest) -> Any:
        """Return the sum computed by ``reduce``, and save the shape and the loop nest for the gradient."""
        ctx.context = tensor.shape, loops
        ctx.set_materialize_grads(False)
        return reduce(tensor, None).data  # detached from its base, so that it can be changed in place

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
        """Return the gradient that PyTorch's own reduction would return, and ``None`` for the other arguments."""
        shape, loops = ctx.context
        return (None if grad is None else _unsqueeze_reduced(grad, loops).expand(shape)), None, None


class PlaitMean(PlaitSum):
    """The node of a mean, which PyTorch and its profiler display as ``PlaitMeanBackward``."""

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
        """Return the gradient that PyTorch's own reduction would return, and ``None`` for the other arguments."""
        shape, loops = ctx.context
        if grad is None:
            return None, None, None
        expanded = _unsqueeze_reduced(grad, loops).expand(shape)
        if _needs_differentiable_gradient(grad):
            return expanded / elements_per_result(loops), None, None
        strides = strides_of_mean_gradient(tuple(shape), expanded.stride())
        return _with_strides(gradient_of_mean(grad, loops), strides), None, None


class PlaitCopy(Function):  # type: ignore[misc]  # as above
    """The node of a copy to another shape, which PyTorch and its profiler display as ``PlaitCopyBackward``."""

    @staticmethod
    def forward(ctx: Any, tensor: Any, copy: StepFunction, shape: Any) -> Any:
        """Copy the tensor; the result has the given shape."""
        ctx.context = tensor.shape
        ctx.set_materialize_grads(False)
        return copy(tensor, shape).data  # detached from its base, so that it can be changed in place

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
        """Return the gradient in the shape of the tensor, and ``None`` for the other arguments."""
        return None if grad is None else grad.reshape(ctx.context), None, None


def record_copy(copy: StepFunction) -> StepFunction:
    """Wrap the function of a tensor and a shape that copies the tensor, so that it is recorded as one node."""
    return lambda tensor, shape: PlaitCopy.apply(tensor, copy, shape)


class PlaitMax(Function):  # type: ignore[misc]  # PyTorch is Any to the checker
    """The node of a maximum, which PyTorch and its profiler display as ``PlaitMaxBackward``."""

    @staticmethod
    def forward(
        ctx: Any, tensor: Any, reduce: StepFunction, loops: ReductionLoopNest, sum_functions: ReductionFunctions
    ) -> Any:
        """Return the minimum or maximum computed by ``reduce``, and save what the gradient is computed from."""
        result = reduce(tensor, None).data  # detached, as in `PlaitSum.forward`
        ctx.save_for_backward(tensor, result)
        ctx.context = loops, sum_functions
        ctx.set_materialize_grads(False)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
        """Return the gradient that PyTorch's own reduction would return, and ``None`` for the other arguments."""
        if grad is None:
            return None, None, None, None
        (tensor, result), (loops, sum_functions) = ctx.saved_tensors, ctx.context
        wide_result, wide_grad = _unsqueeze_reduced(result, loops), _unsqueeze_reduced(grad, loops)
        if _needs_differentiable_gradient(grad) or elements_per_result(loops) > MAX_EXACT_COUNT:
            return _extremum_gradient_by_formula(tensor, wide_result, wide_grad, loops.axes), None, None, None
        strides = strides_of_extremum_gradient(
            tuple(tensor.shape), tensor.stride(), wide_result.stride(), wide_grad.stride(), loops.axes
        )
        shares = gradient_of_extremum(tensor, result, grad, loops, sum_functions)
        return _with_strides(shares, strides), None, None, None


class PlaitMin(PlaitMax):
    """The node of a minimum, which PyTorch and its profiler display as ``PlaitMinBackward``."""


def _extremum_gradient_by_formula(tensor: Any, wide_result: Any, wide_grad: Any, axes: Sequence[int]) -> Any:
    """Compute the gradient of a minimum or maximum by PyTorch's formula.

    ``wide_result`` and ``wide_grad`` are the result and its gradient, with length 1 in the reduced dimensions.
    """
    equal = wide_result == tensor
    return wide_grad * equal / equal.sum(axes, keepdim=True)


@clearable_lru_cache(maxsize=256)
def strides_of_extremum_gradient(
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    result_strides: tuple[int, ...],
    grad_strides: tuple[int, ...],
    axes: tuple[int, ...],
) -> tuple[int, ...]:
    """Return the strides that PyTorch's own gradient of a minimum or maximum has.

    ``result_strides`` and ``grad_strides`` are those of the result and its gradient, with length 1 in the reduced
    dimensions.
    """
    result_shape = tuple([1 if dim in axes else size for dim, size in enumerate(shape)])
    tensor = torch.empty_strided(shape, strides, device="meta")
    result = torch.empty_strided(result_shape, result_strides, device="meta")
    grad = torch.empty_strided(result_shape, grad_strides, device="meta")
    return tuple(_extremum_gradient_by_formula(tensor, result, grad, axes).stride())


@clearable_lru_cache(maxsize=256)
def strides_of_mean_gradient(shape: tuple[int, ...], expanded_strides: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides that PyTorch's own gradient of a mean has.

    ``expanded_strides`` are those of the gradient of the result, expanded to the shape of the tensor.
    """
    return tuple((torch.empty_strided(shape, expanded_strides, device="meta") / 1).stride())


def _with_strides(gradient: Any, strides: tuple[int, ...]) -> Any:
    """Return the gradient if it has these strides, or a copy that has them."""
    if gradient.stride() == strides:
        return gradient
    return torch.empty_strided(gradient.shape, strides, dtype=gradient.dtype).copy_(gradient)


def _needs_differentiable_gradient(grad: Any) -> bool:
    """Return whether a backward pass must use functions that autograd and tracers can record.

    ``grad`` is the gradient of the result. Such functions are needed if autograd records the backward pass, if
    `why_not_decompose` gives a reason, such as a tracer, and if ``grad`` is a batch of gradients.
    """
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
    """Return ``f(reduce, loops)``, which wraps the function of a reduction so that it is recorded as one node.

    Args:
        name: ``"sum"``, ``"mean"``, ``"min"`` or ``"max"``.
        sum_functions: for a minimum or maximum, the operations of the sum that counts the elements that share its
            gradient.
    """
    if name in ("min", "max"):
        extremum = PlaitMin if name == "min" else PlaitMax
        return lambda reduce, loops: lambda tensor, _: extremum.apply(tensor, reduce, loops, sum_functions)
    total = PlaitMean if name == "mean" else PlaitSum
    return lambda reduce, loops: lambda tensor, _: total.apply(tensor, reduce, loops)


MIN_BROADCAST_ROW = 32
"""The row length from which PyTorch broadcasts fast; shorter rows are repeated in memory instead."""

MAX_EXACT_COUNT = 1 << 24
"""The largest number of ones that float32 sums exactly."""

GRADIENT_BLOCK_ELEMENTS = 1 << 18
"""The number of elements in a block; all calls of a gradient are made for one block after the other."""


def gradient_of_mean(grad: Any, loops: ReductionLoopNest) -> Any:
    """Return the gradient of the tensor of a mean: ``grad``, that of the result, divided equally among the terms."""
    grad = grad / elements_per_result(loops)
    return loops.from_loops(_repeat_short_rows(loops.result_to_loops(grad), loops).expand(loops.shape))


def gradient_of_extremum(
    tensor: Any, result: Any, grad: Any, loops: ReductionLoopNest, sum_functions: ReductionFunctions
) -> Any:
    """Return the gradient of the tensor of a minimum or maximum.

    ``grad``, the gradient of the result, is divided equally among the elements that are equal to the result;
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
    """Return a result, which has length 1 in the reduced loops, repeated along those whose rows are short.

    PyTorch broadcasts it along the others.
    """
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
