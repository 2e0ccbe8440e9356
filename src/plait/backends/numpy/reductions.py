"""The reductions of NumPy arrays: the ufuncs that its methods end in, without the Python around them.

One meaning on every framework: the mean of nothing is NaN without a warning, ``logsumexp`` does not overflow, and half
types are summed in ``float32``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.backends.interface import Reduction


def _mean(tensor: Any, axes: tuple[int, ...], dtype: Any = None) -> Any:
    total = np.add.reduce(tensor, axes, dtype)
    if not tensor.size:
        return np.full_like(total, np.nan)[()]
    return np.true_divide(total, tensor.size // total.size, dtype=total.dtype)


def _var(tensor: Any, axes: tuple[int, ...]) -> Any:
    return tensor.var(axes) if tensor.size else _mean(tensor.real, axes)


def _std(tensor: Any, axes: tuple[int, ...]) -> Any:
    return np.sqrt(_var(tensor, axes))


def _finite_max(tensor: Any, axes: tuple[int, ...]) -> Any:
    found = np.maximum.reduce(tensor, axes, keepdims=True, initial=-np.inf)
    return np.where(np.isfinite(found), found, 0).astype(tensor.dtype)


def logsumexp() -> Reduction:
    """The logarithm of a sum of exponentials."""
    from plait.backends.common.reductions import build_logsumexp  # which no other reduction of NumPy needs

    quiet = np.errstate(divide="ignore", over="ignore")  # log 0 is -inf, and exp(inf) is inf
    return quiet(build_logsumexp(_finite_max, np.exp, np.add.reduce, np.log, np.squeeze))


def is_half(dtype: Any) -> bool:
    """Whether sums would lose most of their digits: 16 bits and fewer, ``ml_dtypes`` among them."""
    return dtype is not None and dtype.itemsize <= 2 and (dtype.kind == "f" or "float" in dtype.name)


ON_ARRAYS: dict[str, Reduction] = {
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

WIDE: dict[str, Reduction] = {
    "sum": lambda tensor, axes: np.add.reduce(tensor, axes, np.float32),
    "prod": lambda tensor, axes: np.multiply.reduce(tensor, axes, np.float32),
    "mean": lambda tensor, axes: _mean(tensor, axes, np.float32),
}
"""For arrays of half types, in ``float32`` without a copy of them all."""

ON_OBJECTS: dict[str, Reduction] = {"std": lambda tensor, axes: tensor.var(axes) ** 0.5}
"""For objects, which have powers where ``numpy.sqrt`` looks for a method."""
