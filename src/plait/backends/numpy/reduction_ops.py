"""What reductions of large arrays are made of: ufuncs, which combine arrays into memory that is there."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from plait._caches import register
from plait.backends.capabilities import ReductionOps
from plait.backends.costs import MemoryCosts
from plait.backends.numpy.reductions import is_half
from plait.backends.numpy.sums import REAL, ones
from plait.backends.reduction_rules import ROUNDING

_UFUNCS: dict[str, Any] = {
    "min": np.minimum,
    "max": np.maximum,
    "sum": np.add,
    "mean": np.add,
    "prod": np.multiply,
    "any": np.logical_or,
    "all": np.logical_and,
}

_OF_BOOLS: dict[str, Any] = {"any": np.bitwise_or, "all": np.bitwise_and, "max": np.bitwise_or, "min": np.bitwise_and}
"""The same, many at a time."""


@register
@lru_cache(maxsize=256)
def reduction_ops(name: str, dtype: Any) -> ReductionOps | None:
    """What there is for a reduction of that name."""
    ufunc = _OF_BOOLS.get(name) if dtype.kind == "b" else None
    ufunc = ufunc or _UFUNCS.get(name)
    if ufunc is None or dtype.kind not in "biufc":
        return None
    result = ufunc.reduce(np.ones(1, dtype)).dtype  # a sum of narrow integers is wide
    half = name in ROUNDING and is_half(dtype)
    wide = np.dtype(np.float32) if half else result
    real = name in ("sum", "mean") and wide.char in REAL
    truth = name in ("any", "all")  # whose first call takes any type, and gives bool
    return ReductionOps(
        empty=lambda _, shape: np.empty(shape, dtype if half else result),
        scratch=lambda _, shape: np.empty(shape, wide),
        combine=ufunc,
        reduce_axis=lambda array, axis, out: ufunc.reduce(array, axis, wide, out),
        matmul_ones=_matmul_ones if real else None,
        reduce_rows=_reduce_rows if real else None,
        upcast=None if truth or wide == dtype else lambda array: array.astype(wide),
        finish=_FINISH.get(name) if wide.kind in "fc" else None,
        downcast=half,
        itemsize=(dtype if half else result).itemsize,
        costs=_costs(name, wide, dtype),
    )


def _costs(name: str, wide: Any, dtype: Any) -> MemoryCosts:
    """Wider elements take longer, and so do those that are converted first; a row of minima is begun slowly."""
    scale = max(wide.itemsize / 4, 0.5) * (6 if is_half(dtype) else 1)
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
        if wide.char in REAL:
            costs = costs._replace(matmul_row_overhead=3.0, matmul_element=0.1 * scale)
            costs = costs._replace(einsum_row_overhead=5.0, einsum_element=0.27 * scale)
    return costs


def _matmul_ones(array: Any, out: Any) -> Any:
    shape = array.shape[:-1]
    made = array.reshape(-1, array.shape[-1]) @ ones(array.shape[-1], array.dtype)
    if out is None:
        return made.reshape(shape)
    out[...] = made.reshape(shape)
    return out


def _reduce_rows(array: Any, axis: int, out: Any) -> Any:
    axes = [*range(array.ndim)]
    return np.einsum(array, axes, axes[:axis] + axes[axis + 1 :], out=out)


def _divided(out: Any, count: int) -> Any:
    return np.true_divide(out, count, out=out)


def _positive(out: Any, _: int) -> Any:
    return np.add(out, 0, out=out)  # NumPy begins its sums at 0, so that one of negative zeros alone is positive


_FINISH = {"mean": _divided, "sum": _positive}
