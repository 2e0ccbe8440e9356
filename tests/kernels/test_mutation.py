"""Kernels with a deliberate fault must fail the tests."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from kernels import array_layouts, test_copies, test_reductions


@pytest.mark.parametrize("fault", [lambda out: out.fill(0), lambda out: out.flat.__setitem__(-1, 7)])
def test_broken_kernel_is_detected(fault, monkeypatch):
    run_kernel = array_layouts.run_kernel

    def broken(*arguments):
        out = run_kernel(*arguments)
        fault(out)
        return out

    for module in (test_copies, test_reductions):
        monkeypatch.setattr(module, "run_kernel", broken)
    with pytest.raises(AssertionError):
        test_copies.assert_copy_equals_numpy(np.arange(1, 13, dtype="f4").reshape(3, 4).T, np.zeros((4, 3), "f4"))
    with pytest.raises(AssertionError):
        test_reductions.assert_reduction_equals_numpy("max", "float32", ([4, 5], [1, 0], [1, 1], [0, 0]), 1, 0)
