"""PyTensor's reductions: the functions of ``pytensor.tensor``, and what they do not have as plait means it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytensor.tensor as pt
from pytensor.gradient import disconnected_grad

from plait.backends.common.reductions import ReductionTable, build_logsumexp, build_var
from plait.backends.interface import Reduction


def _with_nan(reduce: Reduction) -> Reduction:
    """With NaN where there is one: what PyTensor compiles by default loses it."""

    def with_nan(tensor: Any, axes: tuple[int, ...]) -> Any:
        found = pt.any(pt.isnan(tensor), axes)
        return pt.switch(found, pt.constant(float("nan"), dtype=tensor.dtype), reduce(tensor, axes))

    return with_nan


def _finite_max(tensor: Any, axes: tuple[int, ...]) -> Any:
    found = pt.max(tensor, axes, keepdims=True)
    return disconnected_grad(pt.switch(pt.isinf(found), 0, found))


def _log(tensor: Any) -> Any:
    """``pt.log``, written so that PyTensor does not take it for a ``logsumexp`` and subtract the maximum once more."""
    return pt.log1p(tensor - 1)


_complex_var = build_var(
    partial(pt.mean, keepdims=True),
    lambda tensor: pt.real(tensor) ** 2 + pt.imag(tensor) ** 2,  # pt.var squares, and squares may be negative
    pt.mean,
)

REDUCTIONS = ReductionTable(
    function=partial(getattr, pt),
    cast=pt.cast,
    special={
        ("min", "floating"): _with_nan(pt.min),
        ("max", "floating"): _with_nan(pt.max),
        # as PyTensor makes it of its own by a rewriting that not every mode has
        "logsumexp": build_logsumexp(_finite_max, pt.exp, pt.sum, _log, pt.squeeze),
        ("var", "complex"): _complex_var,
        ("std", "complex"): lambda tensor, axes: pt.sqrt(_complex_var(tensor, axes)),
    },
    upcast={"half": ("prod", "var", "std", "logsumexp")},  # it accumulates sums and means in float32 by itself
    not_of_empty=("logsumexp",),
    is_empty=lambda tensor: 0 in tensor.type.shape,
)
