"""Copies by kernels equal those of NumPy bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.array_layouts import COPY_DTYPES, array_with_layout, layouts, run_kernel
from plait.backends.kernels import filling
from plait.backends.kernels.copying import PARTS
from plait.backends.kernels.tiles import _whole


def assert_copy_equals_numpy(source, out):
    """Check that the kernel writes what NumPy would."""
    run_kernel(None, source, 0, out)
    assert out.tobytes() == np.ascontiguousarray(source).tobytes()


@pytest.mark.parametrize("dtype", ["uint8", "float32", "S3", pytest.param("i4,f8,S3", marks=pytest.mark.slow)])
@given(layout=layouts(), order=st.randoms())
@settings(max_examples=150)
def test_copy_of_any_layout_equals_numpy(dtype, layout, order):
    raw = np.frombuffer(np.random.default_rng(0).bytes(5000 * np.dtype(dtype).itemsize), dtype)
    source = array_with_layout(raw, layout)
    axes = [*range(source.ndim)]
    order.shuffle(axes)
    out = np.zeros([source.shape[axis] for axis in axes], dtype).transpose(np.argsort(axes))
    assert_copy_equals_numpy(source, out)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", COPY_DTYPES)
@pytest.mark.parametrize("shape", [(2, 70, 300), (3, 1000, 5), (300, 4, 70), (129, 17, 33)])
def test_copy_of_every_dtype_and_order(dtype, shape):
    raw = np.frombuffer(np.random.default_rng(1).bytes(5000 * np.dtype(dtype).itemsize), dtype)
    source = np.resize(raw, shape)
    for axes in [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]:
        turned = source.transpose(axes)
        assert_copy_equals_numpy(turned, np.zeros(turned.shape, dtype))
        assert_copy_equals_numpy(turned[::-1, 1:, ::2], np.zeros(turned[::-1, 1:, ::2].shape, dtype))


@pytest.mark.parametrize("dtype", ["u1", "f2", "f4", "f8", "c16"])
@pytest.mark.parametrize("parts", [2, 3, 4, 5, 7, 8, 12, 15])
def test_copy_of_interleaved_channels_equals_numpy(dtype, parts):
    values = np.frombuffer(np.random.default_rng(2).bytes(2 * 37 * 48 * parts * np.dtype(dtype).itemsize), dtype)
    last, first = values.reshape(2, 37, 48, parts), values.reshape(2, parts, 37, 48)
    for picture in (last, last[:, :, :47], last[:, 1:], last[::-1, ::-1]):
        assert_copy_equals_numpy(picture.transpose(0, 3, 1, 2), np.zeros((2, parts, *picture.shape[1:3]), dtype))
    for picture in (first, first[..., :47], first[:, ::-1], first[:, :, ::2]):
        assert_copy_equals_numpy(picture.transpose(0, 2, 3, 1), np.zeros((2, *picture.shape[2:], parts), dtype))
    patches = first.reshape(2, parts, 37, 3, 16).transpose(0, 3, 2, 4, 1)
    assert_copy_equals_numpy(patches, np.zeros(patches.shape, dtype))


@pytest.mark.parametrize("side", [2, 4, 8, 16])
def test_vectorized_part_of_a_row_stays_in_bounds(side):
    for parts in range(2, max(PARTS, side - 1) + 1):
        for count in range(100):
            whole = _whole(count, side, parts)
            reach = (whole - 1) * parts + (side if parts > PARTS else parts)
            assert whole % side == 0 <= whole <= count
            assert not whole or reach <= count * parts


@pytest.mark.parametrize("dtype", ["u1", "f2", "f4", "f8"])
@pytest.mark.parametrize("shape", [(16, 40, 5, 33), (17, 70, 3, 16), (18, 3, 300, 20)])
def test_copy_in_tiles_with_trailing_axes_equals_numpy(dtype, shape):
    values = np.frombuffer(np.random.default_rng(3).bytes(400_000 * np.dtype(dtype).itemsize), dtype)
    source = np.resize(values, shape)
    for axes in [(3, 2, 1, 0), (2, 3, 1, 0), (1, 2, 3, 0), (2, 1, 3, 0)]:
        turned = source.transpose(axes)
        assert_copy_equals_numpy(turned, np.zeros(turned.shape, dtype))
        assert_copy_equals_numpy(turned[1:, :, ::-1], np.zeros(turned[1:].shape, dtype))


def test_copy_into_any_output_layout():
    source = np.arange(6 * 50 * 70, dtype="f4").reshape(6, 50, 70)
    out = np.zeros((140, 50, 12), "f4")
    assert_copy_equals_numpy(source.transpose(2, 1, 0), out[::-2, ::-1, ::2])
    assert not out[:, :, 1::2].any()


def test_copy_of_unaligned_arrays():
    raw = np.frombuffer(bytes(range(256)) * 100, np.uint8)[1:]
    source = raw[: 40 * 30 * 8].view("f8").reshape(40, 30)
    assert not source.flags.aligned
    assert_copy_equals_numpy(source.T, np.zeros((30, 40)))


@pytest.mark.parametrize("dtype", ["O", "i4,O", "S0"])
def test_dtypes_without_a_copy_kernel(dtype):
    assert filling(None, (3, 4), (4, 12), 0, (16, 4), np.dtype(dtype)) is None
