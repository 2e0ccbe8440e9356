"""Hooks for the tests of frameworks: deselect cases without a framework, and record the framework of each test."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config, items):
    """Deselect the tests whose list of frameworks is empty in this run; pytest would report each of them as skipped."""
    empty = [item for item in items if "NOTSET" in item.name]
    items[:] = [item for item in items if "NOTSET" not in item.name]
    config.hook.pytest_deselected(items=empty)


@pytest.fixture(autouse=True)
def _record_framework_name(request):
    """Record the framework of a test in its properties, for `tests/record.py`."""
    if "framework" in request.fixturenames:
        request.node.user_properties.append(("framework", str(request.getfixturevalue("framework"))))
