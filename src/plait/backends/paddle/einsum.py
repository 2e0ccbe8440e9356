"""PaddlePaddle's einsum, with a replacement for equations and element types that it does not support."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import paddle

from plait._caches import clearable_lru_cache
from plait.backends.common.contraction import einsum_by_matmul
from plait.backends.common.einsum_dtypes import EinsumWithCasts

_ARRAY_API_NAMESPACE = SimpleNamespace(
    reshape=paddle.reshape, permute_dims=paddle.transpose, sum=paddle.sum, matmul=paddle.matmul
)
_einsum_by_matmul = partial(einsum_by_matmul, _ARRAY_API_NAMESPACE)

_INTEGER_AND_BOOL_TYPES = (paddle.bool, paddle.uint8, paddle.int8, paddle.int16, paddle.int32, paddle.int64)
_CAST_BEFORE_EINSUM = {
    paddle.float16: "float32",
    paddle.bfloat16: "float32",
    **dict.fromkeys(_INTEGER_AND_BOOL_TYPES, "int64"),
}
"""By element type, the one to cast to if Paddle has no kernel; for integers it has only those of matrix products."""


def _einsum_of_one_type(equation: str, *tensors: Any) -> Any:
    """``paddle.einsum``, or a replacement where it fails or is wrong."""
    if _has_diagonal(equation) and not _has_unknown_sizes(tensors):
        return _einsum_by_matmul(equation, *tensors)
    try:
        return paddle.einsum(equation, *tensors)
    except (RuntimeError, TypeError):  # without a kernel eager tensors and programs raise different errors
        dtype = _CAST_BEFORE_EINSUM.get(tensors[0].dtype)
        if dtype is None or (dtype == "int64" and _has_unknown_sizes(tensors)):
            raise
        function = _einsum_by_matmul if dtype == "int64" else paddle.einsum
        return paddle.cast(function(equation, *[paddle.cast(tensor, dtype) for tensor in tensors]), tensors[0].dtype)


_einsum_with_casts = EinsumWithCasts(  # of a mixture Paddle would read the bytes of all tensors as one type
    einsum=_einsum_of_one_type,
    cast=paddle.cast,
    name=lambda tensor: str(tensor.dtype).rpartition(".")[2].lower(),
    compute_names={"float8_e4m3fn": "float32", "float8_e5m2": "float32"},
)
"""An einsum of operands of any element types, also mixed.

They are cast to the promoted type, but floats of 8 bits to ``float32``.
"""


def einsum(equation: str, *tensors: Any) -> Any:
    """``paddle.einsum`` of operands of any element types, also mixed."""
    return _einsum_with_casts(equation, *tensors)


matmul = _einsum_with_casts.build_product(paddle.matmul)
"""``paddle.matmul`` of operands of any element types."""

multiply = _einsum_with_casts.build_product(paddle.multiply)
"""``paddle.multiply`` of operands of any element types."""


def _has_unknown_sizes(tensors: tuple[Any, ...]) -> bool:
    """Return whether a length is known only when the program runs, so that `einsum_by_matmul` cannot use it."""
    return any(-1 in tensor.shape for tensor in tensors)


@clearable_lru_cache(maxsize=256)
def _has_diagonal(equation: str) -> bool:
    """Return whether a term has an axis twice; Paddle 3.3 fails on such a term if there are more tensors or a sum."""
    terms = equation.partition("->")[0].replace("...", "").split(",")
    return any(len(set(term)) < len(term) for term in terms)
