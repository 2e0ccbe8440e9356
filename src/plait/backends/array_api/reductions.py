"""The reductions of the array API standard, which has no ``logsumexp``, and no sums and no order of bools."""

from __future__ import annotations

from typing import Any

from plait.backends.common.reductions import Elementwise, ReductionTable, build_logsumexp, build_var
from plait.backends.interface import Reduction
from plait.backends.reduction_rules import COUNTING, ROUNDING


def space_of(tensor: Any) -> Any:
    """The namespace of an array."""
    return tensor.__array_namespace__()


def _along(name: str, **keywords: Any) -> Reduction:
    return lambda tensor, axes: getattr(space_of(tensor), name)(tensor, axis=axes, **keywords)


def _each(name: str) -> Elementwise:
    return lambda tensor: getattr(space_of(tensor), name)(tensor)


def _cast(tensor: Any, dtype: Any) -> Any:
    space = space_of(tensor)
    return space.astype(tensor, getattr(space, dtype) if isinstance(dtype, str) else dtype)


def _finite_max(tensor: Any, axes: tuple[int, ...]) -> Any:
    space = space_of(tensor)
    found = space.max(tensor, axis=axes, keepdims=True)
    return space.where(space.isfinite(found), found, space.zeros_like(found))


def _squared_magnitude(tensor: Any) -> Any:
    space = space_of(tensor)
    return space.real(tensor) ** 2 + space.imag(tensor) ** 2


_complex_var = build_var(_along("mean", keepdims=True), _squared_magnitude, _along("mean"))

REDUCTIONS = ReductionTable(
    function=_along,
    cast=_cast,
    special={
        "logsumexp": build_logsumexp(_finite_max, _each("exp"), _along("sum"), _each("log"), _along("squeeze")),
        ("var", "complex"): _complex_var,
        ("std", "complex"): lambda tensor, axes: _complex_var(tensor, axes) ** 0.5,
    },
    upcast={"bool": COUNTING, "half": ROUNDING},
    orders_bools=False,
    not_of_empty=("logsumexp",),
    is_empty=lambda tensor: 0 in tensor.shape,
)
