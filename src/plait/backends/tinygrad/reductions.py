"""tinygrad's reductions: the methods of ``Tensor``, and what they do not have as plait means it."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from tinygrad import Tensor, dtypes

from plait.backends.common.reductions import ReductionTable, build_logsumexp
from plait.backends.interface import Reduction
from plait.backends.reduction_rules import COUNTING


def _cast(tensor: Any, dtype: Any) -> Any:
    """The elements in another type; unsigned integers are counted in unsigned ones."""
    return tensor.cast("uint64" if dtype == "int64" and dtypes.is_unsigned(tensor.dtype) else dtype)


def _with_nan(reduce: Reduction) -> Reduction:
    """With NaN where there is one; the method loses it."""
    return lambda tensor, axes: tensor.isnan().any(axes).where(math.nan, reduce(tensor, axes))


def _finite_max(tensor: Any, axes: tuple[int, ...]) -> Any:
    found = tensor.max(axes, keepdim=True).detach()
    return found.isinf().where(0, found)


def squeeze(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Remove dimensions of length 1, of which the method takes one at a time."""
    return tensor.reshape([size for axis, size in enumerate(tensor.shape) if axis not in axes])


REDUCTIONS = ReductionTable(
    function=partial(getattr, Tensor),
    cast=_cast,
    special={
        ("min", "floating"): _with_nan(Tensor.min),
        ("max", "floating"): _with_nan(Tensor.max),
        "var": lambda tensor, axes: tensor.var(axes, correction=0),
        "std": lambda tensor, axes: tensor.std(axes, correction=0),
        # the method takes one axis, and makes NaN of infinities
        "logsumexp": build_logsumexp(_finite_max, Tensor.exp, Tensor.sum, Tensor.log, squeeze),
    },
    upcast={
        "bool": COUNTING,
        "integer": COUNTING,
        "half": ("min", "max", "prod", "var", "std", "logsumexp"),  # which it rounds on the way, or does not compile
    },
    is_half=lambda dtype: dtypes.is_float(dtype) and dtype.itemsize < 4,
)
