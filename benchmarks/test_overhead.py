"""The cases of `benchmarks.cases`: that all variants agree, and what each costs.

``pytest benchmarks`` compares the results, ``pytest benchmarks --benchmark-only`` the times, a group for each case.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.cases import CASES, VARIANTS, Case

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def check(case: Case, result: object) -> None:
    """A result is of the right framework, and holds what the native call gives."""
    native = case.function("native")()
    assert type(result) is type(native)
    assert result.dtype == native.dtype
    np.testing.assert_allclose(np.asarray(result), np.asarray(native), rtol=1e-6, strict=True)


@every_case
def test_that_all_variants_agree(case):
    for variant in VARIANTS:
        check(case, case.function(variant)())


@every_case
@pytest.mark.parametrize("variant", VARIANTS)
def test_time(benchmark, case, variant):
    benchmark.group = case.name
    check(case, benchmark(case.function(variant)))
