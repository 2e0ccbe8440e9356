"""MLX: lazy arrays, whose shapes are tuples of ints under every transformation that MLX has.

``mx.compile(..., shapeless=True)`` shows the first call's shape and no symbols, so what is computed from it (the shape
of a ``reshape`` or a ``broadcast_to``) is a constant of the graph, as it is without plait.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from plait.backends.common.equation import axis_sizes, expand_terms
from plait.backends.interface import Backend
from plait.backends.mlx.reductions import REDUCTIONS


class MLXBackend(Backend):
    """Plans call the functions of ``mlx.core``, which use the default device and stream."""

    name = "mlx"
    reductions = REDUCTIONS
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

    @staticmethod
    def to_numpy(tensor: Any) -> Any:
        import numpy as np

        return np.asarray(tensor.astype(mx.float32) if tensor.dtype == mx.bfloat16 else tensor)


BACKEND = MLXBackend
