"""Chainer's reductions: differentiable ones of floats, and for other elements those of the arrays themselves.

`chainer.functions` takes nothing but floats: on what has no gradient there is nothing to record.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import chainer.functions as F  # noqa: N812  # its users know it by this name
import numpy as np

from plait.backends.common.reductions import ReductionTable, build_logsumexp, build_var
from plait.backends.reduction_rules import ROUNDING


def is_differentiable(dtype: Any) -> bool:
    """Whether `chainer.functions` takes elements of that type."""
    return dtype.kind == "f"


def _finite_max(tensor: Any, axes: tuple[int, ...]) -> Any:
    found = tensor.array.max(axes, keepdims=True)
    return tensor.xp.where(tensor.xp.isfinite(found), found, found.dtype.type(0))


_var = build_var(partial(F.mean, keepdims=True), lambda tensor: tensor * tensor, F.mean)
_logsumexp = build_logsumexp(_finite_max, F.exp, F.sum, F.log, lambda array, axes: array.squeeze(axes))
_quiet = np.errstate(divide="ignore", over="ignore")  # log 0 is -inf, and exp(inf) is inf

REDUCTIONS = ReductionTable(
    function=partial(getattr, F),
    cast=F.cast,
    special={
        "var": _var,
        "std": lambda tensor, axes: F.sqrt(_var(tensor, axes)),
        "logsumexp": _quiet(_logsumexp),  # Chainer's own is NaN where the largest is infinite
    },
    upcast={"half": ROUNDING},
    not_of_empty=("mean", "var", "std", "logsumexp"),  # which it divides by zero, or refuses
)
