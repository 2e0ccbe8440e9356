"""weft's own calls by kernels: what they give is what NumPy gives, and nothing waits for them."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest

import weft
from kernels.views import ready
from weft.backends.registry import backend_of

CALLS = {
    "b c (h 2) (w 2) -> b c h w": ("max", {}),
    "b c (h 4) (w 2) -> w (b h) c": ("sum", {}),
    "b c h w -> (w b)": ("mean", {}),
    "b c h w -> c": ("min", {}),
    "b c h w -> b (h w c)": (None, {}),
    "b c h w -> (w h c b)": (None, {}),
    "b c (h p) (w q) -> b (h w) (p q c)": (None, {"p": 4, "q": 2}),
    "b c h w -> b c (h 2) (w 2)": ("repeat", {}),
}


@contextmanager
def by_kernels():
    """Kernels serve arrays of any size, and are ready when they are asked for."""
    backend = backend_of(np.ndarray)
    kept = backend.passes
    backend.passes = kept._replace(least=1, worth=1, kernel=lambda *task: ready(kept.kernel(*task)))
    weft.cache_clear()
    try:
        yield
    finally:
        backend.passes = kept
        weft.cache_clear()


def call(array, pattern):
    name, sizes = CALLS[pattern]
    if name == "repeat":
        return weft.repeat(array, pattern, **sizes)
    return weft.rearrange(array, pattern, **sizes) if name is None else weft.reduce(array, pattern, name, **sizes)


@pytest.mark.parametrize("pattern", CALLS)
@pytest.mark.parametrize("layout", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 2, 1, 0)])
def test_a_call_by_a_kernel_gives_what_numpy_gives(pattern, layout):
    array = np.random.default_rng(3).integers(-9, 9, (3, 4, 8, 6)).astype(np.float32)
    array = np.ascontiguousarray(array.transpose(layout)).transpose(np.argsort(layout))[::-1]
    expected = call(array, pattern)
    with by_kernels():
        found = call(array, pattern)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype


def test_the_kernel_is_asked_for_by_the_second_call():
    code = (
        "import numpy as np, weft\n"
        "from weft.backends.kernels.state import kernel\n"
        "x = np.ones((64, 64, 64), np.float32)\n"
        "for _ in range(2):\n"
        "    weft.reduce(x, 'a (b 2) (c 2) -> a b c', 'max')\n"
        "    print(kernel('max float32').asked)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]
    assert not run.stderr
