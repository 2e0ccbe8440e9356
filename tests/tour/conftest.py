"""Fixtures for the tests of the tour, which is run once on small parts of the photographs."""

from __future__ import annotations

import pytest

from plait._tour import missing_packages

if missing_packages():  # skip these tests without the optional packages
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def cropped_photographs():
    from plait._tour.pictures import load_photographs

    return {name: image[96:192, 96:224].copy() for name, image in load_photographs().items()}


@pytest.fixture(scope="session")
def tour_run(cropped_photographs):
    """The result of each step; and by name, the photographs and the results of all steps."""
    from plait._tour.runner import run_steps
    from plait._tour.steps import STEPS

    value_by_name = dict(cropped_photographs)
    return list(run_steps(STEPS, value_by_name)), value_by_name


@pytest.fixture(scope="session")
def step_results(tour_run):
    return tour_run[0]


@pytest.fixture(scope="session")
def value_by_name(tour_run):
    return tour_run[1]
