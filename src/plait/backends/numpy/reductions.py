"""The reductions of NumPy arrays by ufuncs, and their sums by BLAS: matrix products with a vector of ones."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from plait._caches import clearable_lru_cache
from plait.backends.interface import ReductionFunction
from plait.backends.reduction_rules import ROUNDING_SENSITIVE_REDUCTIONS, byte_integer_name, is_low_precision

if TYPE_CHECKING:
    from plait.backends.common.reductions import ReductionTable

_UFUNC_KINDS = ("bool", "integer", "floating", "complex")


def _mean(tensor: Any, axes: tuple[int, ...], dtype: Any = None) -> Any:
    """Return the mean, faster than ``ndarray.mean`` does; for no elements it is NaN, without NumPy's warning."""
    total = np.add.reduce(tensor, axes, dtype)
    if not tensor.size:
        return np.full_like(total, np.nan)[()]
    return np.true_divide(total, tensor.size // total.size, dtype=total.dtype)


def _var(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Return the variance; NaN for no elements, without NumPy's warning."""
    return tensor.var(axes) if tensor.size else _mean(tensor.real, axes)


def _max_or_zero_if_infinite(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Return the maximum with dimensions kept, or 0 where it is infinite, so that it can be subtracted."""
    maximum = np.maximum.reduce(tensor, axes, keepdims=True, initial=-np.inf)
    return np.where(np.isfinite(maximum), maximum, 0).astype(tensor.dtype)


def _zero_indicator(tensor: Any) -> Any:
    """Return 1 where an element is 0, or else 0, in the same element type."""
    return (tensor == 0).astype(tensor.dtype)


def without_infinity_warnings(reduce: ReductionFunction) -> ReductionFunction:
    """Return a reduction that gives no warning: log(0) is -inf, and a difference between large numbers may overflow.

    `numpy.errstate` is no decorator here: before NumPy 2 all threads would share the state that it restores.
    """

    def reduce_without_warnings(tensor: Any, axes: tuple[int, ...]) -> Any:
        with np.errstate(divide="ignore", over="ignore"):
            return reduce(tensor, axes)

    return reduce_without_warnings


UFUNC_BY_REDUCTION: dict[str, Any] = {
    "min": np.minimum,
    "max": np.maximum,
    "sum": np.add,
    "prod": np.multiply,
    "any": np.logical_or,
    "all": np.logical_and,
}
"""The ufunc of each reduction that has one."""

_UFUNC_REDUCTIONS: dict[str, ReductionFunction] = {
    **{name: ufunc.reduce for name, ufunc in UFUNC_BY_REDUCTION.items()},
    "mean": _mean,
    "var": _var,
    "std": lambda tensor, axes: np.sqrt(_var(tensor, axes)),
}
"""The reductions of plain arrays by ufuncs, faster than the methods of arrays, some of which are written in Python."""

_HALF_PRECISION_REDUCTIONS: dict[str, ReductionFunction] = {
    "sum": lambda tensor, axes: np.add.reduce(tensor, axes, np.float32).astype(tensor.dtype),
    "prod": lambda tensor, axes: np.multiply.reduce(tensor, axes, np.float32).astype(tensor.dtype),
    "mean": lambda tensor, axes: _mean(tensor, axes, np.float32).astype(tensor.dtype),
}
"""The reductions of half-precision arrays in float32, without a copy of all elements."""


@clearable_lru_cache(maxsize=64)
def reductions_for_array_type(cls: Any) -> ReductionTable:
    """Return the reductions of a class of arrays: its methods, which a subclass may override."""
    from plait.backends.common.reductions import ReductionTable, build_accurate_logsumexp
    from plait.backends.numpy.own_arithmetic import (
        has_plain_arithmetic,
        logsumexp_by_arithmetic,
        reduce_axis_by_axis,
        var_by_arithmetic,
    )

    overrides: dict[str | tuple[str, str | None], ReductionFunction] = {("var", "other"): var_by_arithmetic}
    if has_plain_arithmetic(cls):
        overrides["logsumexp"] = without_infinity_warnings(
            build_accurate_logsumexp(
                _max_or_zero_if_infinite, np.exp, np.add.reduce, np.log, np.log1p, _zero_indicator, np.squeeze
            )
        )
    else:
        overrides["logsumexp"] = logsumexp_by_arithmetic
    overrides["std", "other"] = lambda tensor, axes: var_by_arithmetic(tensor, axes) ** 0.5  # no numpy.sqrt of objects
    if cls in (np.ndarray, np.memmap):
        overrides |= {(name, kind): reduce for name, reduce in _UFUNC_REDUCTIONS.items() for kind in _UFUNC_KINDS}
        overrides |= {(name, "half"): reduce for name, reduce in _HALF_PRECISION_REDUCTIONS.items()}
    upcast = [name for name in ROUNDING_SENSITIVE_REDUCTIONS if (name, "half") not in overrides]
    return ReductionTable(
        lambda name: partial(reduce_axis_by_axis, name, getattr(cls, name)),
        overrides=overrides,
        upcast={"half": upcast},
        is_low_precision=is_low_precision,
        widened_dtype_name=byte_integer_name,
    )


REAL_BLAS_DTYPE_CODES = "fd"
"""The type codes of BLAS's real element types. Sums of complex ones would be wrong: infinity times 1 has a NaN part."""

_MAX_BLOCK_LENGTH = 2048
"""The greatest length of a vector of ones with which elements are multiplied to sum them."""

_MIN_BLAS_ELEMENTS = 1024
"""The number of elements from which a sum by BLAS is faster than NumPy's own."""


def sum_by_blas(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Sum along some dimensions, by BLAS if that is faster; the element type must be one of `REAL_BLAS_DTYPE_CODES`."""
    shape, count = tensor.shape, tensor.ndim - len(axes)
    size = prod([shape[axis] for axis in axes])
    block = _block_length(size)
    if tensor.size < _MIN_BLAS_ELEMENTS or not block or not tensor.flags.c_contiguous:
        return np.add.reduce(tensor, axes)
    if axes[0] == count:  # the last dimensions
        sums = tensor.reshape(-1, block) @ ones(block, tensor.dtype)
        if block == size:
            return sums.reshape(shape[:count])
        return np.add.reduce(sums.reshape(*shape[:count], size // block), -1)
    if axes[-1] == len(axes) - 1 and block == size:  # the first dimensions
        return (ones(size, tensor.dtype) @ tensor.reshape(size, -1)).reshape(shape[len(axes) :])
    return np.add.reduce(tensor, axes)


@clearable_lru_cache(maxsize=256)
def _block_length(size: int) -> int:
    """Return the length of the equal blocks in which ``size`` elements are summed.

    It is the largest divisor of ``size`` up to `_MAX_BLOCK_LENGTH`, since short sums are more accurate, or 0 if that
    divisor is at most an eighth of the maximum.
    """
    if size <= _MAX_BLOCK_LENGTH:
        return size
    return next((block for block in range(_MAX_BLOCK_LENGTH, _MAX_BLOCK_LENGTH // 8, -1) if size % block == 0), 0)


@clearable_lru_cache(maxsize=64)
def ones(count: int, dtype: Any) -> Any:
    """Return a vector of ones, which is cached."""
    return np.ones(count, dtype)
