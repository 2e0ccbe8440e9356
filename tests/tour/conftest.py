"""The tour, run once on small pieces of the photographs, for all the tests of this folder."""

from __future__ import annotations

import pytest

from plait._tour import missing_packages

if missing_packages():  # the tests of the core run without the extra
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def small():
    from plait._tour.pictures import photographs

    return {name: image[96:192, 96:224].copy() for name, image in photographs().items()}


@pytest.fixture(scope="session")
def toured(small):
    """The steps that have run; and by name the photographs, and the results of all steps."""
    from plait._tour.runner import run
    from plait._tour.steps import STEPS

    results = dict(small)
    return list(run(STEPS, results)), results


@pytest.fixture(scope="session")
def done(toured):
    return toured[0]


@pytest.fixture(scope="session")
def made(toured):
    return toured[1]
