"""MLX: lazy arrays, whose sizes are always ints: those of the first call under ``mx.compile(..., shapeless=True)``."""

from __future__ import annotations

from functools import partial
from typing import Any

import mlx.core as mx

from plait.backends.common.equation import axis_sizes, replace_ellipsis
from plait.backends.common.reductions import ReductionTable, build_logsumexp
from plait.backends.interface import Backend, Reduction
from plait.backends.reduction_rules import COUNTING_REDUCTIONS, REDUCTION_RULES


def _cast(tensor: Any, dtype: Any) -> Any:
    """The elements in another type; unsigned integers are counted in unsigned ones."""
    if dtype == "int64" and "uint" in str(tensor.dtype):
        dtype = "uint64"
    return tensor.astype(getattr(mx, dtype) if isinstance(dtype, str) else dtype)


def _finite_max(tensor: Any, axes: tuple[int, ...]) -> Any:
    found = mx.max(tensor, axes, keepdims=True)
    return mx.stop_gradient(mx.where(mx.isinf(found), 0, found))


def _fill(reduce: Reduction, tensor: Any, axes: tuple[int, ...], value: float | None) -> Any:
    dtype = reduce(mx.zeros((1,) * tensor.ndim, tensor.dtype), axes).dtype  # lazy: nothing is computed
    shape = [size for axis, size in enumerate(tensor.shape) if axis not in axes]
    return mx.full(shape, mx.array(value or 0, dtype))  # a minimum has no value, and no elements here


_logsumexp = build_logsumexp(_finite_max, lambda tensor: mx.expm1(tensor) + 1, mx.sum, mx.log, mx.squeeze)
"""In double precision, which MLX's own ``exp`` has not, and so neither its ``logsumexp``; ``expm1`` has it."""


class MLXBackend(Backend):
    """Plans call the functions of ``mlx.core``, which use the default device and stream."""

    name = "mlx"
    einsum_optimizes_path = True
    reshape = staticmethod(mx.reshape)
    permute = staticmethod(mx.transpose)
    expand = staticmethod(mx.broadcast_to)
    concat = staticmethod(mx.concatenate)
    stack = staticmethod(mx.stack)
    reductions = ReductionTable(
        function=partial(getattr, mx),
        cast=_cast,
        overrides={("logsumexp", mx.float64): _logsumexp},
        upcast={
            "bool": COUNTING_REDUCTIONS,
            "integer": COUNTING_REDUCTIONS,
            "half": ("mean", "var", "std"),  # whose sums have more digits, and overflow before they are divided
        },
        unsupported_empty=REDUCTION_RULES,  # MLX fails on some, and runs for hours on arrays of NumPy
        fill_empty=_fill,
    )

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        if all(tensor.size for tensor in tensors):
            return mx.einsum(equation, *tensors)
        terms, output = replace_ellipsis(equation, [tensor.ndim for tensor in tensors])
        sizes = axis_sizes(terms, tensors)  # of nothing MLX loops, as in reductions
        kind = mx.einsum(",".join([""] * len(tensors)) + "->", *[mx.zeros((), tensor.dtype) for tensor in tensors])
        return mx.zeros([sizes[name] for name in output], kind.dtype)

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        import numpy as np

        return np.asarray(tensor.astype(mx.float32) if tensor.dtype == mx.bfloat16 else tensor)


BACKEND = MLXBackend
