"""Reductions in several calls of which PyTorch records a gradient: they are one node of its graph.

Nothing is recorded of the calls. On the way back the gradient is that of PyTorch's own reduction, to the bit; and where
a gradient of it is asked for, or somebody watches, PyTorch's own formulas compute it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, TypeAlias

import torch
from torch.autograd import Function

from plait.backends.capabilities import Calls, Loops
from plait.backends.torch.tracing import watched

Reduce: TypeAlias = Callable[[Any, Any], Any]
Recorded: TypeAlias = Callable[[Reduce, Loops], Reduce]


class Spread(Function):  # type: ignore[misc]  # PyTorch is Any to the checker
    """Sums, and means, which divide."""

    @staticmethod
    def forward(ctx: Any, tensor: Any, reduce: Reduce, loops: Loops, divide: int | None) -> Any:
        """The sum, and how it came about."""
        ctx.of = tensor.shape, loops, divide
        ctx.set_materialize_grads(False)
        return reduce(tensor, None).data  # of which nobody sees that it is a view: it may be changed in place

    @staticmethod
    def backward(ctx: Any, slope: Any) -> tuple[Any, ...]:
        """The gradient of one call of PyTorch's."""
        shape, loops, divide = ctx.of
        if slope is None:
            return None, None, None, None
        if divide is not None:
            slope = slope / divide
        if _plainly(slope):
            return _restored(slope, loops).expand(shape), None, None, None
        return spread(slope, loops), None, None, None


class Share(Function):  # type: ignore[misc]  # as above
    """Minima and maxima."""

    @staticmethod
    def forward(ctx: Any, tensor: Any, reduce: Reduce, loops: Loops, adding: Calls) -> Any:
        """The minimum or maximum, and how it came about."""
        result = reduce(tensor, None).data  # as above
        ctx.save_for_backward(tensor, result)
        ctx.of = loops, adding
        ctx.set_materialize_grads(False)
        return result

    @staticmethod
    def backward(ctx: Any, slope: Any) -> tuple[Any, ...]:
        """The gradient of one call of PyTorch's."""
        if slope is None:
            return None, None, None, None
        (tensor, result), (loops, adding) = ctx.saved_tensors, ctx.of
        if not _plainly(slope) and count(loops) <= COUNTED:
            return share(tensor, result, slope, loops, adding), None, None, None
        equal = _restored(result, loops) == tensor
        return _restored(slope, loops) * equal / equal.sum(loops.axes, keepdim=True), None, None, None


def _plainly(slope: Any) -> bool:
    """Whether more happens to a gradient than that it is computed."""
    if torch.is_grad_enabled() or type(slope) is not torch.Tensor or watched(slope) is not None:
        return True
    return not torch._C._has_storage(slope)  # a batch of gradients, as of `is_grads_batched`


def _restored(result: Any, loops: Loops) -> Any:
    """A result, or its gradient, with the axes that were reduced."""
    for axis in sorted(loops.axes):
        result = result.unsqueeze(axis)
    return result


def added(_: Calls) -> Recorded:
    """How PyTorch records a sum."""
    return lambda reduce, loops: lambda tensor, _: Spread.apply(tensor, reduce, loops, None)


def averaged(_: Calls) -> Recorded:
    """How it records a mean."""
    return lambda reduce, loops: lambda tensor, _: Spread.apply(tensor, reduce, loops, count(loops))


def chosen(adding: Calls) -> Recorded:
    """How it records a minimum or maximum; ``adding`` counts those that share its gradient."""
    return lambda reduce, loops: lambda tensor, _: Share.apply(tensor, reduce, loops, adding)


SHORT = 32
"""Over rows of memory that are shorter PyTorch repeats elements slowly: there they are written out before."""

COUNTED = 1 << 24
"""So many ones add up exactly; halves are widened before."""

BLOCK = 1 << 18
"""How many elements go through all calls at a time."""


def spread(slope: Any, loops: Loops) -> Any:
    """The gradient of a sum: each element for all that it was made of.

    Args:
        slope: the gradient of the result.
        loops: of the sum.
    """
    return loops.back(_repeated(loops.left(slope), loops).expand(loops.shape))


def share(tensor: Any, result: Any, slope: Any, loops: Loops, adding: Calls) -> Any:
    """The gradient of a minimum or maximum: each element in equal shares for all that equal the result.

    Args:
        tensor: what was reduced.
        result: of the reduction.
        slope: the gradient of the result.
        loops: of the reduction.
        adding: the calls that count how many are equal.
    """
    tensor, result, slope = loops.into(tensor), loops.left(result), loops.left(slope)
    shares = tensor.new_empty(loops.shape)
    if 0 in loops.reduced or shares.numel() <= BLOCK:
        _share(tensor, result, slope, shares, loops, adding)
        return loops.back(shares)
    length = max(loops.shape[0] * BLOCK // shares.numel(), 1)
    for start in range(0, loops.shape[0], length):
        part = slice(start, start + length)
        _share(tensor[part], result[part], slope[part], shares[part], loops, adding)
    return loops.back(shares)


def _share(tensor: Any, result: Any, slope: Any, shares: Any, loops: Loops, adding: Calls) -> None:
    """Fill memory with the shares of a block: first one for each that is equal, and none for the others."""
    torch.eq(tensor, _repeated(result, loops), out=shares)
    ties = loops.fold(shares, adding).to(slope.dtype).view(slope.shape)
    shares.mul_(_repeated(slope / ties, loops))


def count(loops: Loops) -> int:
    """How many elements of a tensor make one of the result."""
    return prod([loops.shape[axis] for axis in loops.reduced])


def _repeated(left: Any, loops: Loops) -> Any:
    """What is left by loops, repeated by those of them whose rows are short."""
    for axis in reversed(loops.reduced):
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
