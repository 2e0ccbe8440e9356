"""Record a reduction by a kernel, or in several calls, as one node of PyTorch's autograd graph.

The gradients of sums, means, minima and maxima equal those of PyTorch's own reductions to the last bit. They are
computed by a kernel, or block by block by functions that write into memory, or by PyTorch's differentiable functions if
a gradient itself needs a gradient or is traced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any, TypeAlias

import torch
from torch.autograd import Function

from plait._caches import clearable_lru_cache
from plait.backends.capabilities import ReductionFunctions, ReductionLoopNest, StepFunction
from plait.backends.kernels import GradientKernel, Kernel, build_copy_kernel, build_gradient_kernel, has_gradient_kernel
from plait.backends.torch.memory import KERNEL_ELEMENT_BY_DTYPE, memory_of, why_no_kernel
from plait.backends.torch.tracing import why_not_decompose

ComputeGradient: TypeAlias = "Callable[..., Any]"
"""``f(shape, strides, tensor, result, grad)`` returns the gradient of a tensor of this shape, with these strides.

``grad`` is the gradient of the result. A mean needs no ``tensor`` and no ``result``, and gets ``None``. The function
returns ``None`` if PyTorch has to compute the gradient.
"""

Formula: TypeAlias = "Callable[[Any, Any, Any, Sequence[int]], Any]"
"""``f(tensor, result, grad, axes)`` returns the gradient of a tensor, by functions of PyTorch that autograd can record.

``result`` and its gradient ``grad`` have length 1 in the reduced dimensions ``axes``.
"""


class PlaitSum(Function):  # type: ignore[misc]  # PyTorch is Any to the checker
    """The node of a sum, which PyTorch and its profiler display as ``PlaitSumBackward``."""

    @staticmethod
    def forward(ctx: Any, tensor: Any, reduce: StepFunction, axes: tuple[int, ...]) -> Any:
        """Return the sum computed by ``reduce``, and save the shape and the reduced dimensions for the gradient."""
        ctx.context = tensor.shape, axes
        ctx.set_materialize_grads(False)
        return reduce(tensor, None).data  # detached from its base, so that it can be changed in place

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
        """Return the gradient that PyTorch's own reduction would return, and ``None`` for the other arguments."""
        shape, axes = ctx.context
        return (None if grad is None else _unsqueeze(grad, axes).expand(shape)), None, None


class PlaitMean(Function):  # type: ignore[misc]  # as above
    """The node of a mean, which PyTorch and its profiler display as ``PlaitMeanBackward``."""

    @staticmethod
    def forward(
        ctx: Any, tensor: Any, reduce: StepFunction, axes: tuple[int, ...], compute_gradient: ComputeGradient
    ) -> Any:
        """Return the mean computed by ``reduce``, and save what the gradient is computed from."""
        ctx.context = tensor.shape, axes, compute_gradient
        ctx.set_materialize_grads(False)
        return reduce(tensor, None).data  # detached, as in `PlaitSum.forward`

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
        """Return the gradient that PyTorch's own reduction would return, and ``None`` for the other arguments."""
        if grad is None:
            return None, None, None, None
        shape, axes, compute_gradient = ctx.context
        expanded, gradient = _unsqueeze(grad, axes).expand(shape), None
        if not _needs_differentiable_gradient(grad):
            strides = strides_of_mean_gradient(tuple(shape), expanded.stride())
            gradient = compute_gradient(shape, strides, None, None, grad)
        if gradient is None:
            gradient = expanded / prod([shape[axis] for axis in axes])
        return gradient, None, None, None


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


class PlaitMax(Function):  # type: ignore[misc]  # as above
    """The node of a maximum, which PyTorch and its profiler display as ``PlaitMaxBackward``."""

    @staticmethod
    def forward(
        ctx: Any,
        tensor: Any,
        reduce: StepFunction,
        axes: tuple[int, ...],
        formula: Formula,
        compute_gradient: ComputeGradient,
    ) -> Any:
        """Return the result computed by ``reduce``, and save what the gradient is computed from."""
        result = reduce(tensor, None).data  # detached, as in `PlaitSum.forward`
        ctx.save_for_backward(tensor, None if formula in (gradient_of_variance, gradient_of_product) else result)
        ctx.context = axes, formula, compute_gradient
        ctx.set_materialize_grads(False)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
        """Return the gradient that PyTorch's own reduction would return, and ``None`` for the other arguments."""
        if grad is None:
            return (None,) * 5
        (tensor, result), (axes, formula, compute_gradient) = ctx.saved_tensors, ctx.context
        wide_grad, gradient = _unsqueeze(grad, axes), None
        wide_result = None if result is None else _unsqueeze(result, axes)
        if not _needs_differentiable_gradient(grad):
            strides = strides_of_gradient(
                formula,
                axes,
                tuple(tensor.shape),
                tensor.stride(),
                None if wide_result is None else wide_result.stride(),
                wide_grad.stride(),
            )
            gradient = compute_gradient(tensor.shape, strides, tensor, result, grad)
        if gradient is None:
            gradient = formula(tensor, wide_result, wide_grad, axes)
        return gradient, None, None, None, None


