"""The accuracy of sums by kernels against `math.fsum`, and their independence of the number of threads."""

from __future__ import annotations

import math
from time import sleep

import numpy as np
import pytest

pytest.importorskip("numba")

from kernels.array_layouts import run_kernel
from plait.backends.kernels import set_threads, threads
from plait.backends.kernels.lanes import lost
from plait.backends.kernels.threads import shared

TERMS_FUNCTIONS = {
    "one and many tiny": lambda n: np.where(np.arange(n) == 0, 1.0, 2.0**-30),
    "large ones that cancel": lambda n: np.where(np.arange(n) % 2, -1e7, 1e7) + np.sin(np.arange(n)),
    "all alike": lambda n: np.full(n, 0.1),
    "random": lambda n: (
        np.random.default_rng(0).standard_normal(n) * 10.0 ** np.random.default_rng(1).integers(-9, 9, n)
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("values", TERMS_FUNCTIONS)
@pytest.mark.parametrize("columns", [1, 3, 64])
def test_kernel_sum_is_as_accurate_as_numpy(values, dtype, columns):
    source = np.stack([TERMS_FUNCTIONS[values](100_001)] * columns, 1).astype(dtype).T
    exact = math.fsum(source[0].tolist())
    error = abs(float(run_kernel("sum", source, 1)[0]) - exact)
    theirs = abs(float(np.add.reduce(np.ascontiguousarray(source), 1)[0]) - exact)
    last = float(np.spacing(np.asarray(abs(exact), dtype)))
    assert error <= max(theirs, last)


@pytest.mark.parametrize("length", [2, 3, 4, 5, 6, 9, 12, 18, 48, 96])
@pytest.mark.parametrize("inner", [1, 3, 20])
def test_sum_of_short_rows_is_accurate(length, inner):
    random = np.random.default_rng(length)
    source = random.standard_normal((200, length, inner)) * 10.0 ** random.integers(-9, 9, (200, length, inner))
    source[:, -1] -= source[:, :-1].sum(1)  # so that the sum consists of rounding errors
    found = run_kernel("sum", source.transpose(0, 2, 1), 1)
    exact = [[math.fsum(row.tolist()) for row in rows.T] for rows in source]
    np.testing.assert_allclose(found, exact, rtol=1e-9)


def test_all_threads_finish_after_an_error():
    written = []

    def kernel(start, stop):
        if not start:
            raise KeyboardInterrupt
        sleep(0.2)
        written.append((start, stop))

    set_threads(2)
    try:
        with pytest.raises(KeyboardInterrupt):
            shared(kernel, (), 10, 1 << 24)
        assert written == [(5, 10)]
    finally:
        set_threads(None)


def test_sums_of_zeros_and_infinities():
    minus = np.full((3, 40), -0.0)
    assert np.signbit(run_kernel("sum", minus, 1)).all()
    source = np.array([[np.inf, 1.0], [-np.inf, np.inf], [np.nan, 1.0], [1e308, 1e308]])
    assert repr(run_kernel("sum", source, 1).tolist()) == "[inf, nan, nan, inf]"


def test_mean_is_rounded_once():
    source = np.full((2, 3), 0.1, "f4")
    assert run_kernel("mean", source, 1).tolist() == [float(np.float32(0.1))] * 2


@pytest.fixture
def _restore_threads():
    """Restore the default number of threads after a test."""
    yield
    set_threads(None)


@pytest.mark.usefixtures("_restore_threads")
@pytest.mark.parametrize("name", [None, "sum", "max"])
def test_result_is_independent_of_threads(name):
    source = np.random.default_rng(0).standard_normal((8, 500, 700), np.float32)
    results = []
    for count in (1, 2, 3):
        set_threads(count)
        assert threads() == count
        results.append(run_kernel(name, source.transpose(0, 2, 1), 0 if name is None else 1).tobytes())
    assert len({*results}) == 1


def test_lost_returns_the_rounding_error_of_an_addition():
    assert lost(1.0, 2.0**-60) == 2.0**-60
    assert lost(1e16, 1.0) + (1e16 + 1.0 - 1e16) == 1.0
