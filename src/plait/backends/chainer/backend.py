"""Chainer: variables and parameters, over the arrays of NumPy or CuPy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import chainer
import chainer.functions as F  # noqa: N812  # its users know it by this name
import numpy as np

from plait.backends.chainer.reductions import REDUCTIONS, is_differentiable
from plait.backends.common.contraction import contract
from plait.backends.common.equation import einsum_in
from plait.backends.interface import Backend, Reduction
from plait.backends.reduction_rules import is_half
from plait.backends.registry import backend_of

_SPACE = SimpleNamespace(
    reshape=F.reshape,
    permute_dims=F.transpose,
    broadcast_to=F.broadcast_to,
    sum=lambda tensor, axis, dtype: F.sum(tensor, axis),  # noqa: ARG005  # Chainer keeps the type
    matmul=F.matmul,
)


def _cast(tensor: Any, dtype: Any) -> Any:
    """The same elements in another type; the gradient finds its way between floats that Chainer knows."""
    if all(is_differentiable(np.dtype(kind)) for kind in (tensor.dtype, dtype)):
        return F.cast(tensor, dtype)
    return chainer.Variable(chainer.as_array(tensor).astype(dtype))


class ChainerBackend(Backend):
    """Plans call `chainer.functions`, which record the graph of the gradient."""

    name = "chainer"
    accepts: ClassVar[frozenset[str]] = frozenset({"numpy", "cupy"})
    reshape = view = staticmethod(F.reshape)
    permute = staticmethod(F.transpose)
    expand = staticmethod(F.broadcast_to)
    concat = staticmethod(F.concat)
    stack = staticmethod(F.stack)

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        if any(is_half(tensor.dtype) for tensor in tensors):  # sums would lose most of their digits in 16 bits
            return einsum_in(np.float32, ChainerBackend.einsum, _cast, equation, tensors)
        if not all(is_differentiable(tensor.dtype) for tensor in tensors):  # Chainer's einsum takes floats alone
            arrays = [chainer.as_array(tensor) for tensor in tensors]
            return chainer.Variable(backend_of(arrays[0].__class__).einsum(equation, *arrays))
        if len(tensors) > 1 and "..." in equation:  # and does not broadcast
            return contract(_SPACE, equation, *map(chainer.as_variable, tensors))
        return F.einsum(equation, *tensors)

    def reduction(self, name: str, dtype: Any) -> Reduction:
        if is_differentiable(dtype) and name not in ("any", "all"):
            return REDUCTIONS.build(name, "floating", dtype)
        return lambda tensor, axes: chainer.Variable(
            tensor.xp.asarray(backend_of(tensor.array.__class__).reduction(name, dtype)(tensor.array, axes))
        )

    def strides(self, tensor: Any) -> tuple[int, ...] | None:
        return chainer.as_array(tensor).strides

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        return chainer.backends.cuda.to_cpu(chainer.as_array(tensor))


BACKEND = ChainerBackend
