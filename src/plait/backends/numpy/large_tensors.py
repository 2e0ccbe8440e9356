"""How plans pass over the memory of NumPy's arrays: by ufuncs, by copies part by part, and by kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.backends.capabilities import Passes
from plait.backends.costs import MemoryCosts
from plait.backends.numpy.reduction_ops import calls
from plait.backends.numpy.two_pass import composite


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


def _kernel(*task: Any) -> Any:
    from plait.backends.kernels import filling

    return filling(*task)


def _no_kernel(name: str | None, dtype: Any) -> str | None:
    from plait.backends.kernels import why_not

    return why_not(name, dtype)


PASSES = Passes(
    least=2048,
    reason=lambda _: None,
    layout=_layout,
    recorded=lambda _: False,
    memory=_memory,
    calls=calls,
    composite=composite,
    empty=_empty,
    copy=_copy,
    copy_costs=MemoryCosts(),
    kernel=_kernel,
    no_kernel=_no_kernel,
)