class PlaitMin(PlaitMax):
    """The node of a minimum, which PyTorch and its profiler display as ``PlaitMinBackward``."""


class PlaitProd(PlaitMax):
    """The node of a product, which PyTorch and its profiler display as ``PlaitProdBackward``."""


class PlaitVar(PlaitMax):
    """The node of a variance, which PyTorch and its profiler display as ``PlaitVarBackward``."""


class PlaitStd(PlaitMax):
    """The node of a standard deviation, which PyTorch and its profiler display as ``PlaitStdBackward``."""


class PlaitLogsumexp(PlaitMax):
    """The node of a ``logsumexp``, which PyTorch and its profiler display as ``PlaitLogsumexpBackward``."""


def gradient_of_extremum(tensor: Any, result: Any, grad: Any, axes: Sequence[int]) -> Any:
    """Compute the gradient of a minimum or maximum, a `Formula`: equal elements share it."""
    equal = result == tensor
    return grad * equal / equal.sum(axes, keepdim=True)


def gradient_of_product(tensor: Any, _: Any, grad: Any, axes: Sequence[int]) -> Any:
    """Compute the gradient of a product, a `Formula`: that of PyTorch's own products, for which an element may be 0."""
    is_recorded = torch.is_grad_enabled()
    with torch.enable_grad():
        source = tensor if tensor.requires_grad else tensor.detach().requires_grad_()
        product = source
        for axis in axes:
            product = product.prod(axis, keepdim=True)
        return torch.autograd.grad(product, source, grad, create_graph=is_recorded)[0]


def gradient_of_variance(tensor: Any, _: Any, grad: Any, axes: Sequence[int]) -> Any:
    """Compute the gradient of a variance of the population, a `Formula`."""
    count = prod([tensor.shape[axis] for axis in axes])
    return (2.0 / count) * grad * (tensor - tensor.mean(axes, keepdim=True))


def gradient_of_deviation(tensor: Any, result: Any, grad: Any, axes: Sequence[int]) -> Any:
    """Compute the gradient of a standard deviation of the population, a `Formula`: 0 where it is 0."""
    return gradient_of_variance(tensor, None, (grad / (result * 2)).masked_fill_(result == 0, 0), axes)


def gradient_of_logsumexp(tensor: Any, result: Any, grad: Any, _: Sequence[int]) -> Any:
    """Compute the gradient of the logarithm of a sum of exponentials, a `Formula`."""
    return grad * (tensor - result).exp()


_NODE_AND_FORMULA: dict[str, tuple[type[PlaitMax], Formula]] = {
    "min": (PlaitMin, gradient_of_extremum),
    "max": (PlaitMax, gradient_of_extremum),
    "prod": (PlaitProd, gradient_of_product),
    "var": (PlaitVar, gradient_of_variance),
    "std": (PlaitStd, gradient_of_deviation),
    "logsumexp": (PlaitLogsumexp, gradient_of_logsumexp),
}
"""By reduction, the node that saves its tensor for the gradient, and the formula of the gradient."""


def _build_recorded_reduction(
    name: str, reduce: StepFunction, axes: tuple[int, ...], compute_gradient: ComputeGradient
) -> StepFunction:
    """Return the function of a tensor that calls ``reduce`` and records it as one node."""
    if name == "sum":
        return lambda tensor, _: PlaitSum.apply(tensor, reduce, axes)
    if name == "mean":
        return lambda tensor, _: PlaitMean.apply(tensor, reduce, axes, compute_gradient)
    node, formula = _NODE_AND_FORMULA[name]
    return lambda tensor, _: node.apply(tensor, reduce, axes, formula, compute_gradient)


def record_reduction(name: str, dtype: Any, axes: tuple[int, ...], call: StepFunction) -> StepFunction | None:
    """Wrap the function of a reduction by a kernel so that it is recorded as one node; ``None`` if none can be.

    The gradient is computed by a kernel too; that of a sum is a view.
    """
    if name == "sum" or has_gradient_kernel(name, KERNEL_ELEMENT_BY_DTYPE.get(dtype)):
        return _build_recorded_reduction(name, call, axes, partial(_gradient_by_kernel, name, axes))
    return None


def _gradient_by_kernel(
    name: str, axes: tuple[int, ...], shape: Sequence[int], strides: Sequence[int], tensor: Any, result: Any, grad: Any
) -> Any:
    """Compute a gradient by a kernel, a `ComputeGradient` after the first two arguments."""
    for each in (tensor, result, grad):  # a hook may have replaced a tensor that was saved
        if each is not None and (
            each.dtype is not grad.dtype
            or why_no_kernel(each) is not None
            or not each.is_cpu
            or each.layout is not torch.strided
        ):
            return None
    if tensor is not None and tensor.shape != shape:
        return None
    # a kernel is fast if the gradient has the order of the tensor in memory
    gradient = torch.empty_strided(shape, strides, dtype=grad.dtype) if tensor is None else torch.empty_like(tensor)
    kernel = _gradient_kernel(
        name,
        grad.dtype,
        axes,
        tuple(shape),
        *[None if each is None else each.stride() for each in (tensor, result, grad, gradient)],
    )
    kernel(grad if tensor is None else tensor, grad if result is None else result, grad, gradient)
    if gradient.stride() == strides:
        return gradient
    copied = torch.empty_strided(shape, strides, dtype=grad.dtype)
    _copy_kernel(grad.dtype.itemsize, tuple(shape), gradient.stride(), strides)(gradient, copied)
    return copied


