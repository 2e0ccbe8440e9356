"""The reductions of NumPy arrays: the ufuncs that its methods end in, without the Python around them.

One meaning on every framework: the mean of nothing is NaN without a warning, ``logsumexp`` does not overflow, and half
types are summed in ``float32``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def _mean(tensor: Any, axes: tuple[int, ...], dtype: Any = None) -> Any:
    total = np.add.reduce(tensor, axes, dtype)
    if not tensor.size:
        return np.full_like(total, np.nan)[()]
    return np.true_divide(total, tensor.size // total.size, dtype=total.dtype)


def _var(tensor: Any, axes: tuple[int, ...]) -> Any:
    return tensor.var(axes) if tensor.size else _mean(tensor.real, axes)


def _std(tensor: Any, axes: tuple[int, ...]) -> Any:
    return np.sqrt(_var(tensor, axes))


def logsumexp(tensor: Any, axes: tuple[int, ...]) -> Any:
    """The logarithm of the sum of exponentials, with the largest taken out before, so that nothing overflows."""
    peak = np.maximum.reduce(tensor, axes, keepdims=True, initial=-np.inf)
    peak = np.where(np.isfinite(peak), peak, 0).astype(tensor.dtype)
    with np.errstate(divide="ignore", over="ignore"):  # log 0 is -inf, and exp(inf) is inf
        return np.log(np.add.reduce(np.exp(tensor - peak), axes)) + np.squeeze(peak, axes)


def is_half(dtype: Any) -> bool:
    """Whether sums would lose most of their digits: 16 bits and fewer, ``ml_dtypes`` among them."""
    return dtype is not None and dtype.itemsize <= 2 and (dtype.kind == "f" or "float" in dtype.name)


ROUNDING = ("sum", "prod", "mean", "var", "std", "logsumexp")
"""The reductions that round, and so need more digits than half types have."""

ON_ARRAYS: dict[str, Callable[[Any, tuple[int, ...]], Any]] = {
    "min": np.minimum.reduce,
    "max": np.maximum.reduce,
    "sum": np.add.reduce,
    "prod": np.multiply.reduce,
    "any": np.logical_or.reduce,
    "all": np.logical_and.reduce,
    "mean": _mean,
    "var": _var,
    "std": _std,
}
"""For arrays proper, what the methods end in."""

WIDE: dict[str, Callable[[Any, tuple[int, ...]], Any]] = {
    "sum": lambda tensor, axes: np.add.reduce(tensor, axes, np.float32),
    "prod": lambda tensor, axes: np.multiply.reduce(tensor, axes, np.float32),
    "mean": lambda tensor, axes: _mean(tensor, axes, np.float32),
}
"""For arrays of half types, in ``float32`` without a copy of them all."""

ON_OBJECTS: dict[str, Callable[[Any, tuple[int, ...]], Any]] = {"std": lambda tensor, axes: tensor.var(axes) ** 0.5}
"""For objects, which have powers where ``numpy.sqrt`` looks for a method."""
