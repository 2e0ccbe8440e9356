"""How large arrays of NumPy are reduced and copied: by ufuncs, by copies part by part, and by kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.backends.capabilities import LargeTensorOps, ReductionOps, TwoPassOps
from plait.backends.costs import MemoryCosts
from plait.backends.numpy.reduction_ops import reduction_ops
from plait.backends.reduction_rules import PIVOTS


def _layout(array: Any) -> Any:
    return array.strides, array.dtype


def _memory(array: Any) -> tuple[tuple[int, ...], int]:
    return array.strides, array.itemsize


def _empty(array: Any, shape: tuple[int, ...]) -> Any:
    return np.empty(shape, array.dtype)


def _copy(array: Any, shape: tuple[int, ...], parts: list[Any]) -> Any:
    out = _empty(array, shape)
    source = array.reshape(shape)
    for part in parts:
        out[part] = source[part]
    return out


def _reduction_ops(name: str, dtype: Any, _: bool) -> ReductionOps | TwoPassOps | None:
    if name not in PIVOTS:
        return reduction_ops(name, dtype)
    from plait.backends.numpy.two_pass import two_pass_ops

    return two_pass_ops(name, dtype)


def _kernel(*task: Any) -> Any:
    from plait.backends.kernels import filling

    return filling(*task)


def _why_no_kernel(name: str | None, dtype: Any) -> str | None:
    from plait.backends.kernels import why_not

    return why_not(name, dtype)


OPS = LargeTensorOps(
    why_not_decompose=lambda _: None,
    layout=_layout,
    requires_grad=lambda _: False,
    memory=_memory,
    reduction_ops=_reduction_ops,
    empty=_empty,
    copy=_copy,
    copy_costs=MemoryCosts(),
    kernel=_kernel,
    why_no_kernel=_why_no_kernel,
)
