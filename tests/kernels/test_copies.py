"""Copies, bit by bit against NumPy's own."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.views import COPIED, fill, layouts, view
from weft.backends.kernels import filling


def check(source, out):
    fill(None, source, 0, out)
    assert out.tobytes() == np.ascontiguousarray(source).tobytes()


@pytest.mark.parametrize("dtype", ["uint8", "float32", "S3", pytest.param("i4,f8,S3", marks=pytest.mark.slow)])
@given(layout=layouts(), order=st.randoms())
@settings(max_examples=150)
def test_any_layout(dtype, layout, order):
    raw = np.frombuffer(np.random.default_rng(0).bytes(5000 * np.dtype(dtype).itemsize), dtype)
    source = view(raw, layout)
    axes = [*range(source.ndim)]
    order.shuffle(axes)
    out = np.zeros([source.shape[axis] for axis in axes], dtype).transpose(np.argsort(axes))
    check(source, out)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", COPIED)
@pytest.mark.parametrize("shape", [(2, 70, 300), (3, 1000, 5), (300, 4, 70), (129, 17, 33)])
def test_every_type_in_every_order(dtype, shape):
    raw = np.frombuffer(np.random.default_rng(1).bytes(5000 * np.dtype(dtype).itemsize), dtype)
    source = np.resize(raw, shape)
    for axes in [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]:
        turned = source.transpose(axes)
        check(turned, np.zeros(turned.shape, dtype))
        check(turned[::-1, 1:, ::2], np.zeros(turned[::-1, 1:, ::2].shape, dtype))


def test_the_result_may_lie_anywhere():
    source = np.arange(6 * 50 * 70, dtype="f4").reshape(6, 50, 70)
    out = np.zeros((140, 50, 12), "f4")
    check(source.transpose(2, 1, 0), out[::-2, ::-1, ::2])
    assert not out[:, :, 1::2].any()


def test_no_alignment_is_needed():
    raw = np.frombuffer(bytes(range(256)) * 100, np.uint8)[1:]
    source = raw[: 40 * 30 * 8].view("f8").reshape(40, 30)
    assert not source.flags.aligned
    check(source.T, np.zeros((30, 40)))


@pytest.mark.parametrize("dtype", ["O", "i4,O", "S0"])
def test_what_has_no_kernel(dtype):
    assert filling(None, (3, 4), (4, 12), 0, (16, 4), np.dtype(dtype)) is None
