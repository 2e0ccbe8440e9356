"""The operations with which einsums of PyTorch tensors under a limit of memory are computed block by block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from plait.backends.capabilities import BlockFunctions
from plait.backends.costs import AllocationRules
from plait.backends.torch.element_types import compute_and_result_dtypes

_WIDE_TYPES = {torch.float32: torch.float64, torch.complex64: torch.complex128}
"""By single precision, the type in which the results of blocks are added."""


def load_block_functions() -> BlockFunctions:
    """Return the operations."""
    return BlockFunctions(
        compute_and_result_dtypes=compute_and_result_dtypes,
        itemsize=lambda dtype: dtype.itemsize,
        cast=lambda tensor, dtype: tensor.to(dtype),
        can_widen=lambda dtype: dtype in _WIDE_TYPES,
        allocate=_allocate,
        store=_store,
        add=_add,
        finish=lambda result, dtype: result.to(dtype),
        strides=lambda tensor: tensor.stride(),
        why_not=_why_not,
        run=_run,
        rules=AllocationRules(einsum_copies=True),
    )


def _allocate(value: torch.Tensor, shape: tuple[int, ...], is_wide: bool) -> torch.Tensor:
    """Return memory for a result in the type of the result of a block, or in a wider one."""
    dtype = _WIDE_TYPES.get(value.dtype, value.dtype) if is_wide else value.dtype
    return torch.empty(shape, dtype=dtype, device=value.device)


def _store(result: torch.Tensor, index: tuple[slice, ...], value: torch.Tensor) -> torch.Tensor:
    """Write the result of a block to its place."""
    result[index] = value
    return result


def _add(result: torch.Tensor, index: tuple[slice, ...], value: torch.Tensor) -> torch.Tensor:
    """Add the result of a block to what is in its place."""
    result[index] += value
    return result


def _why_not(tensor: torch.Tensor) -> str | None:
    """Return what hides the memory of a tensor."""
    if tensor.layout is not torch.strided or tensor.is_quantized:
        return "a tensor that is quantized or not strided"
    if torch.jit.is_tracing() or torch._C._len_torch_dispatch_stack():
        return "a tensor that a tracer records"
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return "a tensor of a function transform"
    return None


def _run(call: Callable[..., Any], blocks: Sequence[torch.Tensor]) -> Any:
    """Contract blocks; where a gradient is recorded, it computes the intermediate results again, and keeps none."""
    if not (torch.is_grad_enabled() and any(block.requires_grad for block in blocks)):
        return call(*blocks)
    from torch.utils.checkpoint import checkpoint

    return checkpoint(call, *blocks, use_reentrant=False)
