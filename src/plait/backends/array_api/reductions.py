"""The reductions out of the array API standard, which has no ``logsumexp`` and leaves truth values to integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Reduction: TypeAlias = Callable[[Any, tuple[int, ...]], Any]


def space_of(tensor: Any) -> Any:
    """The namespace of an array."""
    return tensor.__array_namespace__()


def reduction(name: str, kind: str | None) -> Reduction:
    """The reduction of that name, for elements of that kind (``None``: unknown)."""
    if kind == "bool" and name in _ON_TRUTH:
        return _ON_TRUTH[name]
    if name == "logsumexp":
        return _logsumexp
    if kind == "complex" and name in ("var", "std"):
        return _complex_var if name == "var" else lambda tensor, axes: _complex_var(tensor, axes) ** 0.5
    return lambda tensor, axes: getattr(space_of(tensor), name)(tensor, axis=axes)


ROUNDING = ("sum", "prod", "mean", "var", "std", "logsumexp")
"""The reductions that round, and so need more digits than half types have."""


def widened(reduce: Reduction) -> Reduction:
    """A reduction of half types, which are not of the standard, carried out in ``float32``."""

    def wide(tensor: Any, axes: tuple[int, ...]) -> Any:
        space = space_of(tensor)
        return space.astype(reduce(space.astype(tensor, space.float32), axes), tensor.dtype)

    return wide


def _count(name: str) -> Reduction:
    """Sum and product of truth values, which the standard leaves to integers."""
    return lambda tensor, axes: getattr(space_of(tensor), name)(
        space_of(tensor).astype(tensor, space_of(tensor).int64), axis=axes
    )


_ON_TRUTH: dict[str, Reduction] = {
    "sum": _count("sum"),
    "prod": _count("prod"),
    "min": lambda tensor, axes: space_of(tensor).all(tensor, axis=axes),
    "max": lambda tensor, axes: space_of(tensor).any(tensor, axis=axes),
}


def _complex_var(tensor: Any, axes: tuple[int, ...]) -> Any:
    space = space_of(tensor)
    apart = tensor - space.mean(tensor, axis=axes, keepdims=True)
    return space.mean(space.real(apart) ** 2 + space.imag(apart) ** 2, axis=axes)


def _logsumexp(tensor: Any, axes: tuple[int, ...]) -> Any:
    space = space_of(tensor)
    if 0 in [tensor.shape[axis] for axis in axes]:
        return space.log(space.sum(tensor, axis=axes))  # the logarithm of nothing's sum, 0
    peak = space.max(tensor, axis=axes, keepdims=True)
    peak = space.where(space.isfinite(peak), peak, space.zeros_like(peak))
    return space.log(space.sum(space.exp(tensor - peak), axis=axes)) + space.squeeze(peak, axis=axes)
