"""tinygrad: lazy tensors, whose sizes may be variables.

plait only builds graphs: no kernel is compiled before the caller reads values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from tinygrad import Tensor, UOp, dtypes

from plait.backends.common.reductions import ReductionTable, build_logsumexp
from plait.backends.interface import Backend, Reduction
from plait.backends.reduction_rules import COUNTING
from plait.backends.tinygrad.einsum import einsum, squeeze


def _cast(tensor: Any, dtype: Any) -> Any:
    """The elements in another type; unsigned integers are counted in unsigned ones."""
    return tensor.cast("uint64" if dtype == "int64" and dtypes.is_unsigned(tensor.dtype) else dtype)


def _with_nan(reduce: Reduction) -> Reduction:
    """With NaN where there is one; the method loses it."""
    return lambda tensor, axes: tensor.isnan().any(axes).where(math.nan, reduce(tensor, axes))


def _finite_max(tensor: Any, axes: tuple[int, ...]) -> Any:
    found = tensor.max(axes, keepdim=True).detach()
    return found.isinf().where(0, found)


class TinygradBackend(Backend):
    """Plans call the methods of ``Tensor``."""

    name = "tinygrad"
    reshape = staticmethod(Tensor.reshape)
    permute = staticmethod(Tensor.permute)
    expand = staticmethod(Tensor.expand)
    einsum = staticmethod(einsum)
    to_numpy = staticmethod(Tensor.numpy)
    reductions = ReductionTable(
        function=partial(getattr, Tensor),
        cast=_cast,
        special={
            ("min", "floating"): _with_nan(Tensor.min),
            ("max", "floating"): _with_nan(Tensor.max),
            "var": lambda tensor, axes: tensor.var(axes, correction=0),
            "std": lambda tensor, axes: tensor.std(axes, correction=0),
            # the method takes one axis, and makes NaN of infinities
            "logsumexp": build_logsumexp(_finite_max, Tensor.exp, Tensor.sum, Tensor.log, squeeze),
        },
        upcast={
            "bool": COUNTING,
            "integer": COUNTING,
            "half": ("min", "max", "prod", "var", "std", "logsumexp"),  # which it rounds early, or does not compile
        },
        is_half=lambda dtype: dtypes.is_float(dtype) and dtype.itemsize < 4,
    )

    def __init__(self, kind: type) -> None:
        if not issubclass(kind, Tensor):
            raise TypeError(f"{kind.__qualname__} is no tensor")

    @staticmethod
    def concat(tensors: Sequence[Any], axis: int) -> Any:
        return Tensor.cat(*tensors, dim=axis)

    @staticmethod
    def stack(tensors: Sequence[Any]) -> Any:
        return Tensor.stack(*tensors)

    def kind(self, dtype: Any) -> str:
        if dtype == dtypes.bool:
            return "bool"
        return "floating" if dtypes.is_float(dtype) else "integer"

    def static_shape(self, tensor: Any, rank: int) -> Sequence[int | None]:
        return [size if type(size) is int else None for size in tensor.shape]

    def is_symbolic(self, size: Any) -> bool:
        return isinstance(size, UOp)

    def comparable(self, tensors: Sequence[Any]) -> bool:
        return False  # called only where there are variables, and a comparison of those may raise


BACKEND = TinygradBackend
