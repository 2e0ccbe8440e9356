"""The operations for large arrays of NumPy: ufuncs that write into memory, copies block by block, and kernels."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np

from plait._caches import clearable_lru_cache
from plait.backends.capabilities import LargeTensorFunctions, ReductionFunctions, TwoPassFunctions, UnaryFunction
from plait.backends.costs import MemoryCosts
from plait.backends.kernels import KernelFunctions
from plait.backends.numpy.dtypes import is_builtin_dtype
from plait.backends.numpy.reductions import REAL_BLAS_DTYPE_CODES, UFUNC_BY_REDUCTION, ones
from plait.backends.reduction_rules import PIVOT_BY_REDUCTION, ROUNDING_SENSITIVE_REDUCTIONS, is_low_precision

_BOOL_UFUNC_BY_REDUCTION: dict[str, Any] = {
    "any": np.bitwise_or,
    "all": np.bitwise_and,
    "max": np.bitwise_or,
    "min": np.bitwise_and,
}
"""Bitwise ufuncs, which give the same for bools as the logical ones, and use SIMD instructions."""


def _one_pass_functions(name: str, dtype: Any) -> ReductionFunctions | None:
    """Return the operations of a reduction in one pass, or ``None`` where one call is fastest."""
    ufunc = _BOOL_UFUNC_BY_REDUCTION.get(name) if dtype.kind == "b" else None
    ufunc = ufunc or UFUNC_BY_REDUCTION.get("sum" if name == "mean" else name)
    if ufunc is None or dtype.kind not in "biufc":
        return None
    result = ufunc.reduce(np.ones(1, dtype)).dtype  # sums of narrow integers have 64 bits
    is_half = name in ROUNDING_SENSITIVE_REDUCTIONS and is_low_precision(dtype)
    wide = np.dtype(np.float32) if is_half else result
    sums_by_blas = name in ("sum", "mean") and wide.char in REAL_BLAS_DTYPE_CODES
    is_logical = name in ("any", "all")  # their first call gives bools, so that no cast is needed
    return ReductionFunctions(
        empty=lambda _, shape: np.empty(shape, dtype if is_half else result),
        scratch=lambda _, shape: np.empty(shape, wide),
        combine=ufunc,
        reduce_axis=_build_reduce_axis(ufunc, wide, sums_by_blas),
        matmul_ones=_matmul_ones if sums_by_blas else None,
        reduce_rows=_sum_by_einsum if sums_by_blas else None,
        upcast=None if is_logical or wide == dtype else lambda array: array.astype(wide),
        finish=_FINISH_FUNCTIONS.get(name) if wide.kind in "fc" else None,
        needs_downcast=is_half,
        itemsize=(dtype if is_half else result).itemsize,
        costs=_reduction_costs(name, wide, dtype),
    )


def _build_reduce_axis(ufunc: Any, wide: Any, is_sum: bool) -> Callable[[Any, Any, Any], Any]:
    """Return the function that reduces along dimensions in a type; few numbers are summed in double precision.

    They are mostly the sums of long parts, whose sum would lose digits in single precision.
    """
    if not is_sum or wide.itemsize == _DOUBLE.itemsize:
        return lambda array, axis, out: ufunc.reduce(array, axis, wide, out)

    def reduce_axis(array: Any, axis: Any, out: Any) -> Any:
        if array.size > _MAX_ELEMENTS_SUMMED_IN_DOUBLE:
            return ufunc.reduce(array, axis, wide, out)
        return _sum_in_double(array, axis, wide, out)

    return reduce_axis


def _sum_in_double(array: Any, axis: Any, dtype: Any, out: Any) -> Any:
    """Sum along dimensions in double precision; new memory for the result has the given element type."""
    if out is None:
        return np.add.reduce(array, axis, _DOUBLE).astype(dtype)
    return np.add.reduce(array, axis, _DOUBLE, out)


_DOUBLE = np.dtype(np.float64)
_MAX_ELEMENTS_SUMMED_IN_DOUBLE = 1 << 13
"""The number of elements up to which a sum in double precision takes hardly longer."""


def _reduction_costs(name: str, wide: Any, dtype: Any) -> MemoryCosts:
    """Return the costs of a reduction; wider elements take longer, and so do elements that are cast first."""
    scale = max(wide.itemsize / 4, 0.5) * (6 if is_low_precision(dtype) else 1)
    costs = MemoryCosts(
        reduce_element=0.2 * scale,
        combine_element=0.4 * scale,
        combine_strided_element=0.8 * max(scale, 1),
        upcast_ratio=max(wide.itemsize / dtype.itemsize, 1.0),
    )
    if name in ("min", "max"):
        costs = costs._replace(reduce_row_overhead=40.0, combine_strided_element=1.0 * max(scale, 1))
    if dtype.kind == "b" and name != "sum":
        return costs._replace(multi_axis_element=1.2, single_outer_axis_element=1.2)
    if name in ("sum", "mean"):
        costs = costs._replace(combine_strided_element=0.35 * scale)
        if wide.char in REAL_BLAS_DTYPE_CODES:
            costs = costs._replace(matmul_row_overhead=3.0, matmul_element=0.1 * scale)
            costs = costs._replace(einsum_row_overhead=5.0, einsum_element=0.27 * scale)
    return costs


def _matmul_ones(array: Any, out: Any) -> Any:
    """Sum the last dimension by a matrix product with a vector of ones."""
    *shape, length = array.shape
    result = (array.reshape(-1, length) @ ones(length, array.dtype)).reshape(shape)
    if out is None:
        return result
    out[...] = result
    return out


def _sum_by_einsum(array: Any, axis: int, out: Any) -> Any:
    """Sum one dimension by einsum."""
    if array.size <= _MAX_ELEMENTS_SUMMED_IN_DOUBLE:
        return _sum_in_double(array, axis, array.dtype, out)
    axes = [*range(array.ndim)]
    return np.einsum(array, axes, axes[:axis] + axes[axis + 1 :], out=out)


_FINISH_FUNCTIONS: dict[str, Any] = {
    "mean": lambda out, count: np.true_divide(out, count, out=out),
    "sum": lambda out, _: np.add(out, 0, out=out),  # as in NumPy, a sum of negative zeros is positive
}


_MAX_MATMUL_PART_LENGTH = 128
"""The greatest length of a vector of ones in a two-pass reduction: short sums are more accurate."""


def _two_pass_functions(name: str, dtype: Any) -> TwoPassFunctions | None:
    """Return the operations of a two-pass reduction, or ``None`` where one call is fastest."""
    is_logsumexp = name == "logsumexp"
    if dtype.kind not in ("f" if is_logsumexp else "fc"):
        return None
    is_half = is_low_precision(dtype)
    wide = np.dtype(np.float32) if is_half else dtype.newbyteorder("=")
    real = np.empty(0, wide).real.dtype
    pivot, total = _one_pass_functions(PIVOT_BY_REDUCTION[name], wide), _one_pass_functions("sum", real)
    if pivot is None or total is None:
        return None
    transform, element = _TRANSFORM_FUNCTIONS_AND_COSTS[is_logsumexp, wide.kind]
    transform_bytes = wide.itemsize if real == wide else wide.itemsize + real.itemsize
    element *= wide.itemsize / 4
    costs = total.costs._replace(
        max_matmul_part=_MAX_MATMUL_PART_LENGTH, transform_element=element, transform_bytes=transform_bytes
    )
    return TwoPassFunctions(
        pivot=pivot,
        fix_pivot=(lambda peak: np.where(np.isfinite(peak), peak, wide.type(0))) if is_logsumexp else None,
        upcast=None if wide == dtype else lambda array: array.astype(wide),
        scratch=lambda _, shape: np.empty(shape, wide),
        transform=transform,
        total=total._replace(finish=None, costs=costs),
        empty=lambda _, shape: np.empty(shape, dtype if is_half else real),
        errstate=_infinity_errstate if is_logsumexp else nullcontext,
        finish=_TWO_PASS_FINISH_FUNCTIONS[name],
    )


_infinity_errstate = partial(np.errstate, divide="ignore", over="ignore")
"""Silences warnings: log(0) is -inf, and exp of a large element, or its difference from the pivot, may overflow."""


def _subtract_pivot(part: Any, pivot: Any, memory: Any) -> Any:
    """Write the difference between each element of a block and its pivot into memory."""
    if part.dtype != memory.dtype:  # one cast is faster than casts in the buffers of the ufunc
        np.copyto(memory, part)
        part = memory
    return np.subtract(part, pivot, memory)


def _squared_deviations(part: Any, pivot: Any, memory: Any) -> Any:
    """Return the squares of the differences between the elements of a block and their pivots."""
    return np.square(_subtract_pivot(part, pivot, memory), memory)


def _squared_complex_deviations(part: Any, pivot: Any, memory: Any) -> Any:
    """Return the squared absolute values of the differences between complex elements of a block and their pivots."""
    memory = _subtract_pivot(part, pivot, memory)
    pairs = memory.reshape(-1).view(memory.real.dtype).reshape(*memory.shape, 2)
    np.square(pairs, pairs)
    return np.add(pairs[..., 0], pairs[..., 1])


def _exponentials(part: Any, pivot: Any, memory: Any) -> Any:
    """Return the exponentials of the differences between the elements of a block and their pivots."""
    return np.exp(_subtract_pivot(part, pivot, memory), memory)


_TRANSFORM_FUNCTIONS_AND_COSTS: dict[tuple[bool, str], tuple[Any, float]] = {
    (False, "f"): (_squared_deviations, 0.25),
    (False, "c"): (_squared_complex_deviations, 0.4),
    (True, "f"): (_exponentials, 1.2),
}
"""The function that transforms elements, and its nanoseconds for an element of 32 bits.

