"""Makes the NumPy arrays from which tests make tensors, and compares arrays."""

from __future__ import annotations

import math
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

DTYPES = ("bool", "uint8", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64", "complex128")
PARTLY_SUPPORTED_DTYPES = (
    "int8",
    "int16",
    "uint16",
    "uint32",
    "uint64",
    "int4",
    "uint4",
    "float8_e4m3fn",
    "float8_e5m2",
)
"""Dtypes that some frameworks lack, or have without most functions; their tests use small integers."""
HAS_BFLOAT16 = find_spec("ml_dtypes") is not None
"""Whether there is a NumPy dtype ``bfloat16``: only the package ``ml_dtypes`` has it."""

RELATIVE_SPACING_BY_DTYPE = {
    "float16": 1e-3,
    "bfloat16": 8e-3,
    "float32": 1e-6,
    "complex64": 1e-6,
    "float64": 1e-14,
    "complex128": 1e-14,
}
"""By floating dtype, the relative distance between neighbouring numbers; results may differ by a few of these."""


def dtype_from_name(name: str) -> np.dtype[Any]:
    """Return the NumPy dtype of this name, which may be one of ``ml_dtypes``."""
    if name in ("bfloat16", "int4", "uint4") or name.startswith("float8"):
        return np.dtype(getattr(import_module("ml_dtypes"), name))
    return np.dtype(name)


def arange_array(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the numbers 0, 1, 2, ... in a shape: all elements differ, so that a wrong order is noticed."""
    return np.arange(math.prod(shape), dtype=np.float64).reshape(shape)


def random_array(shape: tuple[int, ...], dtype: str = "float64", seed: int = 0) -> NDArray[Any]:
    """Return small random numbers of any dtype; those of one seed are always the same."""
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.random(shape) < 0.6
    if dtype in ("uint8", "int32", "int64"):
        return rng.integers(0, 5, shape).astype(dtype)
    values = rng.normal(size=shape)
    if dtype.startswith("complex"):
        return (values + 1j * rng.normal(size=shape)).astype(dtype)
    return values.astype(dtype_from_name(dtype))


def small_integers(shape: tuple[int, ...], dtype: str, seed: int = 0) -> NDArray[Any]:
    """Return integers from 0 to 2, whose sums and products of a few every dtype holds; booleans for ``bool``."""
    return np.random.default_rng(seed).integers(0, 3, shape).astype(dtype_from_name(dtype))


def describe_difference(actual: NDArray[Any], expected: NDArray[Any], dtype: str | None = None) -> str | None:
    """Describe in words how an array differs from the expected one; return ``None`` if it does not.

    With a dtype, numbers count as equal if they differ by a few rounding errors of that dtype, and NaN equals NaN.
    Without one all numbers must be exactly equal.
    """
    if actual.shape != expected.shape:
        return f"the shape is {actual.shape}, and should be {expected.shape}"
    if dtype is None:
        equal = np.asarray(actual == expected.astype(actual.dtype), dtype=bool)
    else:
        wide = np.complex128 if actual.dtype.kind == "c" else np.float64
        spacing = RELATIVE_SPACING_BY_DTYPE.get(dtype, 1e-14)
        actual, expected = actual.astype(wide), expected.astype(wide)
        equal = np.isclose(actual, expected, rtol=4 * spacing, atol=8 * spacing, equal_nan=True)
    if equal.all():
        return None
    different = np.argwhere(~equal)
    first = tuple(different[0].tolist())
    return (
        f"{len(different)} of {actual.size} elements are wrong, the first at index {first}\n"
        f"    actual:   {actual[first]!s}\n"
        f"    expected: {expected[first]!s}"
    )


def assert_equal(actual: NDArray[Any], expected: NDArray[Any]) -> None:
    """Fail unless two arrays have the same shape and exactly the same elements."""
    __tracebackhide__ = True
    if problem := describe_difference(actual, expected):
        raise AssertionError(problem)


def assert_close(actual: NDArray[Any], expected: NDArray[Any], dtype: str = "float64") -> None:
    """Fail unless two arrays have the same shape, and their elements are equal up to rounding in a dtype."""
    __tracebackhide__ = True
    if problem := describe_difference(actual, expected, dtype):
        raise AssertionError(problem)
