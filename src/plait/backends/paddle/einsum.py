"""PaddlePaddle's einsum, and products of the elements that it has no kernel for."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import paddle

from plait._caches import clearable_lru_cache
from plait.backends.common.contraction import einsum_by_matmul
from plait.backends.common.equation import einsum_with_dtype
from plait.errors import make_error

_SPACE = SimpleNamespace(reshape=paddle.reshape, permute_dims=paddle.transpose, sum=paddle.sum, matmul=paddle.matmul)
_einsum_by_matmul = partial(einsum_by_matmul, _SPACE)

_EXACT = (paddle.bool, paddle.uint8, paddle.int8, paddle.int16, paddle.int32, paddle.int64)
_WIDE = {paddle.float16: "float32", paddle.bfloat16: "float32", **dict.fromkeys(_EXACT, "int64")}
"""What is multiplied instead. Half types have a kernel on some devices; of integers only products of matrices have."""


def einsum(equation: str, *tensors: Any) -> Any:
    """``paddle.einsum``, and a way round what it refuses, or gets wrong."""
    if any(tensor.dtype != tensors[0].dtype for tensor in tensors):  # of which it takes the bytes for one type
        kinds = " and ".join(dict.fromkeys([str(tensor.dtype).removeprefix("paddle.") for tensor in tensors]))
        raise make_error("PLT503", f"einsum is not defined on a mixture of {kinds}; convert one of them")
    if _has_diagonal(equation) and not _has_unknown_sizes(tensors):
        return _einsum_by_matmul(equation, *tensors)
    try:
        return paddle.einsum(equation, *tensors)
    except (RuntimeError, TypeError):  # no kernel for these elements, as a tensor says it and as a program does
        wide = _WIDE.get(tensors[0].dtype)
        if wide is None or (wide == "int64" and _has_unknown_sizes(tensors)):
            raise
        return einsum_with_dtype(
            wide, _einsum_by_matmul if wide == "int64" else paddle.einsum, paddle.cast, equation, tensors
        )


def _has_unknown_sizes(tensors: tuple[Any, ...]) -> bool:
    """Whether only a run of the program will tell a size, so that `einsum_by_matmul` cannot compute with it."""
    return any(-1 in tensor.shape for tensor in tensors)


@clearable_lru_cache(maxsize=256)
def _has_diagonal(equation: str) -> bool:
    """Whether a tensor has an axis twice: beside another tensor, or a sum, Paddle's own fails, as of 3.3."""
    terms = equation.partition("->")[0].replace("...", "").split(",")
    return any(len(set(term)) < len(term) for term in terms)
