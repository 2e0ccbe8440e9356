"""Chainer's reductions: differentiable ones of floats, and for other elements those of the arrays themselves.

`chainer.functions` takes nothing but floats: on what has no gradient there is nothing to record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import chainer
import chainer.functions as F  # noqa: N812  # its users know it by this name
import numpy as np

from plait.backends.interface import Backend
from plait.backends.registry import backend_of

Reduction: TypeAlias = Callable[[Any, tuple[int, ...]], Any]


def is_differentiable(dtype: Any) -> bool:
    """Whether `chainer.functions` takes elements of that type."""
    return dtype.kind == "f"


def of_arrays(array: Any) -> Backend:
    """The backend of the arrays that variables hold."""
    kind: Any = type(array)
    return backend_of(kind)


def reduction(name: str, dtype: Any) -> Reduction:
    """The reduction of that name, for elements of that type."""
    reduce = _REDUCTIONS.get(name) if is_differentiable(dtype) else None
    if reduce is None:
        return _of_arrays(name, dtype)
    if dtype == np.float16 and name not in ("min", "max"):
        return lambda tensor, axes: F.cast(reduce(F.cast(tensor, np.float32), axes), np.float16)
    return reduce


def _of_arrays(name: str, dtype: Any) -> Reduction:
    def reduce(tensor: Any, axes: tuple[int, ...]) -> Any:
        result = of_arrays(tensor.array).reduction(name, dtype)(tensor.array, axes)
        return chainer.Variable(tensor.xp.asarray(result))

    return reduce


def _mean(tensor: Any, axes: tuple[int, ...]) -> Any:
    return F.mean(tensor, axes) if tensor.size else F.sum(tensor, axes) * np.nan  # Chainer's divides by zero


def _var(tensor: Any, axes: tuple[int, ...]) -> Any:
    if not tensor.size:
        return _mean(tensor, axes)
    apart = tensor - F.mean(tensor, axes, keepdims=True)
    return F.mean(apart * apart, axes)


def _logsumexp(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Chainer's own is NaN where the largest is infinite, and refuses to sum nothing."""
    if not tensor.size:
        return F.sum(tensor, axes) - np.inf
    peak = tensor.array.max(axes, keepdims=True)
    peak = tensor.xp.where(tensor.xp.isfinite(peak), peak, peak.dtype.type(0))
    with np.errstate(divide="ignore", over="ignore"):  # log 0 is -inf, and exp(inf) is inf
        return F.log(F.sum(F.exp(tensor - peak), axes)) + peak.squeeze(axes)


_REDUCTIONS: dict[str, Reduction] = {
    "min": F.min,
    "max": F.max,
    "sum": F.sum,
    "mean": _mean,
    "prod": F.prod,
    "var": _var,
    "std": lambda tensor, axes: F.sqrt(_var(tensor, axes)),
    "logsumexp": _logsumexp,
}