The keys are whether the reduction is ``logsumexp``, and the kind of the element type.
"""


def _finish_var(total: Any, _: Any, count: int) -> Any:
    """Return the variance, computed from the sum of the squared deviations."""
    return np.true_divide(total, count, dtype=total.dtype)


_TWO_PASS_FINISH_FUNCTIONS: dict[str, Any] = {
    "var": _finish_var,
    "std": lambda total, pivot, count: np.sqrt(_finish_var(total, pivot, count)),
    "logsumexp": lambda total, pivot, _: np.log(total) + pivot,
}


def _allocate(array: Any, shape: tuple[int, ...]) -> Any:
    """Allocate memory in the element type of an array."""
    return np.empty(shape, array.dtype)


def _copy_by_blocks(array: Any, shape: tuple[int, ...], blocks: list[Any]) -> Any:
    """Copy an array to new memory of another shape, block by block."""
    out = _allocate(array, shape)
    source = array.reshape(shape)
    for block in blocks:
        out[block] = source[block]
    return out


@clearable_lru_cache(maxsize=256)
def _reduction_functions(name: str, dtype: Any, _: bool) -> ReductionFunctions | TwoPassFunctions | None:
    """Return the operations of a reduction, or ``None`` where one call is fastest."""
    return _two_pass_functions(name, dtype) if name in PIVOT_BY_REDUCTION else _one_pass_functions(name, dtype)


_KERNEL_ELEMENT_BY_KIND = {"b": "bool", "M": "datetime64", "m": "datetime64"}
"""By kind of element type, its name for kernels where it has another one."""


def _kernel_element_name(dtype: Any) -> str | None:
    """Return the name of an element type for kernels; ``None`` for one that they do not compute."""
    if not dtype.isnative or not (is_builtin_dtype(dtype) or dtype.kind in "mM" or dtype.name == "bfloat16"):
        return None
    name = _KERNEL_ELEMENT_BY_KIND.get(dtype.kind, dtype.name)
    return name if name in _KERNEL_ELEMENTS else None


_KERNEL_ELEMENTS = frozenset(
    {"bool", "float16", "bfloat16", "float32", "float64", "complex64", "complex128", "datetime64"}
    | {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
)
"""The element types of kernels."""


def _dtype_of_kernel_result(dtype: Any, reduction: str | None) -> Any:
    """Return the element type of the result of a reduction, or of a copy, as NumPy's own function gives it."""
    if reduction in ("any", "all"):
        return np.dtype(bool)
    if reduction in ("sum", "prod") and dtype.kind in "biu":
        return np.dtype(np.uint64 if dtype.kind == "u" else np.int64)
    return dtype