@clearable_lru_cache(maxsize=256)
def _copy_kernel(size: int, shape: tuple[int, ...], strides: tuple[int, ...], out_strides: tuple[int, ...]) -> Kernel:
    """Return the kernel of a copy of elements of some bytes from memory with some strides to memory with others."""
    in_bytes, out_bytes = [[size * stride for stride in each] for each in (strides, out_strides)]
    return build_copy_kernel(size, shape, in_bytes, out_bytes, memory_of)


@clearable_lru_cache(maxsize=256)
def _gradient_kernel(
    name: str, dtype: torch.dtype, axes: tuple[int, ...], shape: tuple[int, ...], *strides: tuple[int, ...] | None
) -> GradientKernel:
    """Return the kernel of a gradient, for the strides of the tensor, the result, its gradient, and the gradient."""
    size, wide_strides = dtype.itemsize, []
    for each in strides:
        kept = iter(() if each is None else each)
        is_wide = each is not None and len(each) == len(shape)
        wide_strides.append([next(kept, 0) * size if is_wide or dim not in axes else 0 for dim in range(len(shape))])
    return build_gradient_kernel(name, KERNEL_ELEMENT_BY_DTYPE[dtype], shape, wide_strides, axes, memory_of)


@clearable_lru_cache(maxsize=256)
def strides_of_gradient(
    formula: Formula,
    axes: tuple[int, ...],
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    result_strides: tuple[int, ...] | None,
    grad_strides: tuple[int, ...],
) -> tuple[int, ...]:
    """Return the strides of a gradient that is computed by a formula, which are those of PyTorch's own gradient.

    If that is an expanded view, as that of a product along dimensions of length 1, they are those of the tensor.

    ``result_strides`` and ``grad_strides`` are those of the result and its gradient, with length 1 in the reduced
    dimensions.
    """
    result_shape = [1 if dim in axes else size for dim, size in enumerate(shape)]
    tensor = torch.empty_strided(shape, strides, device="meta")
    result = None if result_strides is None else torch.empty_strided(result_shape, result_strides, device="meta")
    grad = torch.empty_strided(result_shape, grad_strides, device="meta")
    gradient = formula(tensor, result, grad, axes)
    shares_memory = any(stride == 0 and size > 1 for stride, size in zip(gradient.stride(), shape, strict=True))
    return tuple((torch.empty_like(tensor) if shares_memory else gradient).stride())


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


def _unsqueeze(result: Any, axes: Sequence[int]) -> Any:
    """Insert the reduced dimensions, with length 1, into a result or its gradient."""
    for axis in sorted(axes):
        result = result.unsqueeze(axis)
    return result


def build_autograd_decorator(
    name: str, sum_functions: ReductionFunctions
) -> Callable[[StepFunction, ReductionLoopNest], StepFunction]:
    """Return ``f(reduce, loops)``, which wraps the function of a reduction so that it is recorded as one node.

    The gradient is computed block by block.

    Args:
        name: ``"sum"``, ``"mean"``, ``"min"`` or ``"max"``.
        sum_functions: for a minimum or maximum, the operations of the sum that counts the elements that share its
            gradient.
    """

    def decorate(reduce: StepFunction, loops: ReductionLoopNest) -> StepFunction:
        def compute_gradient(_: Any, strides: Any, tensor: Any, result: Any, grad: Any) -> Any:
            if name == "mean":
                return _with_strides(blockwise_gradient_of_mean(grad, loops), strides)
            if elements_per_result(loops) > MAX_EXACT_COUNT:
                return None
            return _with_strides(blockwise_gradient_of_extremum(tensor, result, grad, loops, sum_functions), strides)

        return _build_recorded_reduction(name, reduce, loops.axes, compute_gradient)

    return decorate


MIN_BROADCAST_ROW = 32
"""The row length from which PyTorch broadcasts fast; shorter rows are repeated in memory instead."""

MAX_EXACT_COUNT = 1 << 24
"""The largest number of ones that float32 sums exactly."""

GRADIENT_BLOCK_ELEMENTS = 1 << 18
"""The number of elements in a block; all calls of a gradient are made for one block after the other."""


def blockwise_gradient_of_mean(grad: Any, loops: ReductionLoopNest) -> Any:
    """Return the gradient of the tensor of a mean: ``grad``, that of the result, divided equally among the terms."""
    grad = grad / elements_per_result(loops)
    return loops.from_loops(_repeat_short_rows(loops.result_to_loops(grad), loops).expand(loops.shape))


def blockwise_gradient_of_extremum(
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
