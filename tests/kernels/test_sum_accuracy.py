"""The accuracy of sums by kernels against `math.fsum`, and their independence of the number of threads."""

from __future__ import annotations

import math

import numpy as np
import pytest

import plait
from kernels.kernel_cases import kernels_for_all_sizes

plait_kernels = pytest.importorskip("plait_kernels")

TERMS_FUNCTIONS = {
    "one and many tiny": lambda n: np.where(np.arange(n) == 0, 1.0, 2.0**-30),
    "large ones that cancel": lambda n: np.where(np.arange(n) % 2, -1e7, 1e7) + np.sin(np.arange(n)),
    "all alike": lambda n: np.full(n, 0.1),
    "random": lambda n: (
        np.random.default_rng(0).standard_normal(n) * 10.0 ** np.random.default_rng(1).integers(-9, 9, n)
    ),
}


@pytest.fixture(params=["numpy", "torch"])
def to_tensor(request):
    """The function that makes a tensor of an array of NumPy, which keeps its strides."""
    module = pytest.importorskip(request.param)
    return np.asarray if request.param == "numpy" else module.from_numpy


@pytest.fixture(autouse=True)
def filled_by_kernels():
    """Use kernels for tensors of every size, and check that a kernel ran."""
    with kernels_for_all_sizes() as results:
        yield
        assert results


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("values", TERMS_FUNCTIONS)
@pytest.mark.parametrize("columns", [1, 3, 64])
def test_kernel_sum_is_as_accurate_as_numpy(values, dtype, columns, to_tensor):
    source = np.stack([TERMS_FUNCTIONS[values](100_001)] * columns, 1).astype(dtype)
    exact = math.fsum(source[:, 0].tolist())
    error = abs(float(plait.reduce(to_tensor(source), "a b -> b", "sum")[0]) - exact)
    numpy_error = abs(float(np.add.reduce(np.ascontiguousarray(source.T), 1)[0]) - exact)
    last = float(np.spacing(np.asarray(abs(exact), dtype)))
    assert error <= max(numpy_error, last)


@pytest.mark.parametrize("length", [2, 3, 4, 5, 6, 9, 12, 18, 48, 96])
@pytest.mark.parametrize("inner", [1, 3, 20])
def test_sum_of_short_rows_is_accurate(length, inner, to_tensor):
    random = np.random.default_rng(length)
    source = random.standard_normal((200, length, inner)) * 10.0 ** random.integers(-9, 9, (200, length, inner))
    source[:, -1] -= source[:, :-1].sum(1)  # so that the sum consists of rounding errors
    found = np.asarray(plait.reduce(to_tensor(source), "a b c -> a c", "sum"))
    exact = [[math.fsum(row.tolist()) for row in rows.T] for rows in source]
    np.testing.assert_allclose(found, exact, rtol=1e-9)


def test_sums_of_zeros_and_infinities(to_tensor):
    minus = to_tensor(np.full((3, 40), -0.0))
    with plait.options(kernels=False):
        expected = np.signbit(np.asarray(plait.reduce(minus, "a b -> a", "sum")))
    np.testing.assert_array_equal(np.signbit(np.asarray(plait.reduce(minus, "a b -> a", "sum"))), expected)
    source = to_tensor(np.array([[np.inf, 1.0], [-np.inf, np.inf], [np.nan, 1.0], [1e308, 1e308]]))
    assert repr(plait.reduce(source, "a b -> a", "sum").tolist()) == "[inf, nan, nan, inf]"


def test_mean_is_rounded_once(to_tensor):
    source = to_tensor(np.full((2, 3), 0.1, "f4"))
    assert plait.reduce(source, "a b -> a", "mean").tolist() == [float(np.float32(0.1))] * 2


def test_variance_of_noise_around_a_large_number(to_tensor):
    """The mean is subtracted before squares are taken, so that the digits of the noise remain."""
    noise = np.random.default_rng(0).standard_normal((40_000, 5))
    source = 1e8 + noise
    exact = source.astype(np.longdouble).var(0)
    for reduction, expected in (("var", exact), ("std", np.sqrt(exact))):
        found = np.asarray(plait.reduce(to_tensor(source), "a b -> b", reduction))
        np.testing.assert_allclose(found, expected.astype(float), rtol=1e-12)


@pytest.fixture
def set_threads():
    """The function that sets the number of threads; the default is restored after the test."""
    library = plait_kernels.load()
    yield library.set_threads
    library.set_threads(0)


@pytest.mark.parametrize("reduction", [None, "sum", "max", "mean", "var", "logsumexp"])
@pytest.mark.parametrize("pattern", ["a b c -> a c", "a b c -> b", "a b c ->"])
def test_result_is_independent_of_threads(reduction, pattern, to_tensor, set_threads):
    source = to_tensor(np.random.default_rng(0).standard_normal((8, 500, 700), np.float32))
    results = []
    for count in (1, 2, 3, 7):
        set_threads(count)
        if reduction is None:
            result = plait.rearrange(source, "a b c -> c (b a)")
        else:
            result = plait.reduce(source, pattern, reduction)
        results.append(np.asarray(result).tobytes())
    assert len({*results}) == 1
