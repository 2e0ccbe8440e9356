"""The NumPy arrays that tensors are made of, and how they are compared."""

from __future__ import annotations

import math
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

DTYPES = ("bool", "uint8", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64", "complex128")
HAS_BFLOAT16 = find_spec("ml_dtypes") is not None
"""NumPy has no ``bfloat16`` itself."""

RELATIVE_SPACING_BY_DTYPE = {
    "float16": 1e-3,
    "bfloat16": 8e-3,
    "float32": 1e-6,
    "complex64": 1e-6,
    "float64": 1e-14,
    "complex128": 1e-14,
}
"""The relative spacing of the numbers of each floating dtype; results may differ by a few of these."""


def dtype_from_name(name: str) -> np.dtype[Any]:
    """The dtype of a name, ``bfloat16`` among them."""
    if name == "bfloat16":
        return np.dtype(import_module("ml_dtypes").bfloat16)
    return np.dtype(name)


def arange_array(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """0, 1, 2, ... in a shape: no two elements are equal, so that one is never mistaken for another."""
    return np.arange(math.prod(shape), dtype=np.float64).reshape(shape)


def random_array(shape: tuple[int, ...], dtype: str = "float64", seed: int = 0) -> NDArray[Any]:
    """Small random numbers of any dtype, always the same for a seed."""
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.random(shape) < 0.6
    if dtype in ("uint8", "int32", "int64"):
        return rng.integers(0, 5, shape).astype(dtype)
    values = rng.normal(size=shape)
    if dtype.startswith("complex"):
        return (values + 1j * rng.normal(size=shape)).astype(dtype)
    return values.astype(dtype_from_name(dtype))


def describe_difference(actual: NDArray[Any], expected: NDArray[Any], dtype: str | None = None) -> str | None:
    """How an array differs from the expected one, in words; ``None`` where it does not.

    With a dtype, numbers are equal if they differ by a few of its spacings, and NaN is equal to NaN; without one they
    are equal only exactly.
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
    """Fail unless two arrays have the same shape, and elements that are equal but for rounding in a dtype."""
    __tracebackhide__ = True
    if problem := describe_difference(actual, expected, dtype):
        raise AssertionError(problem)
