"""Reductions by kernels equal those of NumPy."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.array_layouts import NUMERIC_DTYPES, array_with_layout, layouts, random_values, run_kernel
from plait.backends.kernels import filling, why_not

UFUNCS = {
    "min": np.minimum,
    "max": np.maximum,
    "sum": np.add,
    "prod": np.multiply,
    "any": np.logical_or,
    "all": np.logical_and,
}
VECTORIZED_REDUCTIONS_AND_DTYPES = [
    ("max", "float32"),
    ("sum", "float32"),
    ("sum", "float64"),
    ("sum", "int8"),
    ("max", "float16"),
]
INEXACT_DTYPES = ("float16", "float32", "float64", "complex64", "complex128")
REDUCTIONS_AND_DTYPES = [
    *((name, dtype) for name in UFUNCS for dtype in NUMERIC_DTYPES),
    *(("mean", dtype) for dtype in INEXACT_DTYPES),
    *((name, dtype) for name in ("min", "max") for dtype in ("M8[s]", "m8[ns]")),
]


def reduce_with_numpy(name, source, reduced_ndim):
    """Reduce the last dimensions with NumPy."""
    axes = tuple(range(source.ndim - reduced_ndim, source.ndim))
    with np.errstate(all="ignore"):
        if name in UFUNCS and not (name in ("sum", "prod") and source.dtype.kind in "fc"):
            return UFUNCS[name].reduce(source, axes)
        wide = source.astype("clongdouble" if source.dtype.kind == "c" else "longdouble")
        if name == "mean":
            count = int(np.prod([source.shape[axis] for axis in axes]))
            return np.asarray(np.add.reduce(wide, axes) / count).astype(source.dtype)
        return np.asarray(UFUNCS[name].reduce(wide, axes)).astype(source.dtype)


def assert_equal_or_close(name, mine, theirs, source):
    """Check that two results are equal, or close where the order of additions differs."""
    if name not in ("sum", "prod", "mean") or source.dtype.kind in "biu":
        np.testing.assert_array_equal(mine, theirs)
        return
    digits = np.finfo(source.dtype)
    scale = float(np.nanmax(np.abs(source[np.isfinite(source)]), initial=0)) * source.size if name != "prod" else 0
    slack = 4 if name != "prod" else 4 + 3 * source.size
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(
            mine,
            theirs,
            rtol=slack * digits.eps,
            atol=float(scale) * digits.eps * 0.01 + float(digits.smallest_subnormal),
        )


def without_overflow_in_products(values, count):
    """Return floating values whose products of up to ``count`` factors, in any order, are between 2^-12 and 2^12."""
    exponents = np.clip(np.frexp(values)[1], -1, 1) * min(1, 12 / count)
    powers = np.copysign(np.exp2(exponents), values).astype(values.dtype)
    return np.where(np.isfinite(values) & (values != 0), powers, values)


def assert_reduction_equals_numpy(name, dtype, layout, reduced_ndim, seed):
    """Check that the kernel gives the result of NumPy for an array of random values."""
    values = random_values(dtype, seed)
    source = array_with_layout(values, layout)
    if name == "prod" and values.dtype.kind == "f":
        source = array_with_layout(without_overflow_in_products(values, max(source.size, 1)), layout)
    reduced_ndim = min(reduced_ndim, source.ndim)
    if reduced_ndim:
        assert_equal_or_close(
            name, run_kernel(name, source, reduced_ndim), reduce_with_numpy(name, source, reduced_ndim), source
        )


@pytest.mark.parametrize(("name", "dtype"), VECTORIZED_REDUCTIONS_AND_DTYPES)
@given(layout=layouts(), reduced_ndim=st.integers(1, 6), seed=st.integers(0, 99))
@settings(max_examples=150)
def test_reduction_of_any_layout_equals_numpy(name, dtype, layout, reduced_ndim, seed):
    assert_reduction_equals_numpy(name, dtype, layout, reduced_ndim, seed)


@pytest.mark.parametrize(
    ("name", "dtype"), [*VECTORIZED_REDUCTIONS_AND_DTYPES, ("mean", "float32"), ("mean", "float64")]
)
@pytest.mark.parametrize("channels", [1, 2, 3, 5, 16, 33])
@pytest.mark.parametrize("side", [2, 3, 8, 9])
def test_pooling_of_images_equals_numpy(name, dtype, channels, side):
    values = np.resize(random_values(dtype, side), (2, 2, side, 70, side, channels))
    source = values.transpose(0, 1, 3, 5, 2, 4)
    assert_equal_or_close(name, run_kernel(name, source, 2), reduce_with_numpy(name, source, 2), source)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dtype"), [case for case in REDUCTIONS_AND_DTYPES if why_not(case[0], np.dtype(case[1])) is None]
)
@given(layout=layouts(), reduced_ndim=st.integers(1, 6), seed=st.integers(0, 99))
@settings(max_examples=60)
def test_every_reduction_of_every_dtype_equals_numpy(name, dtype, layout, reduced_ndim, seed):
    assert_reduction_equals_numpy(name, dtype, layout, reduced_ndim, seed)


@pytest.mark.parametrize("name", ["min", "max"])
def test_half_precision_results_are_bit_identical(name):
    source = np.ones((3, 40), "f2")
    source[0, 7], source[1, 8] = np.nan, -np.inf
    np.testing.assert_array_equal(run_kernel(name, source, 1).view("u2"), UFUNCS[name].reduce(source, 1).view("u2"))


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *(("max", "c8"), ("all", "c8"), ("mean", "i4"), ("sum", "m8[s]"), ("sum", "O"), ("max", ">f4"), ("max", "g")),
        *(("std", "f4"), ("max", "S3"), ("max", "i4,i4")),
    ],
)
def test_no_kernel_for_unsupported_reductions(name, dtype):
    dtype = np.dtype(dtype)
    assert why_not(name, dtype) == f"no kernel computes {name} of {dtype}" or dtype.hasobject
    assert filling(name, (3, 4), (4 * dtype.itemsize, dtype.itemsize), 1, (8,), dtype) is None
