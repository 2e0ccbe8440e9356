"""Reductions of PyTorch's unsigned integers of more than 8 bits, for which it has few functions."""

from __future__ import annotations

import numpy as np
import pytest

import plait

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("shape", [(4, 6), (300, 300), (40, 2000)])
@pytest.mark.parametrize("reduction", ["min", "max", "sum", "prod"])
@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64"])
def test_reductions_equal_those_of_numpy(dtype, reduction, shape, kernels):
    if not hasattr(torch, dtype):
        pytest.skip("PyTorch has these types from 2.3 on")
    array = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype)
    for pattern in ("a b -> a", "a b -> b", "a b ->", "a (b 2) -> a b"):
        expected = plait.reduce(array, pattern, reduction)
        with plait.options(kernels=kernels):
            found = plait.reduce(torch.from_numpy(array), pattern, reduction)
        np.testing.assert_array_equal(found.numpy().astype(np.uint64), np.asarray(expected).astype(np.uint64))
