"""NumPy's contraction operations: BLAS for its types, half types by way of ``float32``, and einsum's loop in C."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from typing import Any

import numpy as np

from plait._caches import clearable_lru_cache
from plait.backends.capabilities import ContractionOps, ProductFunction
from plait.backends.costs import ContractionCosts
from plait.backends.interface import identity
from plait.backends.numpy.reductions import BLAS_REAL, add_by_blas
from plait.backends.reduction_rules import is_half_precision

try:  # numpy.einsum without the Python around it
    from numpy._core.multiarray import c_einsum
except ImportError:
    c_einsum = np.einsum

_BLAS = {"f": 0.012, "d": 0.034, "F": 0.068, "D": 0.136}
"""The types that BLAS multiplies, and how many nanoseconds an operation takes."""


@clearable_lru_cache(maxsize=256)
def contraction_ops(dtypes: tuple[Any, ...]) -> ContractionOps | None:
    """For arrays of these types, all converted to the result's first; ``None`` where only ``numpy.einsum`` can tell."""
    try:
        result = np.result_type(*dtypes)
        dtype = np.result_type(*[np.float32 if is_half_precision(each) else each for each in dtypes])
    except TypeError:
        return None
    if dtype.kind not in "biufc" or dtype.isbuiltin != 1:
        return None
    vecdot = getattr(np, "vecdot", None) if dtype.kind == "f" else None  # it conjugates complex numbers
    return ContractionOps(
        einsum=c_einsum,
        dot=np.ndarray.dot,
        matmul=np.matmul,
        vecdot=vecdot,
        multiply=np.multiply,
        multiply_into=lambda one, other: np.multiply(one, other, one),
        copy=lambda tensor, _: tensor.copy(),
        add=add_by_blas if dtype.char in BLAS_REAL else partial(np.add.reduce, dtype=dtype),
        diagonal=_diagonal,
        matmul_into=partial(_matmul_into, dtype),
        costs=ContractionCosts(flop=_BLAS.get(dtype.char, inf), multiply_reuses=True, has_vecdot=vecdot is not None),
        wrap=identity if all(each == dtype for each in dtypes) else lambda call: _within(call, dtype, result),
    )


def _within(call: Callable[..., Any], inside: Any, result: Any) -> Callable[..., Any]:
    """A call with arrays of one type, and the result in another: sums in 16 bits would lose most of their digits."""

    def within(*tensors: Any) -> Any:
        return call(*[tensor.astype(inside, copy=False) for tensor in tensors]).astype(result, copy=False)

    return within


def _diagonal(tensor: Any, axes: tuple[int, int]) -> Any:
    view = tensor.diagonal(0, *axes)
    if tensor.flags.writeable:  # as that of numpy.einsum is
        view.flags.writeable = True
    return view


def _matmul_into(dtype: Any, shape: Sequence[int], order: Sequence[int]) -> ProductFunction:
    def product(one: Any, other: Any) -> Any:
        result = np.empty(shape, dtype)
        np.matmul(one, other, result.transpose(order))
        return result

    return product
