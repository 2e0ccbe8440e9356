"""tinygrad: lazy tensors, whose sizes may be variables.

All that plait does is building: no kernel is made before the caller asks for values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from tinygrad import Tensor, UOp, dtypes

from plait.backends.interface import Backend
from plait.backends.tinygrad.einsum import einsum

Reduction: TypeAlias = Callable[[Any, tuple[int, ...]], Any]


class TinygradBackend(Backend):
    """Plans call the methods of ``Tensor``."""

    name = "tinygrad"
    reshape = staticmethod(Tensor.reshape)
    permute = staticmethod(Tensor.permute)
    expand = staticmethod(Tensor.expand)
    einsum = staticmethod(einsum)
    to_numpy = staticmethod(Tensor.numpy)

    def __init__(self, kind: type) -> None:
        if not issubclass(kind, Tensor):
            raise TypeError(f"{kind.__qualname__} is no tensor")

    @staticmethod
    def concat(tensors: Sequence[Any], axis: int) -> Any:
        return Tensor.cat(*tensors, dim=axis)

    @staticmethod
    def stack(tensors: Sequence[Any]) -> Any:
        return Tensor.stack(*tensors)

    def reduction(self, name: str, dtype: Any) -> Reduction:
        if not dtypes.is_float(dtype):
            reduce: Reduction = _REDUCTIONS[name]
            wide = dtypes.uint64 if dtypes.is_unsigned(dtype) else dtypes.int64
            return (lambda tensor, axes: reduce(tensor.cast(wide), axes)) if name in _COUNTING else reduce
        reduce = _OF_FLOATS.get(name, _REDUCTIONS[name])
        if name in _HALVED and dtype.itemsize < 4:
            return lambda tensor, axes: reduce(tensor.float(), axes).cast(dtype)
        return reduce

    def kind(self, dtype: Any) -> str:
        if dtype == dtypes.bool:
            return "bool"
        return "floating" if dtypes.is_float(dtype) else "integer"

    def static_shape(self, tensor: Any, rank: int) -> Sequence[int | None]:
        return [size if type(size) is int else None for size in tensor.shape]

    def is_symbolic(self, size: Any) -> bool:
        return isinstance(size, UOp)

    def comparable(self, tensors: Sequence[Any]) -> bool:
        return False  # asked only where there are variables, and a comparison of those may raise


def _spreading(reduce: Reduction) -> Reduction:
    """With NaN where there is one; the method loses it."""
    return lambda tensor, axes: tensor.isnan().any(axes).where(math.nan, reduce(tensor, axes))


def _logsumexp(tensor: Any, axes: tuple[int, ...]) -> Any:
    """The method takes one axis, and makes NaN of infinities."""
    peak = tensor.max(axes, keepdim=True).detach()
    peak = peak.isinf().where(0, peak)
    total = (tensor - peak).exp().sum(axes).log()
    return total + peak.reshape(total.shape)


_REDUCTIONS: dict[str, Reduction] = {
    "min": Tensor.min,
    "max": Tensor.max,
    "sum": Tensor.sum,
    "prod": Tensor.prod,
    "mean": Tensor.mean,
    "any": Tensor.any,
    "all": Tensor.all,
    "var": lambda tensor, axes: tensor.var(axes, correction=0),
    "std": lambda tensor, axes: tensor.std(axes, correction=0),
    "logsumexp": _logsumexp,
}
_OF_FLOATS = {"min": _spreading(Tensor.min), "max": _spreading(Tensor.max)}
_COUNTING = ("sum", "prod")
"""What counts in 64 bits, where tinygrad counts in 32."""
_HALVED = ("min", "max", "prod", "var", "std", "logsumexp")
"""What tinygrad rounds on the way where the elements are halves, or does not compile."""

BACKEND = TinygradBackend
