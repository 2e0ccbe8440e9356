"""The backend of MLX, whose arrays are computed only when their elements are needed.

Sizes are always ints; under ``mx.compile(..., shapeless=True)`` they are those of the first call.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import mlx.core as mx

from plait.backends.common.contraction import einsum_by_matmul
from plait.backends.common.einsum_dtypes import EinsumWithCasts, compute_names, promote_dtype_names
from plait.backends.common.equation import axis_sizes, replace_ellipsis
from plait.backends.common.reductions import ReductionTable, build_logsumexp
from plait.backends.interface import Backend, ReductionFunction
from plait.backends.reduction_rules import INT64_REDUCTIONS, REDUCTION_RULES


def _cast_keeping_unsigned(tensor: Any, dtype: Any) -> Any:
    """Cast a tensor to an element type; a cast of unsigned integers to ``int64`` gives ``uint64``."""
    if dtype == "int64" and "uint" in str(tensor.dtype):
        dtype = "uint64"
    return tensor.astype(getattr(mx, dtype) if isinstance(dtype, str) else dtype)


def _cast_by_name(tensor: Any, dtype: str) -> Any:
    """Cast a tensor to the element type of this name."""
    return tensor.astype(mx.bool_ if dtype == "bool" else getattr(mx, dtype))


def _max_or_zero_if_infinite(tensor: Any, axes: tuple[int, ...]) -> Any:
    """Return the maximum with dimensions kept, or 0 where it is infinite, so that it can be subtracted."""
    maximum = mx.max(tensor, axes, keepdims=True)
    return mx.stop_gradient(mx.where(mx.isinf(maximum), 0, maximum))


def _reduce_empty(reduce: ReductionFunction, tensor: Any, axes: tuple[int, ...], value: float | None) -> Any:
    """Return the result of a reduction of no elements: the value, in the element type of the result."""
    dtype = reduce(mx.zeros((1,) * tensor.ndim, tensor.dtype), axes).dtype  # lazy: nothing is computed
    shape = [size for axis, size in enumerate(tensor.shape) if axis not in axes]
    # The value is None for min and max, which are called only if the result has no elements either.
    return mx.full(shape, mx.array(value or 0, dtype))


_logsumexp = build_logsumexp(_max_or_zero_if_infinite, lambda tensor: mx.expm1(tensor) + 1, mx.sum, mx.log, mx.squeeze)
"""``logsumexp`` in double precision, by ``expm1``, since MLX computes ``exp`` in single precision."""


class MLXBackend(Backend):
    """The backend of MLX's arrays; it calls functions of ``mlx.core``, which use the default device and stream."""

    name = "mlx"
    einsum_optimizes_path = True
    reshape = staticmethod(mx.reshape)
    permute = staticmethod(mx.transpose)
    expand = staticmethod(mx.broadcast_to)
    concat = staticmethod(mx.concatenate)
    stack = staticmethod(mx.stack)
    reductions = ReductionTable(
        function=partial(getattr, mx),
        cast=_cast_keeping_unsigned,
        overrides={("logsumexp", mx.float64): _logsumexp},
        upcast={
            "bool": INT64_REDUCTIONS,
            "integer": INT64_REDUCTIONS,
            "half": ("mean", "var", "std"),  # their sums overflow before they are divided
        },
        unsupported_empty=REDUCTION_RULES,  # MLX fails on some, and does not return for others
        reduce_empty=_reduce_empty,
    )

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        return _einsum_with_casts(equation, *tensors)

    @staticmethod
    def _einsum_of_one_type(equation: str, *tensors: Any) -> Any:
        """The einsum of operands of one element type; that of integers is made of products and sums."""
        if not mx.issubdtype(tensors[0].dtype, mx.inexact):
            return einsum_by_matmul(_INTEGER_NAMESPACE, equation, *tensors)
        if all(tensor.size for tensor in tensors):
            return mx.einsum(equation, *tensors)
        terms, output = replace_ellipsis(equation, [tensor.ndim for tensor in tensors])
        sizes = axis_sizes(terms, tensors)  # mx.einsum does not return if a tensor has no elements
        example = mx.einsum(",".join([""] * len(tensors)) + "->", *[mx.zeros((), tensor.dtype) for tensor in tensors])
        return mx.zeros([sizes[name] for name in output], example.dtype)

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        import numpy as np

        return np.asarray(tensor.astype(mx.float32) if tensor.dtype == mx.bfloat16 else tensor)


def _matmul_of_integers(left: Any, right: Any) -> Any:
    """The products of the matrices in the last two dimensions, which MLX has for floating and complex numbers only.

    The terms of so many columns are in memory at once that they have at most `_MAX_TERMS_IN_MEMORY` elements.
    """
    inner = left.shape[-1]
    terms_of_column = left.size // max(inner, 1) * right.shape[-1]
    step = max(1, _MAX_TERMS_IN_MEMORY // max(terms_of_column, 1))
    total = mx.zeros((*left.shape[:-1], right.shape[-1]), left.dtype)
    for start in range(0, inner, step):
        terms = left[..., start : start + step, None] * right[..., None, start : start + step, :]
        total = total + mx.sum(terms, -2).astype(left.dtype)
    return total


_MAX_TERMS_IN_MEMORY = 1 << 24
"""The largest number of products of integers in memory at once."""

_INTEGER_NAMESPACE = SimpleNamespace(  # the functions that `einsum_by_matmul` needs
    reshape=mx.reshape,
    permute_dims=mx.transpose,
    sum=lambda tensor, axis, dtype: mx.sum(tensor, axis).astype(dtype),
    matmul=_matmul_of_integers,
)

_einsum_with_casts = EinsumWithCasts(
    einsum=MLXBackend._einsum_of_one_type,
    cast=_cast_by_name,
    name=lambda tensor: str(tensor.dtype).rpartition(".")[2].rstrip("_"),
    compute_names=compute_names(bools="int32"),
    promote=lambda names: promote_dtype_names(names).replace("complex128", "complex64"),  # MLX has only that
)
"""An einsum of operands of any element types, also mixed.

They are cast to the promoted type, but booleans to ``int32``.
"""

BACKEND_FACTORY = MLXBackend
