"""The backend of Chainer, whose variables hold arrays of NumPy or CuPy.

`chainer.functions` accept floats only; variables of other element types are computed by the backend of their arrays.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any, ClassVar

import chainer
import chainer.functions as F  # noqa: N812  # as users of Chainer import it
import numpy as np

from plait.backends.common.contraction import einsum_by_matmul
from plait.backends.common.einsum_dtypes import EinsumWithCasts, compute_names, promote_numpy_dtypes
from plait.backends.common.reductions import ReductionTable, build_logsumexp, build_var
from plait.backends.interface import Backend, ReductionFunction
from plait.backends.registry import backend_for_type

_ARRAY_API_NAMESPACE = SimpleNamespace(  # the functions that `einsum_by_matmul` needs
    reshape=F.reshape,
    permute_dims=F.transpose,
    sum=lambda tensor, axis, dtype: F.sum(tensor, axis),  # noqa: ARG005  # F.sum keeps the element type
    matmul=F.matmul,
)


def _is_differentiable(dtype: Any) -> bool:
    """Return whether `chainer.functions` accepts an element type."""
    return dtype.kind == "f"


def _cast(tensor: Any, dtype: Any) -> Any:
    """Cast a variable to an element type; only a cast between floats has a gradient."""
    if all(_is_differentiable(np.dtype(kind)) for kind in (tensor.dtype, dtype)):
        return F.cast(tensor, dtype)
    return chainer.Variable(chainer.as_array(tensor).astype(dtype))


def _max_or_zero_if_infinite(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Return the maximum with dimensions kept, or 0 where it is infinite, so that it can be subtracted."""
    maximum = tensor.array.max(axes, keepdims=True)
    return tensor.xp.where(tensor.xp.isfinite(maximum), maximum, maximum.dtype.type(0))


_logsumexp = build_logsumexp(_max_or_zero_if_infinite, F.exp, F.sum, F.log, lambda array, axes: array.squeeze(axes))


def _logsumexp_without_warnings(tensor: Any, axes: tuple[int, ...]) -> Any:
    """The same without warnings: log(0) is -inf, and a difference between large numbers may overflow."""
    with np.errstate(divide="ignore", over="ignore"):
        return _logsumexp(tensor, axes)


class ChainerBackend(Backend):
    """The backend of variables; it calls `chainer.functions`, which record the graph for gradients."""

    name = "chainer"
    accepts: ClassVar[frozenset[str]] = frozenset({"numpy", "cupy"})
    reshape = view = staticmethod(F.reshape)
    permute = staticmethod(F.transpose)
    expand = staticmethod(F.broadcast_to)
    concat = staticmethod(F.concat)
    stack = staticmethod(F.stack)
    reductions = ReductionTable(
        function=partial(getattr, F),
        cast=F.cast,
        overrides={
            "var": build_var(partial(F.mean, keepdims=True), lambda tensor: tensor * tensor, F.mean),
            "logsumexp": _logsumexp_without_warnings,  # F.logsumexp gives NaN where the maximum is infinite
        },
        unsupported_empty=("mean", "var", "std", "logsumexp"),  # Chainer divides by 0, or raises an error
    )

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        return _einsum_with_casts(equation, *tensors)

    @staticmethod
    def _einsum_of_one_type(equation: str, *tensors: Any) -> Any:
        """The einsum of operands of one element type."""
        if not all(_is_differentiable(tensor.dtype) for tensor in tensors):
            arrays = [chainer.as_array(tensor) for tensor in tensors]
            result = backend_for_type(arrays[0].__class__).einsum(equation, *arrays)
            array_module = chainer.backend.get_array_module(arrays[0])
            return chainer.Variable(array_module.asarray(result))  # a result of NumPy may be a scalar
        if len(tensors) > 1 and "..." in equation:  # Chainer's einsum does not broadcast
            return einsum_by_matmul(_ARRAY_API_NAMESPACE, equation, *map(chainer.as_variable, tensors))
        return F.einsum(equation, *tensors)

    def reduction(self, name: str, dtype: Any) -> ReductionFunction:
        if _is_differentiable(dtype) and name not in ("any", "all"):
            return super().reduction(name, dtype)
        return lambda tensor, axes: chainer.Variable(
            tensor.xp.asarray(backend_for_type(tensor.array.__class__).reduction(name, dtype)(tensor.array, axes))
        )

    def strides(self, tensor: Any) -> tuple[int, ...] | None:
        return chainer.as_array(tensor).strides

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        return chainer.backends.cuda.to_cpu(chainer.as_array(tensor))


_einsum_with_casts = EinsumWithCasts(
    einsum=ChainerBackend._einsum_of_one_type,
    cast=_cast,
    name=lambda tensor: tensor.dtype.name,
    compute_names=compute_names(half="float32"),
    promote=promote_numpy_dtypes,
)
"""An einsum of operands of any element types, also mixed.

They are cast to the type to which NumPy promotes them, but floats of 16 bits to ``float32``: sums would lose digits.
"""

BACKEND_FACTORY = ChainerBackend
