"""Hooks for the tests of frameworks: deselect cases without a framework, and record the framework of each test."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config, items):
    """Deselect the cases that no framework of this run is for, which pytest would otherwise skip."""
    empty = [item for item in items if "NOTSET" in item.name]
    items[:] = [item for item in items if "NOTSET" not in item.name]
    config.hook.pytest_deselected(items=empty)


@pytest.fixture(autouse=True)
def _record_framework_name(request):
    """Record the framework of a test in its properties, for `tests/record.py`."""
    if "framework" in request.fixturenames:
        request.node.user_properties.append(("framework", str(request.getfixturevalue("framework"))))
