"""The operations for large tensors of PyTorch on the CPU; autograd records a reduction as one node."""

from __future__ import annotations

import sys
from typing import Any

import torch

from plait._caches import clearable_lru_cache
from plait.backends.capabilities import LargeTensorFunctions, ReductionFunctions, UnaryFunction
from plait.backends.costs import MemoryCosts
from plait.backends.kernels import KernelFunctions
from plait.backends.torch.autograd import build_autograd_decorator, record_copy, record_reduction
from plait.backends.torch.memory import KERNEL_ELEMENT_BY_DTYPE, memory_of, why_no_kernel
from plait.backends.torch.tracing import why_not_decompose

_HALF_TYPES = (torch.float16, torch.bfloat16)
_UNSIGNED_TYPES_OF_FEW_FUNCTIONS = ("torch.uint16", "torch.uint32", "torch.uint64")
"""The names of types for which PyTorch has few functions, and before 2.3 none."""

_COMBINE_AND_REDUCE_FUNCTIONS: dict[str, tuple[Any, Any]] = {
    "min": (torch.minimum, torch.amin),
    "max": (torch.maximum, torch.amax),
    "sum": (torch.add, torch.sum),
    "mean": (torch.add, torch.sum),
    "prod": (torch.mul, torch.prod),
    "any": (torch.logical_or, torch.any),
    "all": (torch.logical_and, torch.all),
}
"""By reduction, the function that combines two tensors, and the one that reduces along a dimension."""

_COMMON_COSTS = MemoryCosts(
    call_overhead=5000.0,
    units_stop_coalescing=False,
    has_row_major_results=True,
    combine_row_overhead=3.0,
    max_unrolled=4,
    page_fault_byte=0.6,
    vector_bytes=128,
    reduce_row_overhead=5.0,
    combine_element=0.5,
)
_EXTREMA_COSTS = _COMMON_COSTS._replace(vector_tail_element=1.2, multi_axis_element=4.0, combine_strided_element=1.9)
_SUM_COSTS = _COMMON_COSTS._replace(multi_axis_element=1.3, multi_axis_row_overhead=16.0, combine_strided_element=0.6)


@clearable_lru_cache(maxsize=256)
def _reduction_functions(name: str, dtype: torch.dtype, requires_grad: bool) -> ReductionFunctions | None:
    """Return the operations of the reduction ``name`` of elements of a type; ``None`` where one call is fastest.

    ``requires_grad`` says whether autograd records the reduction.
    """
    is_inexact = dtype.is_floating_point or dtype.is_complex
    selects_element = name in ("min", "max", "any", "all")
    is_half = dtype in _HALF_TYPES and not selects_element
    if name not in _COMBINE_AND_REDUCE_FUNCTIONS or (dtype is torch.bool) != (name in ("any", "all")):
        return None
    if requires_grad and name not in ("min", "max", "sum", "mean"):
        return None
    if str(dtype) in _UNSIGNED_TYPES_OF_FEW_FUNCTIONS:  # they are computed in another type
        return None
    result = dtype if selects_element or is_inexact else torch.int64  # sums of narrow integers have 64 bits
    wide = torch.float32 if is_half else result
    combine, reduce_axis = _COMBINE_AND_REDUCE_FUNCTIONS[name]
    sum_functions = _reduction_functions("sum", dtype, False) if requires_grad else None
    typed: dict[str, Any] = {} if selects_element else {"dtype": wide}
    return ReductionFunctions(
        empty=lambda tensor, shape: tensor.new_empty(shape, dtype=result),
        scratch=lambda tensor, shape: tensor.new_empty(shape, dtype=wide),
        combine=combine,
        reduce_axis=lambda tensor, axis, out: reduce_axis(tensor, axis, **typed, out=out),
        upcast=None if wide is dtype else lambda tensor: tensor.to(wide),
        finish=_FINISH_FUNCTIONS.get(name) if is_inexact else None,
        needs_downcast=is_half,
        itemsize=(dtype if is_half else result).itemsize,
        costs=_reduction_costs(name, dtype, wide, requires_grad),
        autograd_wrap=build_autograd_decorator(name, sum_functions) if sum_functions is not None else None,
    )


