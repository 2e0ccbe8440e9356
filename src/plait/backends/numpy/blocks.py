"""The operations with which einsums of NumPy arrays under a limit of memory are computed block by block."""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.backends.capabilities import BlockFunctions
from plait.backends.numpy.contraction import accumulator_dtype, promoted_dtype

ARRAY_TYPE = np.ndarray
"""The type of what is read from arrays in files."""

DTYPE_WITHOUT_ARRAYS = np.dtype(np.float32)
"""The element type that plans are made for if there are no arrays yet."""

_WIDE_TYPE_BY_CODE = {"f": np.float64, "F": np.complex128}
"""By type code of single precision, the type in which the results of blocks are added."""


def load_block_functions() -> BlockFunctions:
    """Return the operations."""
    return BlockFunctions(
        compute_and_result_dtypes=_compute_and_result_dtypes,
        itemsize=lambda dtype: dtype.itemsize,
        cast=lambda tensor, dtype: tensor.astype(dtype, copy=False),
        can_widen=lambda dtype: dtype.char in _WIDE_TYPE_BY_CODE,
        allocate=_allocate,
        store=_store,
        add=_add,
        finish=lambda result, dtype: result.astype(dtype, copy=False)[()],
        strides=_strides,
        is_on_disk=lambda tensor: isinstance(tensor, np.memmap),
    )


def _compute_and_result_dtypes(dtypes: tuple[Any, ...]) -> tuple[Any, Any]:
    """Return the element type in which arrays of these types are contracted, and that of the result."""
    return promoted_dtype(tuple(map(accumulator_dtype, dtypes))), promoted_dtype(dtypes)


def _allocate(value: Any, shape: tuple[int, ...], is_wide: bool) -> Any:
    """Return memory for a result in the type of the result of a block, or in a wider one."""
    dtype = value.dtype
    return np.empty(shape, _WIDE_TYPE_BY_CODE.get(dtype.char, dtype) if is_wide else dtype)


def _store(result: Any, index: tuple[slice, ...], value: Any) -> Any:
    """Write the result of a block to its place."""
    result[index] = value
    return result


def _add(result: Any, index: tuple[slice, ...], value: Any) -> Any:
    """Add the result of a block to what is in its place."""
    part = result[index or ...]  # a view, also of an array without dimensions
    part += value
    return result


def _strides(tensor: Any) -> tuple[int, ...] | None:
    """Return the strides in elements, rounded up for the fields of a record."""
    return tuple([-(-stride // tensor.itemsize) for stride in tensor.strides]) if tensor.itemsize else None
