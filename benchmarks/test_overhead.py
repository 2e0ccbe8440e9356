"""Tests of `benchmarks.overhead_cases`: all variants of a case agree; and their times, with pytest-benchmark.

``pytest benchmarks`` compares the results, ``pytest benchmarks --benchmark-only`` the times, a group for each case.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.overhead_cases import OVERHEAD_CASES, VARIANTS, OverheadCase

every_case = pytest.mark.parametrize("case", OVERHEAD_CASES, ids=lambda case: case.name)


def check_result(case: OverheadCase, result: object) -> None:
    """Raise an error if a result has another type, element type or value than that of the native call."""
    native = case.make_function("native")()
    assert type(result) is type(native)
    assert result.dtype == native.dtype
    np.testing.assert_allclose(np.asarray(result), np.asarray(native), rtol=1e-6, strict=True)


@every_case
def test_all_variants_agree(case):
    for variant in VARIANTS:
        check_result(case, case.make_function(variant)())


@every_case
@pytest.mark.parametrize("variant", VARIANTS)
def test_benchmark_of_a_variant(benchmark, case, variant):
    benchmark.group = case.name
    check_result(case, benchmark(case.make_function(variant)))