def _reduction_costs(name: str, dtype: torch.dtype, wide: torch.dtype, requires_grad: bool) -> MemoryCosts:
    """Return the costs of a reduction of elements of a type, whose accumulator has the type ``wide``."""
    upcast = max(wide.itemsize / dtype.itemsize, 1.0)
    if name in ("min", "max", "any", "all"):
        costs = _EXTREMA_COSTS._replace(upcast_ratio=upcast)
        if requires_grad:
            costs = costs._replace(autograd_overhead=105000.0, backward_row_overhead=8.0, backward_element=1.5)
        return costs
    size = max(wide.itemsize / 4, 1.0)
    return _SUM_COSTS._replace(
        upcast_ratio=upcast,
        reduce_element=0.13 * size,
        outer_axis_element=0.09 * size,
        autograd_overhead=60000.0 * requires_grad,
    )


_FINISH_FUNCTIONS: dict[str, Any] = {"mean": lambda out, count: out.div_(count), "sum": lambda out, _: out.add_(0)}


def _layout_key(tensor: torch.Tensor) -> Any:
    """Return the strides, the element type and whether a gradient is recorded; ``None`` where one call is fastest."""
    if why_not_decompose(tensor):
        return None
    return tensor.stride(), tensor.dtype, _requires_grad(tensor), tensor.is_conj(), tensor.is_neg()


def _requires_grad(tensor: torch.Tensor) -> bool:
    """Return whether autograd records the operations on a tensor."""
    return tensor.requires_grad and torch.is_grad_enabled()


def _byte_strides_and_itemsize(tensor: torch.Tensor) -> tuple[tuple[int, ...], int]:
    """Return the strides and the size of an element, both in bytes."""
    size = tensor.element_size()
    return tuple([stride * size for stride in tensor.stride()]), size


def _strides_of_result(function: UnaryFunction, tensor: torch.Tensor) -> tuple[int, ...]:
    """Return the strides of the result of ``function`` for the first two elements along each dimension of a tensor."""
    with torch.no_grad():
        strides: tuple[int, ...] = function(tensor[(slice(2),) * tensor.dim()]).stride()
    return strides


def _dtype_of_kernel_result(dtype: torch.dtype, reduction: str | None) -> torch.dtype:
    """Return the element type of the result of a reduction, or of a copy, as PyTorch's own function gives it."""
    if reduction in ("any", "all"):
        return torch.bool
    if reduction in ("sum", "prod") and not dtype.is_floating_point and not dtype.is_complex:
        return dtype if str(dtype) == "torch.uint64" else torch.int64
    return dtype


def _min_elements_with_gradient(reduction: str, row: int) -> int:
    """Return the number of elements from which a kernel is faster, as `KernelFunctions` defines it.

    PyTorch's own gradient of a sum is a view, and it reduces rows of a few cache lines faster than a kernel.
    """
    if reduction == "sum" or (reduction in ("mean", "prod", "logsumexp") and 32 <= row < 512):
        return sys.maxsize
    return 1 << 17 if reduction == "mean" else 1 << 16


LARGE_TENSOR_FUNCTIONS = LargeTensorFunctions(
    why_not_decompose=why_not_decompose,
    layout_key=_layout_key,
    requires_grad=_requires_grad,
    byte_strides_and_itemsize=_byte_strides_and_itemsize,
    strides_of_result=_strides_of_result,
    reduction_functions=_reduction_functions,
    kernels=KernelFunctions(
        element_name=KERNEL_ELEMENT_BY_DTYPE.get,
        memory=memory_of,
        allocate=lambda tensor, shape, reduction: tensor.new_empty(
            shape, dtype=_dtype_of_kernel_result(tensor.dtype, reduction)
        ),
        result_itemsize=lambda dtype, reduction: _dtype_of_kernel_result(dtype, reduction).itemsize,
        why_no_kernel=why_no_kernel,
        record_copy=record_copy,
        record_reduction=record_reduction,
        min_elements_with_gradient=_min_elements_with_gradient,
    ),
)
