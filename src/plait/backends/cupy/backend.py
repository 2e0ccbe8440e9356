"""The backend of CuPy: NumPy's interface on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cupy

from plait.backends.common.einsum_dtypes import (
    LOW_PRECISION_NAMES,
    EinsumWithCasts,
    compute_names,
    promote_numpy_dtypes,
)
from plait.backends.common.reductions import ReductionTable, build_accurate_logsumexp
from plait.backends.interface import Backend


def _max_or_zero_if_infinite(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Return the maximum with dimensions kept, or 0 where it is infinite, so that it can be subtracted."""
    maximum = tensor.max(axes, keepdims=True)
    return cupy.where(cupy.isfinite(maximum), maximum, cupy.zeros_like(maximum))


def _zero_indicator(tensor: Any) -> Any:
    """Return 1 where an element is 0, or else 0, in the same element type."""
    return (tensor == 0).astype(tensor.dtype)


class CupyBackend(Backend):
    """The backend of one array type; it calls that type's own methods, as NumPy's backend does."""

    name = "cupy"
    concat: Callable[[Sequence[Any], int], Any] = staticmethod(cupy.concatenate)
    stack: Callable[[Sequence[Any]], Any] = staticmethod(cupy.stack)
    expand: Callable[[Any, Sequence[int]], Any] = staticmethod(cupy.broadcast_to)

    def __init__(self, tensor_type: type) -> None:
        cls: Any = tensor_type
        self.reductions = ReductionTable(
            function=partial(getattr, cls),
            overrides={
                "logsumexp": build_accurate_logsumexp(
                    _max_or_zero_if_infinite, cupy.exp, cls.sum, cupy.log, cupy.log1p, _zero_indicator, cupy.squeeze
                )
            },
            unsupported_empty=("mean", "var", "std", "logsumexp"),  # CuPy gives a warning or an error
        )
        self.reshape, self.view, self.permute = cls.reshape, cls.reshape, cls.transpose

    @staticmethod
    def copy_if_broadcast(tensor: Any, _: None) -> Any:
        return tensor if tensor.base is None else tensor.copy()

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        return _einsum_with_casts(equation, *tensors)

    def version(self, tensor: Any) -> int | None:
        return 0

    def strides(self, tensor: Any) -> tuple[int, ...] | None:
        return tensor.strides

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        return tensor.get()


_einsum_with_casts = EinsumWithCasts(
    einsum=lambda equation, *tensors: cupy.einsum(equation, *tensors, optimize=len(tensors) > 2),
    cast=lambda tensor, dtype: tensor.astype(dtype),
    name=lambda tensor: tensor.dtype.name,
    compute_names=compute_names(extra=[(name, "float32") for name in LOW_PRECISION_NAMES if name != "float16"]),
    promote=promote_numpy_dtypes,
)
"""An einsum of operands of any element types, also mixed.

They are cast to the type to which NumPy promotes them, but floats of ``ml_dtypes``, for which CuPy has no einsum, to
``float32``. CuPy itself sums ``float16`` in ``float32``.
"""

BACKEND_FACTORY = CupyBackend
