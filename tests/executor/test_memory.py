"""What a large call holds when it holds most: its result, and at most one intermediate smaller than the input."""

from __future__ import annotations

import tracemalloc

import pytest

import plait

np = pytest.importorskip("numpy")

OBJECTS = 1 << 16
"""Bytes of Python's objects, and of NumPy's buffers."""

BLOCK = 1 << 20
"""Bytes of a block, as the costs have it."""

REDUCTIONS = {
    "b c (h 2) (w 2) -> b c h w": (4, 8, 128, 128),
    "b c (h 16) (w 16) -> b c h w": (4, 8, 128, 128),
    "b c (h 16) (w 16) -> (w b) (h c)": (4, 8, 128, 128),
    "b (h 2) (w 2) c -> b h w c": (8, 128, 128, 3),
    "b c h w -> b w": (4, 8, 128, 128),
    "b c h w -> c w": (4, 8, 128, 128),
    "b c h w -> w": (4, 8, 128, 128),
}
CENTRED = {
    **REDUCTIONS,
    "b c h w ->": (4, 8, 128, 128),
    "b c h w -> c": (4, 8, 128, 128),
    "b c h w -> c h w": (4, 8, 128, 128),
    "b h w c -> c": (8, 128, 128, 3),
    "p c -> c": (2, 1 << 18),
    "c p -> c": (1 << 17, 2),
}
COPIES = {
    "b c h w -> b (h w c)": (4, 32, 64, 64),
    "b c h w -> (w h c b)": (4, 32, 64, 64),
    "b (h c) w -> (b w) c h": (4, 64, 128),
}


@pytest.fixture(autouse=True)
def _no_kernels(monkeypatch):
    """Otherwise memory would be traced that the thread takes which imports Numba."""
    monkeypatch.setenv("PLAIT_KERNELS", "off")
    plait.cache_clear()


def held(call):
    """The result of the second of two calls, and the bytes held beside what was there before, at most."""
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
@pytest.mark.parametrize("pattern", REDUCTIONS)
def test_a_reduction_holds_its_result_and_less_than_its_input(pattern, dtype):
    array = np.ones((8 * REDUCTIONS[pattern][0], *REDUCTIONS[pattern][1:]), dtype)
    result, most = held(lambda: plait.reduce(array, pattern, "sum"))
    assert most < 2 * result.nbytes + array.nbytes + OBJECTS


@pytest.mark.parametrize("pattern", REDUCTIONS)
@pytest.mark.parametrize("name", ["max", "mean"])
def test_what_goes_in_blocks_holds_next_to_nothing_else(pattern, name):
    array = np.ones((8 * REDUCTIONS[pattern][0], *REDUCTIONS[pattern][1:]), np.float64)
    result, most = held(lambda: plait.reduce(array, pattern, name))
    assert most < 2 * result.nbytes + array.nbytes / 2 + OBJECTS


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", ">f4", "complex64"])
@pytest.mark.parametrize("pattern", CENTRED)
@pytest.mark.parametrize("name", ["var", "std", "logsumexp"])
def test_what_has_a_centre_holds_its_result_and_a_few_blocks(name, pattern, dtype):
    if name == "logsumexp" and dtype == "complex64":
        return
    shape = CENTRED[pattern]
    array = np.ones(
        (shape[0], *shape[1:-1], 16 * shape[-1]) if pattern[0] == "p" else (16 * shape[0], *shape[1:]), dtype
    )
    result, most = held(lambda: plait.reduce(array, pattern, name))
    assert most < 2 * result.nbytes + array.nbytes / 2 + 3 * BLOCK + OBJECTS
    assert most < result.nbytes + array.nbytes


@pytest.mark.parametrize("pattern", COPIES)
def test_a_copy_holds_its_result(pattern):
    array = np.ones(COPIES[pattern], np.float32)
    sizes = {"h": 8} if "(h c)" in pattern else {}
    result, most = held(lambda: plait.rearrange(array, pattern, **sizes))
    assert most < result.nbytes + OBJECTS
