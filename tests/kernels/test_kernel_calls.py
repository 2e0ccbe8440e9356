"""Calls of plait that use kernels equal NumPy, and do not wait for compilation."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plait
from kernels.array_layouts import array_with_layout, filler_with_compiled_kernel, layouts
from plait._executor.large.kernels import build_timed_choice
from plait.backends.registry import backend_for_type

OPERATION_AND_SIZES_BY_PATTERN = {
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
def use_kernels_for_all_arrays():
    """Use kernels for arrays of any size, compiled at once."""
    plait.cache_clear()  # it also clears the cached backends
    backend = backend_for_type(np.ndarray)
    kept = backend.large_tensors
    ops = kept.load()
    by_kernels = ops._replace(
        min_kernel_elements=1, build_kernel=lambda *task: filler_with_compiled_kernel(ops.build_kernel(*task))
    )
    backend.large_tensors = kept._replace(
        load=lambda: by_kernels, min_elements=1, min_elements_if_rounding=1, eager_elements=1
    )
    try:
        yield
    finally:
        backend.large_tensors = kept
        plait.cache_clear()


def call_plait(array, pattern):
    """Call the operation of this pattern."""
    name, sizes = OPERATION_AND_SIZES_BY_PATTERN[pattern]
    if name == "repeat":
        return plait.repeat(array, pattern, **sizes)
    return plait.rearrange(array, pattern, **sizes) if name is None else plait.reduce(array, pattern, name, **sizes)


@pytest.mark.parametrize("pattern", OPERATION_AND_SIZES_BY_PATTERN)
@pytest.mark.parametrize("layout", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 2, 1, 0)])
def test_call_with_a_kernel_equals_numpy(pattern, layout):
    array = np.random.default_rng(3).integers(-9, 9, (3, 4, 8, 6)).astype(np.float32)
    array = np.ascontiguousarray(array.transpose(layout)).transpose(np.argsort(layout))[::-1]
    expected = call_plait(array, pattern)
    with (
        use_kernels_for_all_arrays(),
        mock.patch("plait._executor.large.kernels.TIMED_CALLS_PER_FUNCTION", 0),
    ):  # the kernel from the first call
        found = call_plait(array, pattern)
    np.testing.assert_array_equal(found, expected)
    assert (found.dtype, found.strides) == (expected.dtype, expected.strides)


@settings(max_examples=40, deadline=None)
@given(layouts(4), st.data())
def test_result_of_a_kernel_has_the_strides_of_the_plain_call(layout, data):
    array = array_with_layout(np.arange(4000, dtype=np.float32), layout)
    names = [f"a{axis}" for axis in range(array.ndim)]
    kept = data.draw(st.permutations(names))[: data.draw(st.integers(0, array.ndim))]
    pattern = f"{' '.join(names)} -> {' '.join(kept)}"
    expected = plait.reduce(array, pattern, "max")
    with use_kernels_for_all_arrays(), mock.patch("plait._executor.large.kernels.TIMED_CALLS_PER_FUNCTION", 0):
        found = plait.reduce(array, pattern, "max")
    np.testing.assert_array_equal(found, expected)
    assert found.strides == expected.strides


@pytest.mark.parametrize("pattern", OPERATION_AND_SIZES_BY_PATTERN)
def test_kernel_is_used_for_its_own_layout_only(pattern):
    """The cache of calls knows shapes only, but a kernel is compiled for strides."""
    array = np.random.default_rng(3).integers(-9, 9, (4, 4, 8, 8)).astype(np.float32)
    turned = np.ascontiguousarray(array.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0)
    expected = call_plait(array, pattern)
    with use_kernels_for_all_arrays(), mock.patch("plait._executor.large.kernels.TIMED_CALLS_PER_FUNCTION", 0):
        for each in (array, turned, array[::-1][::-1], turned, array):
            np.testing.assert_array_equal(call_plait(each, pattern), expected)


def test_second_call_requests_the_kernel():
    code = (
        "import numpy as np, plait\n"
        "from plait.backends.kernels.state import kernel\n"
        "x = np.ones((64, 64, 64), np.float32)\n"
        "for _ in range(2):\n"
        "    plait.reduce(x, 'a (b 2) (c 2) -> a b c', 'max')\n"
        "    print(kernel('max float32').asked)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]
    assert not run.stderr


@pytest.mark.parametrize("kernel_is_faster", [True, False])
def test_faster_of_kernel_and_fallback_is_kept(kernel_is_faster):
    """Both are timed in their first calls after the kernel is compiled."""
    now, made = [0.0], []

    class Filler:
        compile_kernel = None

        def start(self):
            made.append("asked")

    def way(name, seconds):
        def run(tensor, _):
            made.append(name)
            now[0] += seconds
            return tensor

        return run

    filler = Filler()
    with mock.patch("plait._executor.large.kernels.perf_counter", side_effect=lambda: now[0]):
        run = build_timed_choice(way("plan", 2.0), way("kernel", 1.0 if kernel_is_faster else 3.0), filler)
        for number in range(12):
            filler.ready = number >= 4 or None
            assert run(number, None) == number
    assert made[:6] == ["plan", "asked", "plan", "asked", "plan", "asked"]
    assert [name for name in made if name != "asked"] == [
        *["plan"] * 4,
        *["kernel"] * 3,
        *["kernel" if kernel_is_faster else "plan"] * 5,
    ]
