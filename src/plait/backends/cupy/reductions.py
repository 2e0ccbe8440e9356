"""CuPy's reductions: the methods of an array's own class, as they are NumPy's."""

from __future__ import annotations

from functools import partial
from typing import Any

import cupy

from plait.backends.common.reductions import ReductionTable, build_logsumexp
from plait.backends.reduction_rules import ROUNDING


def _finite_max(tensor: Any, axes: tuple[int, ...]) -> Any:
    found = tensor.max(axes, keepdims=True)
    return cupy.where(cupy.isfinite(found), found, cupy.zeros_like(found))


def reductions_of(cls: Any) -> ReductionTable:
    """The reductions of a class of arrays."""
    return ReductionTable(
        function=partial(getattr, cls),
        cast=cls.astype,
        special={"logsumexp": build_logsumexp(_finite_max, cupy.exp, cls.sum, cupy.log, cupy.squeeze)},
        upcast={"half": ROUNDING},
        not_of_empty=("mean", "var", "std", "logsumexp"),  # of which it warns, or which it refuses
    )
