"""Reductions in several calls as one node of PyTorch's graph, with the gradient of PyTorch's own, to the bit.

Where the gradient needs a gradient in turn, or a tracer watches, PyTorch's own formulas compute it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch.autograd import Function

from plait.backends.capabilities import LoopView, ReductionOps, StepFunction
from plait.backends.torch.tracing import why_not_decompose


class Sum(Function):  # type: ignore[misc]  # PyTorch is Any to the checker
    """Sums, and means, which divide; PyTorch calls the node ``SumBackward``."""

    @staticmethod
    def forward(ctx: Any, tensor: Any, reduce: StepFunction, loops: LoopView, divide: int | None) -> Any:
        """The sum, and how it came about."""
        ctx.of = tensor.shape, loops, divide
        ctx.set_materialize_grads(False)
        return reduce(tensor, None).data  # not known to be a view, it may be changed in place

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
        """The gradient of one call of PyTorch's."""
        shape, loops, divide = ctx.of
        if grad is None:
            return None, None, None, None
        if divide is not None:
            grad = grad / divide
        if _needs_formulas(grad):
            return _unsqueezed(grad, loops).expand(shape), None, None, None
        return expand_gradient(grad, loops), None, None, None


class Amax(Function):  # type: ignore[misc]  # as above
    """Minima and maxima; the node is ``AmaxBackward``."""

    @staticmethod
    def forward(ctx: Any, tensor: Any, reduce: StepFunction, loops: LoopView, sum_ops: ReductionOps) -> Any:
        """The minimum or maximum, and how it came about."""
        result = reduce(tensor, None).data  # as above
        ctx.save_for_backward(tensor, result)
        ctx.of = loops, sum_ops
        ctx.set_materialize_grads(False)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
        """The gradient of one call of PyTorch's."""
        if grad is None:
            return None, None, None, None
        (tensor, result), (loops, sum_ops) = ctx.saved_tensors, ctx.of
        if not _needs_formulas(grad) and count(loops) <= COUNTED:
            return share_gradient(tensor, result, grad, loops, sum_ops), None, None, None
        equal = _unsqueezed(result, loops) == tensor
        return _unsqueezed(grad, loops) * equal / equal.sum(loops.axes, keepdim=True), None, None, None


def _needs_formulas(grad: Any) -> bool:
    """Whether more happens to a gradient than that it is computed."""
    if torch.is_grad_enabled() or type(grad) is not torch.Tensor or why_not_decompose(grad) is not None:
        return True
    return not torch._C._has_storage(grad)  # a batch of gradients, as of `is_grads_batched`


def _unsqueezed(result: Any, loops: LoopView) -> Any:
    """A result, or its gradient, with the axes that were reduced."""
    for axis in sorted(loops.axes):
        result = result.unsqueeze(axis)
    return result


def autograd_wrap(name: str, sum_ops: ReductionOps) -> Callable[[StepFunction, LoopView], StepFunction]:
    """How PyTorch records a reduction; of a minimum or maximum ``sum_ops`` count those that share its gradient."""
    if name in ("min", "max"):
        return lambda reduce, loops: lambda tensor, _: Amax.apply(tensor, reduce, loops, sum_ops)
    divides = name == "mean"
    return lambda reduce, loops: lambda tensor, _: Sum.apply(tensor, reduce, loops, count(loops) if divides else None)


SHORT = 32
"""Over rows of memory that are shorter PyTorch repeats elements slowly: there they are written out before."""

COUNTED = 1 << 24
"""So many ones add up exactly; halves are widened before."""

BLOCK = 1 << 18
"""How many elements go through all calls at a time."""


def expand_gradient(grad: Any, loops: LoopView) -> Any:
    """The gradient of a sum: that of each element of the result, for all that it was made of."""
    return loops.from_loops(_repeated(loops.result_to_loops(grad), loops).expand(loops.shape))


def share_gradient(tensor: Any, result: Any, grad: Any, loops: LoopView, sum_ops: ReductionOps) -> Any:
    """The gradient of a minimum or maximum, in equal shares for all that equal the result; ``sum_ops`` count those."""
    tensor, result, grad = loops.to_loops(tensor), loops.result_to_loops(result), loops.result_to_loops(grad)
    shares = tensor.new_empty(loops.shape)
    rows, elements = loops.shape[0], shares.numel()
    length = rows if 0 in loops.reduced_loops or elements <= BLOCK else max(rows * BLOCK // elements, 1)
    for start in range(0, rows, length):
        part = slice(start, start + length)
        _share_block(tensor[part], result[part], grad[part], shares[part], loops, sum_ops)
    return loops.from_loops(shares)


def _share_block(tensor: Any, result: Any, grad: Any, shares: Any, loops: LoopView, sum_ops: ReductionOps) -> None:
    """Fill memory with the shares of a block: first one for each that is equal, and none for the others."""
    torch.eq(tensor, _repeated(result, loops), out=shares)
    ties = loops.reduce(shares, sum_ops).to(grad.dtype).view(grad.shape)
    shares.mul_(_repeated(grad / ties, loops))


def count(loops: LoopView) -> int:
    """How many elements of a tensor make one of the result."""
    return prod([loops.shape[axis] for axis in loops.reduced_loops])


def _repeated(left: Any, loops: LoopView) -> Any:
    """What is left by loops, repeated by those of them whose rows are short."""
    for axis in reversed(loops.reduced_loops):
        length, rest = loops.shape[axis], loops.shape[axis + 1 :]
        if (prod(rest) if rest else length) >= SHORT:
            continue
        wide = left.new_empty((*left.shape[:axis], length, *left.shape[axis + 1 :]))
        if length > 2:
            wide.copy_(left.expand_as(wide))
        else:  # two calls over everything instead of a loop for each pair
            for each in wide.unbind(axis):
                each.copy_(left.select(axis, 0))
        left = wide
    return left
