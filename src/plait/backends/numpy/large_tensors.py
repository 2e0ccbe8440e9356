"""How large arrays of NumPy are reduced and copied: by ufuncs into memory, by copies part by part, and by kernels."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np

from plait._caches import clearable_lru_cache
from plait.backends.capabilities import LargeTensorOps, ReductionOps, TwoPassOps
from plait.backends.costs import MemoryCosts
from plait.backends.numpy.reductions import BLAS_REAL, UFUNCS, ones
from plait.backends.reduction_rules import PIVOT_REDUCTIONS, ROUNDING_REDUCTIONS, is_half_precision

_OF_BOOLS: dict[str, Any] = {"any": np.bitwise_or, "all": np.bitwise_and, "max": np.bitwise_or, "min": np.bitwise_and}
"""The same, many at a time."""


def _one_pass_ops(name: str, dtype: Any) -> ReductionOps | None:
    """The calls of a reduction in one pass, or ``None`` where it is one call."""
    ufunc = _OF_BOOLS.get(name) if dtype.kind == "b" else None
    ufunc = ufunc or UFUNCS.get("sum" if name == "mean" else name)
    if ufunc is None or dtype.kind not in "biufc":
        return None
    result = ufunc.reduce(np.ones(1, dtype)).dtype  # a sum of narrow integers is wide
    half = name in ROUNDING_REDUCTIONS and is_half_precision(dtype)
    wide = np.dtype(np.float32) if half else result
    real = name in ("sum", "mean") and wide.char in BLAS_REAL
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
        needs_downcast=half,
        itemsize=(dtype if half else result).itemsize,
        costs=_costs(name, wide, dtype),
    )


def _costs(name: str, wide: Any, dtype: Any) -> MemoryCosts:
    """Wider elements take longer, and so do those that are converted first; a row of minima is begun slowly."""
    scale = max(wide.itemsize / 4, 0.5) * (6 if is_half_precision(dtype) else 1)
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
        if wide.char in BLAS_REAL:
            costs = costs._replace(matmul_row_overhead=3.0, matmul_element=0.1 * scale)
            costs = costs._replace(einsum_row_overhead=5.0, einsum_element=0.27 * scale)
    return costs


def _matmul_ones(array: Any, out: Any) -> Any:
    *shape, length = array.shape
    made = (array.reshape(-1, length) @ ones(length, array.dtype)).reshape(shape)
    if out is None:
        return made
    out[...] = made
    return out


def _reduce_rows(array: Any, axis: int, out: Any) -> Any:
    axes = [*range(array.ndim)]
    return np.einsum(array, axes, axes[:axis] + axes[axis + 1 :], out=out)


_FINISH: dict[str, Any] = {
    "mean": lambda out, count: np.true_divide(out, count, out=out),
    "sum": lambda out, _: np.add(out, 0, out=out),  # NumPy begins at 0: a sum of negative zeros alone is positive
}


_PART = 128
"""How many elements a product with ones adds up."""


def _two_pass_ops(name: str, dtype: Any) -> TwoPassOps | None:
    """The calls of a reduction in two passes, or ``None`` where it is one call."""
    exponentials = name == "logsumexp"
    if dtype.kind not in ("f" if exponentials else "fc"):
        return None
    half = is_half_precision(dtype)
    wide = np.dtype(np.float32) if half else dtype.newbyteorder("=")
    real = np.empty(0, wide).real.dtype
    pivot, total = _one_pass_ops(PIVOT_REDUCTIONS[name], wide), _one_pass_ops("sum", real)
    if pivot is None or total is None:
        return None
    transform, element = _TRANSFORM[exponentials, wide.kind]
    held = wide.itemsize if real == wide else wide.itemsize + real.itemsize
    element *= wide.itemsize / 4
    costs = total.costs._replace(max_matmul_part=_PART, transform_element=element, transform_bytes=held)
    return TwoPassOps(
        pivot=pivot,
        fix_pivot=(lambda peak: np.where(np.isfinite(peak), peak, wide.type(0))) if exponentials else None,
        upcast=None if wide == dtype else lambda array: array.astype(wide),
        scratch=lambda _, shape: np.empty(shape, wide),
        transform=transform,
        total=total._replace(finish=None, costs=costs),
        empty=lambda _, shape: np.empty(shape, dtype if half else real),
        errstate=_QUIET if exponentials else nullcontext,
        finish=_TWO_PASS_FINISH[name],
    )


_QUIET = partial(np.errstate, divide="ignore", over="ignore")  # log 0 is -inf, and exp(inf) is inf


def _without(part: Any, pivot: Any, memory: Any) -> Any:
    if part.dtype != memory.dtype:  # made wide all at once, which is faster than in the ufunc's own buffers
        np.copyto(memory, part)
        part = memory
    return np.subtract(part, pivot, memory)


def _squares(part: Any, pivot: Any, memory: Any) -> Any:
    return np.square(_without(part, pivot, memory), memory)


def _squares_of_complex(part: Any, pivot: Any, memory: Any) -> Any:
    memory = _without(part, pivot, memory)
    pairs = memory.reshape(-1).view(memory.real.dtype).reshape(*memory.shape, 2)
    np.square(pairs, pairs)
    return np.add(pairs[..., 0], pairs[..., 1])


def _exponentials(part: Any, pivot: Any, memory: Any) -> Any:
    return np.exp(_without(part, pivot, memory), memory)


_TRANSFORM: dict[tuple[bool, str], tuple[Any, float]] = {
    (False, "f"): (_squares, 0.25),
    (False, "c"): (_squares_of_complex, 0.4),
    (True, "f"): (_exponentials, 1.2),
}
"""What is made of each element, and how many nanoseconds that takes for one of 32 bits."""


def _var(total: Any, _: Any, count: int) -> Any:
    return np.true_divide(total, count, dtype=total.dtype)


_TWO_PASS_FINISH: dict[str, Any] = {
    "var": _var,
    "std": lambda total, pivot, count: np.sqrt(_var(total, pivot, count)),
    "logsumexp": lambda total, pivot, _: np.log(total) + pivot,
}


def _empty(array: Any, shape: tuple[int, ...]) -> Any:
    return np.empty(shape, array.dtype)


def _copy(array: Any, shape: tuple[int, ...], parts: list[Any]) -> Any:
    out = _empty(array, shape)
    source = array.reshape(shape)
    for part in parts:
        out[part] = source[part]
    return out


@clearable_lru_cache(maxsize=256)
def _reduction_ops(name: str, dtype: Any, _: bool) -> ReductionOps | TwoPassOps | None:
    return _two_pass_ops(name, dtype) if name in PIVOT_REDUCTIONS else _one_pass_ops(name, dtype)


def _build_kernel(*task: Any) -> Any:
    from plait.backends.kernels import filling

    return filling(*task)


def _why_no_kernel(name: str | None, dtype: Any) -> str | None:
    from plait.backends.kernels import why_not

    return why_not(name, dtype)


OPS = LargeTensorOps(
    layout_key=lambda array: (array.strides, array.dtype),
    strides_and_itemsize=lambda array: (array.strides, array.itemsize),
    reduction_ops=_reduction_ops,
    empty=_empty,
    copy=_copy,
    copy_costs=MemoryCosts(),
    build_kernel=_build_kernel,
    why_no_kernel=_why_no_kernel,
)
