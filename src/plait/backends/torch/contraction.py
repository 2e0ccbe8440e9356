"""The operations of pairwise contractions in PyTorch; direct calls save the planning of ``torch.einsum``."""

from __future__ import annotations

from typing import Any

import torch

from plait.backends.capabilities import ContractionFunctions, LongSumCasts
from plait.backends.costs import ContractionCosts
from plait.backends.interface import identity
from plait.backends.torch.element_types import compute_and_result_dtypes, wrap_with_casts
from plait.backends.torch.tracing import why_not_decompose

_COSTS = ContractionCosts(
    view_overhead=2000.0,
    matmul_overhead=2500.0,
    multiply_overhead=3000.0,
    sum_overhead=4000.0,
    einsum_overhead=16000.0,
    einsum_view_overhead=16000.0,
    einsum_element=2.0,
    einsum_strided_element=2.0,
    copy_row=1.0,
    multiply_broadcast_element=0.22,
    batched_matvec_element=1.6,
    sum_element=0.2,
    matmul_broadcasts=False,
    has_vecdot=False,
    einsum_fuses=False,
    matmul_fills=False,
    matmul_folds=True,
)
"""The costs of the operations; calls that autograd records take longer than NumPy's."""


def _long_sum_casts(compute_dtype: torch.dtype, result_dtype: torch.dtype) -> LongSumCasts:
    """Return the casts of a long sum, which is computed in blocks.

    Blocks have the type ``compute_dtype``, real or complex single precision; the sums of blocks are added in double
    precision; and the total is cast to ``result_dtype``.
    """
    double = torch.float64 if compute_dtype is torch.float32 else torch.complex128
    return LongSumCasts(
        block_dtype=compute_dtype,
        to_block_dtype=lambda tensor: tensor.to(compute_dtype),
        widen=lambda part: part.to(double),
        narrow=lambda total: total.to(result_dtype),
        can_divide=_can_divide,
    )


def _can_divide(tensor: torch.Tensor) -> bool:
    """Return whether a tensor may be processed in blocks: on the CPU, without a gradient or a tracer."""
    return why_not_decompose(tensor) is None and not (tensor.requires_grad and torch.is_grad_enabled())


def contraction_functions(dtypes: tuple[Any, ...]) -> ContractionFunctions | None:
    """Return the operations for tensors of these element types, which are cast to that of the computation first."""
    dtype, result_dtype = compute_and_result_dtypes(dtypes)
    return ContractionFunctions(
        einsum=torch.einsum,
        dot=torch.matmul,  # autocast applies to matmul, and not to torch.dot
        matmul=torch.bmm,
        multiply=torch.mul,
        copy=lambda tensor, _: tensor.contiguous(),
        add=lambda tensor, axes: torch.sum(tensor, axes, dtype=dtype),
        diagonal=lambda tensor, axes: torch.diagonal(tensor, 0, *axes),
        costs=_COSTS,
        long_sum_casts=_long_sum_casts(dtype, result_dtype) if dtype in (torch.float32, torch.complex64) else None,
        wrap=(
            identity
            if dtype is result_dtype and all(each is dtype for each in dtypes)
            else lambda call: wrap_with_casts(call, dtype, result_dtype)
        ),
        to_compute_dtype=lambda tensor: tensor.to(dtype),
        to_result_dtype=lambda tensor: tensor.to(result_dtype),
    )
