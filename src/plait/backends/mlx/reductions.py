"""MLX's reductions: the functions of ``mlx.core``, and what they do not have as plait means it."""

from __future__ import annotations

from functools import partial
from typing import Any

import mlx.core as mx

from plait.backends.common.reductions import ReductionTable, build_logsumexp
from plait.backends.interface import Reduction
from plait.backends.reduction_rules import COUNTING, RULES


def _cast(tensor: Any, dtype: Any) -> Any:
    """The elements in another type; unsigned integers are counted in unsigned ones."""
    if dtype == "int64" and "uint" in str(tensor.dtype):
        dtype = "uint64"
    return tensor.astype(getattr(mx, dtype) if isinstance(dtype, str) else dtype)


def _finite_max(tensor: Any, axes: tuple[int, ...]) -> Any:
    found = mx.max(tensor, axes, keepdims=True)
    return mx.stop_gradient(mx.where(mx.isinf(found), 0, found))


def _fill(reduce: Reduction, tensor: Any, axes: tuple[int, ...], value: float | None) -> Any:
    dtype = reduce(mx.zeros((1,) * tensor.ndim, tensor.dtype), axes).dtype  # lazy: nothing is computed
    shape = [size for axis, size in enumerate(tensor.shape) if axis not in axes]
    return mx.full(shape, mx.array(value or 0, dtype))  # a minimum has no value, and no elements here


_logsumexp = build_logsumexp(_finite_max, lambda tensor: mx.expm1(tensor) + 1, mx.sum, mx.log, mx.squeeze)
"""In double precision, which MLX's own ``exp`` has not, and so neither its ``logsumexp``; ``expm1`` has it."""

REDUCTIONS = ReductionTable(
    function=partial(getattr, mx),
    cast=_cast,
    special={("logsumexp", mx.float64): _logsumexp},
    upcast={
        "bool": COUNTING,
        "integer": COUNTING,
        "half": ("mean", "var", "std"),  # whose sums have more digits, and overflow before they are divided
    },
    not_of_empty=RULES,  # it refuses some, and loops for hours over others where NumPy made the array
    fill=_fill,
)