def _memory_of(array: Any) -> tuple[int, int, int]:
    """Return the address of an array's first element, and those between which its memory lies."""
    owner = array.base if isinstance(array.base, np.ndarray) else array
    start = stop = owner.__array_interface__["data"][0]
    for length, stride in zip(owner.shape, owner.strides, strict=True):
        if stride < 0:
            start += (length - 1) * stride
        else:
            stop += (length - 1) * stride
    return array.__array_interface__["data"][0], start, stop + owner.itemsize


def _why_no_kernel(array: Any) -> str | None:
    """Return why no kernel may read the memory of an array, or ``None`` if one may."""
    return f"no kernel copies {array.dtype}" if array.dtype.hasobject or not array.dtype.itemsize else None


def _strides_of_result(call: UnaryFunction, array: Any) -> tuple[int, ...]:
    """Return the strides that the call gives for the first two elements along each dimension of the array."""
    with np.errstate(all="ignore"):
        return tuple(call(array[(slice(2),) * array.ndim]).strides)


LARGE_TENSOR_FUNCTIONS = LargeTensorFunctions(
    layout_key=lambda array: (array.strides, array.dtype),
    byte_strides_and_itemsize=lambda array: (array.strides, array.itemsize),
    strides_of_result=_strides_of_result,
    reduction_functions=_reduction_functions,
    empty=_allocate,
    copy=_copy_by_blocks,
    copy_costs=MemoryCosts(),
    kernels=KernelFunctions(
        element_name=_kernel_element_name,
        memory=_memory_of,
        allocate=lambda array, shape, reduction: np.empty(shape, _dtype_of_kernel_result(array.dtype, reduction)),
        result_itemsize=lambda dtype, reduction: _dtype_of_kernel_result(dtype, reduction).itemsize,
        to_result=lambda array: array[()],
        why_no_kernel=_why_no_kernel,
    ),
)
