"""The calls of `benchmarks.reuse` give the same results."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.reuse import CONSTANTS_CASES, SHARING_CASES, build_constants_calls, build_sharing_calls


@pytest.mark.parametrize("case", CONSTANTS_CASES, ids=lambda case: case.name)
def test_calls_with_constants_agree(case):
    calls = build_constants_calls(case)
    expected = calls["opt_einsum"]()
    for call in calls.values():
        np.testing.assert_allclose(call(), expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("case", SHARING_CASES, ids=lambda case: case.name)
def test_calls_that_share_agree(case):
    calls = build_sharing_calls(case)
    expected = calls["opt_einsum"]()
    for call in calls.values():
        for result, other in zip(call(), expected, strict=True):
            np.testing.assert_allclose(result, other, rtol=1e-8, atol=1e-8 * np.abs(other).max())
