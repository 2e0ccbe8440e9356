"""How large tensors of PyTorch are reduced: in several calls on the CPU, of which autograd records one node."""

from __future__ import annotations

from typing import Any

import torch

from plait._caches import clearable_lru_cache
from plait.backends.capabilities import LargeTensorOps, ReductionOps
from plait.backends.costs import MemoryCosts
from plait.backends.torch.autograd import autograd_wrap
from plait.backends.torch.tracing import why_not_decompose

_HALF = (torch.float16, torch.bfloat16)
_CALLS: dict[str, tuple[Any, Any]] = {
    "min": (torch.minimum, torch.amin),
    "max": (torch.maximum, torch.amax),
    "sum": (torch.add, torch.sum),
    "mean": (torch.add, torch.sum),
    "prod": (torch.mul, torch.prod),
    "any": (torch.logical_or, torch.any),
    "all": (torch.logical_and, torch.all),
}
"""What combines two tensors, and what reduces along an axis."""

_COSTS = MemoryCosts(
    call_overhead=5000.0,
    units_stop_coalescing=False,
    combine_row_overhead=3.0,
    max_unrolled=4,
    page_fault_byte=0.6,
    vector_bytes=128,
    reduce_row_overhead=5.0,
    combine_element=0.5,
)
_EXTREMA = _COSTS._replace(vector_tail_element=1.2, multi_axis_element=4.0, combine_strided_element=1.9)
_SUMS = _COSTS._replace(multi_axis_element=1.3, multi_axis_row_overhead=16.0, combine_strided_element=0.6)


@clearable_lru_cache(maxsize=256)
def _reduction_ops(name: str, dtype: torch.dtype, requires_grad: bool) -> ReductionOps | None:
    """The calls of a reduction, or ``None`` where it is one call."""
    exact = dtype.is_floating_point or dtype.is_complex
    chooses = name in ("min", "max", "any", "all")
    half = dtype in _HALF and not chooses
    if name not in _CALLS or (dtype is torch.bool) != (name in ("any", "all")):
        return None
    if requires_grad and name not in ("min", "max", "sum", "mean"):
        return None
    result = dtype if chooses or exact else torch.int64  # of narrow integers a sum is wide
    wide = torch.float32 if half else result
    (combine, along), sum_ops = _CALLS[name], _reduction_ops("sum", dtype, False) if requires_grad else None
    typed: dict[str, Any] = {} if chooses else {"dtype": wide}
    return ReductionOps(
        empty=lambda tensor, shape: tensor.new_empty(shape, dtype=result),
        scratch=lambda tensor, shape: tensor.new_empty(shape, dtype=wide),
        combine=combine,
        reduce_axis=lambda tensor, axis, out: along(tensor, axis, **typed, out=out),
        upcast=None if wide is dtype else lambda tensor: tensor.to(wide),
        finish=_FINISH.get(name) if exact else None,
        needs_downcast=half,
        itemsize=(dtype if half else result).itemsize,
        costs=_costs(name, dtype, wide, requires_grad),
        autograd_wrap=autograd_wrap(name, sum_ops) if sum_ops is not None else None,
    )


def _costs(name: str, dtype: torch.dtype, wide: torch.dtype, requires_grad: bool) -> MemoryCosts:
    upcast = max(wide.itemsize / dtype.itemsize, 1.0)
    if name in ("min", "max", "any", "all"):
        costs = _EXTREMA._replace(upcast_ratio=upcast)
        if requires_grad:
            costs = costs._replace(autograd_overhead=105000.0, backward_row_overhead=8.0, backward_element=1.5)
        return costs
    size = max(wide.itemsize / 4, 1.0)
    return _SUMS._replace(
        upcast_ratio=upcast,
        reduce_element=0.13 * size,
        outer_axis_element=0.09 * size,
        autograd_overhead=60000.0 * requires_grad,
    )


_FINISH: dict[str, Any] = {"mean": lambda out, count: out.div_(count), "sum": lambda out, _: out.add_(0)}


def _layout(tensor: torch.Tensor) -> Any:
    return None if why_not_decompose(tensor) else (tensor.stride(), tensor.dtype, _requires_grad(tensor))


def _requires_grad(tensor: torch.Tensor) -> bool:
    return tensor.requires_grad and torch.is_grad_enabled()


def _memory(tensor: torch.Tensor) -> tuple[tuple[int, ...], int]:
    size = tensor.element_size()
    return tuple([stride * size for stride in tensor.stride()]), size


OPS = LargeTensorOps(
    why_not_decompose=why_not_decompose,
    layout_key=_layout,
    requires_grad=_requires_grad,
    strides_and_itemsize=_memory,
    reduction_ops=_reduction_ops,
)
