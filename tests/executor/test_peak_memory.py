"""The peak memory of large calls.

A reduction needs at most the memory of its input and two results, a copy only that of its result.
"""

from __future__ import annotations

import tracemalloc

import pytest

import plait

np = pytest.importorskip("numpy")

pytestmark = pytest.mark.usefixtures("without_kernels")

ALLOWED_OVERHEAD_BYTES = 1 << 16
"""The bytes that Python objects and NumPy buffers may take in addition."""

BLOCK_BYTES = 1 << 20
"""The bytes of a block in the default costs."""

SHAPE_BY_REDUCTION_PATTERN = {
    "b c (h 2) (w 2) -> b c h w": (4, 8, 128, 128),
    "b c (h 16) (w 16) -> b c h w": (4, 8, 128, 128),
    "b c (h 16) (w 16) -> (w b) (h c)": (4, 8, 128, 128),
    "b (h 2) (w 2) c -> b h w c": (8, 128, 128, 3),
    "b c h w -> b w": (4, 8, 128, 128),
    "b c h w -> c w": (4, 8, 128, 128),
    "b c h w -> w": (4, 8, 128, 128),
}
SHAPE_BY_TWO_PASS_PATTERN = {
    **SHAPE_BY_REDUCTION_PATTERN,
    "b c h w ->": (4, 8, 128, 128),
    "b c h w -> c": (4, 8, 128, 128),
    "b c h w -> c h w": (4, 8, 128, 128),
    "b h w c -> c": (8, 128, 128, 3),
    "p c -> c": (2, 1 << 18),
    "c p -> c": (1 << 17, 2),
}
SHAPE_BY_COPY_PATTERN = {
    "b c h w -> b (h w c)": (4, 32, 64, 64),
    "b c h w -> (w h c b)": (4, 32, 64, 64),
    "b (h c) w -> (b w) c h": (4, 64, 128),
}


def run_and_measure_peak_bytes(call):
    """Return the result of a call, and the largest number of bytes allocated during it."""
    call()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        result = call()
        return result, tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "complex64"])
@pytest.mark.parametrize("pattern", SHAPE_BY_REDUCTION_PATTERN)
def test_reduction_needs_memory_of_its_input_and_two_results(pattern, dtype):
    array = np.ones((8 * SHAPE_BY_REDUCTION_PATTERN[pattern][0], *SHAPE_BY_REDUCTION_PATTERN[pattern][1:]), dtype)
    result, most = run_and_measure_peak_bytes(lambda: plait.reduce(array, pattern, "sum"))
    assert most < 2 * result.nbytes + array.nbytes + ALLOWED_OVERHEAD_BYTES


@pytest.mark.parametrize("pattern", SHAPE_BY_REDUCTION_PATTERN)
@pytest.mark.parametrize("name", ["max", "mean"])
def test_blocked_reduction_needs_half_its_input_and_two_results(pattern, name):
    array = np.ones((8 * SHAPE_BY_REDUCTION_PATTERN[pattern][0], *SHAPE_BY_REDUCTION_PATTERN[pattern][1:]), np.float64)
    result, most = run_and_measure_peak_bytes(lambda: plait.reduce(array, pattern, name))
    assert most < 2 * result.nbytes + array.nbytes / 2 + ALLOWED_OVERHEAD_BYTES


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", ">f4", "complex64"])
@pytest.mark.parametrize("pattern", SHAPE_BY_TWO_PASS_PATTERN)
@pytest.mark.parametrize("name", ["var", "std", "logsumexp"])
def test_two_pass_reduction_needs_less_memory_than_a_copy_of_its_input(name, pattern, dtype):
    if name == "logsumexp" and dtype == "complex64":
        return
    shape = SHAPE_BY_TWO_PASS_PATTERN[pattern]
    array = np.ones(
        (shape[0], *shape[1:-1], 16 * shape[-1]) if pattern[0] == "p" else (16 * shape[0], *shape[1:]), dtype
    )
    result, most = run_and_measure_peak_bytes(lambda: plait.reduce(array, pattern, name))
    assert most < 2 * result.nbytes + array.nbytes / 2 + 3 * BLOCK_BYTES + ALLOWED_OVERHEAD_BYTES
    assert most < result.nbytes + array.nbytes


@pytest.mark.parametrize("pattern", SHAPE_BY_COPY_PATTERN)
def test_copy_needs_memory_of_its_result_only(pattern):
    array = np.ones(SHAPE_BY_COPY_PATTERN[pattern], np.float32)
    sizes = {"h": 8} if "(h c)" in pattern else {}
    result, most = run_and_measure_peak_bytes(lambda: plait.rearrange(array, pattern, **sizes))
    assert most < result.nbytes + ALLOWED_OVERHEAD_BYTES
