"""MXNet's reductions, out of its NumPy functions: those of arrays and those of symbols have the same names.

Classic arrays have them too, since classic MXNet has neither ``any`` nor ``var``, and counts in small integers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import mxnet as mx

Reduction: TypeAlias = Callable[[Any, tuple[int, ...]], Any]


def space_of(tensor: Any) -> Any:
    """The functions that take it: Gluon's ``F``."""
    return mx.sym.np if isinstance(tensor, mx.sym.Symbol) else mx.np


def reduction(name: str, kind: str | None, dtype: Any) -> Reduction:
    """The reduction of that name, for elements of that type (``None``: unknown)."""
    if kind in ("bool", "integer") and name in ("sum", "prod"):
        return lambda tensor, axes: getattr(space_of(tensor), name)(tensor, axis=axes, dtype="int64")
    reduce = _OWN.get(name) or (lambda tensor, axes: getattr(space_of(tensor), name)(tensor, axis=axes))
    if name in _ROUNDING and "float16" in str(dtype):
        return lambda tensor, axes: reduce(tensor.astype("float32"), axes).astype("float16")
    return reduce


def _is_empty(tensor: Any) -> bool:
    return not isinstance(tensor, mx.sym.Symbol) and not tensor.size


def _mean(tensor: Any, axes: tuple[int, ...]) -> Any:
    """MXNet's own, but for the mean of nothing, which it takes for 0."""
    if _is_empty(tensor):
        return mx.np.sum(tensor, axis=axes) * float("nan")
    return space_of(tensor).mean(tensor, axis=axes)


def _var(tensor: Any, axes: tuple[int, ...]) -> Any:
    """MXNet's own has no gradient, and reads memory that is not the tensor's where that has more than 6 dimensions."""
    if _is_empty(tensor):
        return _mean(tensor, axes)
    apart = tensor - space_of(tensor).mean(tensor, axis=axes, keepdims=True)
    return space_of(tensor).mean(apart * apart, axis=axes)


def _std(tensor: Any, axes: tuple[int, ...]) -> Any:
    return space_of(tensor).sqrt(_var(tensor, axes))


def _logsumexp(tensor: Any, axes: tuple[int, ...]) -> Any:
    space = space_of(tensor)
    if _is_empty(tensor):
        return space.log(space.sum(tensor, axis=axes))  # the logarithm of nothing's sum, 0
    peak = space.max(tensor, axis=axes, keepdims=True)
    peak = space.where(space.isfinite(peak), peak, space.zeros_like(peak))
    return space.log(space.sum(space.exp(tensor - peak), axis=axes)) + space.squeeze(peak, axis=axes)


_OWN: dict[str, Reduction] = {"mean": _mean, "var": _var, "std": _std, "logsumexp": _logsumexp}
_ROUNDING = ("sum", "prod", "mean", "var", "std", "logsumexp")
"""The reductions that round, and so need more digits than half types have."""
