"""The gradients of sums and maxima over large tensors of PyTorch: computed as the memory lies, and not recorded."""

from __future__ import annotations

from math import prod
from typing import Any

import torch

from weft.backends.calls import Calls, Loops

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
