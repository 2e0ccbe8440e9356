"""MLX: lazy arrays, whose shapes are tuples of ints under every transformation that MLX has.

``mx.compile(..., shapeless=True)`` shows the first call's shape and no symbols, so what is computed from it (the shape
of a ``reshape`` or a ``broadcast_to``) is a constant of the graph, as it is in code written by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import mlx.core as mx

from plait.backends.common.equation import axis_sizes, expand_terms
from plait.backends.interface import Backend

Reduction: TypeAlias = Callable[[Any, tuple[int, ...]], Any]


class MLXBackend(Backend):
    """Plans call the functions of ``mlx.core``, which use the default device and stream."""

    name = "mlx"
    einsum_optimizes_path = True
    reshape = staticmethod(mx.reshape)
    permute = staticmethod(mx.transpose)
    expand = staticmethod(mx.broadcast_to)
    concat = staticmethod(mx.concatenate)
    stack = staticmethod(mx.stack)

    @staticmethod
    def einsum(equation: str, *tensors: Any) -> Any:
        if all(tensor.size for tensor in tensors):
            return mx.einsum(equation, *tensors)
        terms, output = expand_terms(equation, [tensor.ndim for tensor in tensors])
        sizes = axis_sizes(terms, tensors)  # of nothing MLX loops, as in reductions
        kind = mx.einsum(",".join([""] * len(tensors)) + "->", *[mx.zeros((), tensor.dtype) for tensor in tensors])
        return mx.zeros([sizes[name] for name in output], kind.dtype)

    def reduction(self, name: str, dtype: Any) -> Reduction:
        exact = name == "logsumexp" and dtype in _DOUBLE
        reduce: Reduction = _logsumexp if exact else getattr(mx, name)
        if name in ("sum", "prod") and dtype in _COUNTING:
            reduce = _widened(reduce, _COUNTING[dtype], _COUNTING[dtype])
        elif name in ("mean", "var", "std") and dtype in _HALF:
            reduce = _widened(reduce, mx.float32, dtype)
        return _guarded(reduce, _OF_NOTHING.get(name, mx.nan))

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        import numpy as np

        return np.asarray(tensor.astype(mx.float32) if tensor.dtype == mx.bfloat16 else tensor)


def _guarded(reduce: Reduction, of_nothing: float) -> Reduction:
    """MLX refuses some reductions of an empty array, and loops for hours over others where NumPy made the array."""

    def guarded(tensor: Any, axes: tuple[int, ...]) -> Any:
        if tensor.size:
            return reduce(tensor, axes)
        dtype = reduce(mx.zeros((1,) * tensor.ndim, tensor.dtype), axes).dtype  # lazy: nothing is computed
        return mx.full([size for axis, size in enumerate(tensor.shape) if axis not in axes], of_nothing, dtype)

    return guarded


def _widened(reduce: Reduction, inside: Any, outside: Any) -> Reduction:
    return lambda tensor, axes: reduce(tensor.astype(inside), axes).astype(outside)


def _logsumexp(tensor: Any, axes: tuple[int, ...]) -> Any:
    """In double precision, which MLX's own ``exp`` has not, and so neither its ``logsumexp``; ``expm1`` has it."""
    peak = mx.max(tensor, axes, keepdims=True)
    peak = mx.stop_gradient(mx.where(mx.isinf(peak), 0, peak))
    return mx.log(mx.sum(mx.expm1(tensor - peak) + 1, axes)) + mx.squeeze(peak, axes)


_DOUBLE = frozenset({mx.float64})
_HALF = frozenset({mx.float16, mx.bfloat16})
"""Their sums are kept in more digits, but a mean's sum and a variance's squares overflow before they are divided."""
_COUNTING = dict.fromkeys((mx.bool_, mx.int8, mx.int16, mx.int32), mx.int64) | dict.fromkeys(
    (mx.uint8, mx.uint16, mx.uint32), mx.uint64
)
"""What sums and products are counted in: MLX counts in 32 bits."""
_OF_NOTHING: dict[str, float] = {"sum": 0, "prod": 1, "any": False, "all": True, "logsumexp": -mx.inf}

BACKEND = MLXBackend
