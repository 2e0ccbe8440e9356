"""tinygrad: lazy tensors, whose sizes may be variables.

plait only builds graphs: no kernel is compiled before the caller reads values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad import Tensor, UOp, dtypes

from plait.backends.interface import Backend
from plait.backends.tinygrad.einsum import einsum
from plait.backends.tinygrad.reductions import REDUCTIONS


class TinygradBackend(Backend):
    """Plans call the methods of ``Tensor``."""

    name = "tinygrad"
    reductions = REDUCTIONS
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
