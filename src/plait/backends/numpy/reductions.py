"""The reductions of NumPy arrays, by the ufuncs that its methods end in, and sums as products with ones, by BLAS."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from plait._caches import clearable_lru_cache
from plait.backends.interface import Reduction
from plait.backends.reduction_rules import ROUNDING_REDUCTIONS, is_half_precision

if TYPE_CHECKING:
    from plait.backends.common.reductions import ReductionTable

_KINDS = ("bool", "integer", "floating", "complex")


def _mean(tensor: Any, axes: tuple[int, ...], dtype: Any = None) -> Any:
    total = np.add.reduce(tensor, axes, dtype)
    if not tensor.size:
        return np.full_like(total, np.nan)[()]
    return np.true_divide(total, tensor.size // total.size, dtype=total.dtype)


def _var(tensor: Any, axes: tuple[int, ...]) -> Any:
    return tensor.var(axes) if tensor.size else _mean(tensor.real, axes)


def _finite_max(tensor: Any, axes: tuple[int, ...]) -> Any:
    found = np.maximum.reduce(tensor, axes, keepdims=True, initial=-np.inf)
    return np.where(np.isfinite(found), found, 0).astype(tensor.dtype)


UFUNCS: dict[str, Any] = {
    "min": np.minimum,
    "max": np.maximum,
    "sum": np.add,
    "prod": np.multiply,
    "any": np.logical_or,
    "all": np.logical_and,
}

_REDUCTIONS: dict[str, Reduction] = {
    **{name: ufunc.reduce for name, ufunc in UFUNCS.items()},
    "mean": _mean,
    "var": _var,
    "std": lambda tensor, axes: np.sqrt(_var(tensor, axes)),
}
"""What the methods of arrays end in."""

_IN_FLOAT32: dict[str, Reduction] = {
    "sum": lambda tensor, axes: np.add.reduce(tensor, axes, np.float32).astype(tensor.dtype),
    "prod": lambda tensor, axes: np.multiply.reduce(tensor, axes, np.float32).astype(tensor.dtype),
    "mean": lambda tensor, axes: _mean(tensor, axes, np.float32).astype(tensor.dtype),
}
"""For half types, without a copy of all elements."""


@clearable_lru_cache(maxsize=64)
def reductions_of(cls: Any) -> ReductionTable:
    """The reductions of a class of arrays: its methods, which a subclass may have overridden."""
    from plait.backends.common.reductions import ReductionTable, build_logsumexp

    quiet = np.errstate(divide="ignore", over="ignore")  # log 0 is -inf, and exp(inf) is inf
    overrides: dict[str | tuple[str, str | None], Reduction] = {
        "logsumexp": quiet(build_logsumexp(_finite_max, np.exp, np.add.reduce, np.log, np.squeeze)),
        ("std", "other"): lambda tensor, axes: tensor.var(axes) ** 0.5,  # objects have no method for numpy.sqrt
    }
    if cls is np.ndarray:
        overrides |= {(name, kind): reduce for name, reduce in _REDUCTIONS.items() for kind in _KINDS}
        overrides |= {(name, "half"): reduce for name, reduce in _IN_FLOAT32.items()}
    upcast = [name for name in ROUNDING_REDUCTIONS if (name, "half") not in overrides]
    return ReductionTable(
        partial(getattr, cls), overrides=overrides, upcast={"half": upcast}, is_half_precision=is_half_precision
    )


BLAS_REAL = "fd"
"""The types whose sums may be products with ones: of a complex infinity times one a part is NaN."""

_BLOCK = 2048
"""The most elements that one product with ones adds up."""

_SMALL = 1024
"""Below so many elements NumPy's own sum is as fast."""


def add_by_blas(tensor: Any, axes: tuple[int, ...]) -> Any:
    """The sum along some dimensions, for real types that BLAS knows."""
    shape, count = tensor.shape, tensor.ndim - len(axes)
    size = prod([shape[axis] for axis in axes])
    block = _block(size)
    if tensor.size < _SMALL or not block or not tensor.flags.c_contiguous:
        return np.add.reduce(tensor, axes)
    if axes[0] == count:  # the last ones
        sums = tensor.reshape(-1, block) @ ones(block, tensor.dtype)
        if block == size:
            return sums.reshape(shape[:count])
        return np.add.reduce(sums.reshape(*shape[:count], size // block), -1)
    if axes[-1] == len(axes) - 1 and block == size:  # the first ones
        return (ones(size, tensor.dtype) @ tensor.reshape(size, -1)).reshape(shape[len(axes) :])
    return np.add.reduce(tensor, axes)


@clearable_lru_cache(maxsize=256)
def _block(size: int) -> int:
    """How many of so many elements are added up at a time, few enough that little is lost in rounding; 0 for none."""
    if size <= _BLOCK:
        return size
    return next((block for block in range(_BLOCK, _BLOCK // 8, -1) if size % block == 0), 0)


@clearable_lru_cache(maxsize=64)
def ones(count: int, dtype: Any) -> Any:
    """So many ones."""
    return np.ones(count, dtype)
