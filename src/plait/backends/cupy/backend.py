"""CuPy: NumPy's interface on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cupy

from plait.backends.common.reductions import ReductionTable, build_logsumexp
from plait.backends.interface import Backend


def _finite_max(tensor: Any, axes: tuple[int, ...]) -> Any:
    found = tensor.max(axes, keepdims=True)
    return cupy.where(cupy.isfinite(found), found, cupy.zeros_like(found))


class CupyBackend(Backend):
    """Plans call the methods of the tensor's own class, as they do for NumPy."""

    name = "cupy"
    concat: Callable[[Sequence[Any], int], Any] = staticmethod(cupy.concatenate)
    stack: Callable[[Sequence[Any]], Any] = staticmethod(cupy.stack)
    expand: Callable[[Any, Sequence[int]], Any] = staticmethod(cupy.broadcast_to)

    def __init__(self, kind: type) -> None:
        cls: Any = kind
        self.reductions = ReductionTable(
            function=partial(getattr, cls),
            overrides={"logsumexp": build_logsumexp(_finite_max, cupy.exp, cls.sum, cupy.log, cupy.squeeze)},
            unsupported_empty=("mean", "var", "std", "logsumexp"),  # of which it warns, or which it refuses
        )
        self.reshape, self.view, self.permute = cls.reshape, cls.reshape, cls.transpose

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        return cupy.einsum(equation, *tensors, optimize=len(tensors) > 2)

    def strides(self, tensor: Any) -> tuple[int, ...] | None:
        return tensor.strides

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        return tensor.get()


BACKEND = CupyBackend
