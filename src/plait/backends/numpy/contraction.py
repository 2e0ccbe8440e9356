"""The operations of pairwise contractions in NumPy: BLAS, ufuncs, and the C function of einsum.

Half-precision arrays are cast to float32 first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from typing import Any

import numpy as np

from plait._caches import clearable_lru_cache
from plait.backends.capabilities import ContractionFunctions, LongSumCasts, ProductFunction
from plait.backends.common.einsum_dtypes import promote_dtype_names
from plait.backends.costs import ContractionCosts
from plait.backends.interface import identity
from plait.backends.numpy.dtypes import is_builtin_dtype
from plait.backends.numpy.reductions import REAL_BLAS_DTYPE_CODES, sum_by_blas
from plait.backends.reduction_rules import byte_integer_name, is_low_precision

try:  # numpy.einsum without its Python wrapper
    from numpy._core.multiarray import c_einsum
except ImportError:
    c_einsum = np.einsum

_BLAS_FLOP_COSTS = {"f": 0.012, "d": 0.034, "F": 0.068, "D": 0.136}
"""By type code of the element types of BLAS, the nanoseconds of one multiplication or addition."""


@clearable_lru_cache(maxsize=256)
def contraction_functions(dtypes: tuple[Any, ...]) -> ContractionFunctions | None:
    """Return the operations for arrays of these types; ``None`` for types that only ``numpy.einsum`` supports.

    The operands are cast to the type of the accumulator first.
    """
    try:
        result = promoted_dtype(dtypes)
        dtype = promoted_dtype(tuple(map(accumulator_dtype, dtypes)))
    except TypeError:
        return None
    if dtype.kind not in "biufc" or not is_builtin_dtype(dtype) or not dtype.isnative:
        return None
    vecdot = getattr(np, "vecdot", None) if dtype.kind == "f" else None  # np.vecdot conjugates complex numbers
    return ContractionFunctions(
        einsum=c_einsum,
        dot=np.ndarray.dot,
        matmul=np.matmul,
        vecdot=vecdot,
        dot_of_slices=np.matmul,
        multiply=np.multiply,
        multiply_into=lambda left, right: np.multiply(left, right, left),
        copy=lambda tensor, _: tensor.copy(),
        add=sum_by_blas if dtype.char in REAL_BLAS_DTYPE_CODES else partial(np.add.reduce, dtype=dtype),
        diagonal=_diagonal,
        build_matmul_with_output_order=partial(_build_matmul_with_output_order, dtype),
        costs=ContractionCosts(
            flop=_BLAS_FLOP_COSTS.get(dtype.char, inf), multiply_reuses=True, has_vecdot=vecdot is not None
        ),
        long_sum_casts=_long_sum_casts(dtype, result) if dtype.char in "fF" else None,
        wrap=identity if all(each == dtype for each in dtypes) else lambda call: _wrap_with_dtypes(call, dtype, result),
        to_compute_dtype=lambda tensor: tensor.astype(dtype, copy=False),
        to_result_dtype=lambda tensor: tensor.astype(result, copy=False),
    )


def _long_sum_casts(compute_dtype: Any, result: Any) -> LongSumCasts:
    """Return the conversions between single and double precision, and to the type of the result."""
    double = np.dtype(np.float64 if compute_dtype.kind == "f" else np.complex128)
    return LongSumCasts(
        block_dtype=compute_dtype,
        to_block_dtype=lambda tensor: tensor.astype(compute_dtype, copy=False),
        widen=lambda part: np.asarray(part).astype(double),
        narrow=lambda total: total.astype(result)[()],
    )


def promoted_dtype(dtypes: tuple[Any, ...]) -> Any:
    """Return the type to which types are promoted, also where NumPy promotes none, as for float16 and bfloat16."""
    try:
        return np.result_type(*dtypes)
    except TypeError:
        return np.dtype(promote_dtype_names(tuple([dtype.name for dtype in dtypes])))


def accumulator_dtype(dtype: Any) -> Any:
    """Return the type in which products of elements of a type are computed and summed."""
    if is_builtin_dtype(dtype) and dtype.char != "e":  # a fast path: only float16 and types of other packages are cast
        return dtype
    byte_name = byte_integer_name(dtype)
    return np.dtype(byte_name) if byte_name else np.dtype(np.float32) if is_low_precision(dtype) else dtype


def _wrap_with_dtypes(call: Callable[..., Any], accumulator: Any, result: Any) -> Callable[..., Any]:
    """Wrap a function so that it casts its arrays to the type ``accumulator``, and its result to ``result``."""

    def call_with_dtypes(*tensors: Any) -> Any:
        return call(*[tensor.astype(accumulator, copy=False) for tensor in tensors]).astype(result, copy=False)

    return call_with_dtypes


def _diagonal(tensor: Any, axes: tuple[int, int]) -> Any:
    """Return the diagonal of two dimensions as a view, which is writeable if the array is."""
    view = tensor.diagonal(0, *axes)
    if tensor.flags.writeable:  # as the diagonal of numpy.einsum is
        view.flags.writeable = True
    return view


def _build_matmul_with_output_order(dtype: Any, shape: Sequence[int], order: Sequence[int]) -> ProductFunction:
    """Return a matrix product that writes into new memory, whose ``shape`` permuted by ``order`` is the product's."""

    def matmul_with_output_order(left: Any, right: Any) -> Any:
        result = np.empty(shape, dtype)
        np.matmul(left, right, result.transpose(order))
        return result

    return matmul_with_output_order
