"""``Tensor.einsum``, with equations that it gets wrong put into a form that it gets right.

tinygrad 0.14 does not stretch length 1 within ``...``, and mixes up the axes where one is repeated beside others.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tinygrad import Tensor
from tinygrad.dtype import least_upper_dtype

from plait.backends.common.contraction import diagonal
from plait.backends.common.equation import expand_ellipsis

_SPACE = SimpleNamespace(permute_dims=Tensor.permute, reshape=Tensor.reshape)


def squeeze(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Remove dimensions of length 1, of which the method takes one at a time."""
    return tensor.reshape([size for axis, size in enumerate(tensor.shape) if axis not in axes])


def einsum(equation: str, *tensors: Any) -> Any:
    """An einsum in the classical form, with an arrow."""
    dtype = least_upper_dtype(*[tensor.dtype for tensor in tensors])
    tensors = tuple([tensor.cast(dtype) for tensor in tensors])  # which it forgets, where one holds truth values
    terms, output, operands = expand_ellipsis(equation, tensors, [tensor.shape for tensor in tensors], squeeze)
    for place, term in enumerate(terms):
        if len(set(term)) < len(term):
            terms[place], operands[place] = diagonal(_SPACE, term, operands[place])
    return Tensor.einsum(",".join(terms) + "->" + output, *operands)
