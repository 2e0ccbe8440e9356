"""What the tests of frameworks share: cases that no framework of a run is for, and the record of what was tested."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config, items):
    """Cases that no framework of this run is for leave the list; they are no skips, since nothing is left out."""
    empty = [item for item in items if "NOTSET" in item.name]
    items[:] = [item for item in items if "NOTSET" not in item.name]
    config.hook.pytest_deselected(items=empty)


@pytest.fixture(autouse=True)
def _named(request):
    """Tell the record which framework a test is about."""
    if "framework" in request.fixturenames:
        request.node.user_properties.append(("framework", str(request.getfixturevalue("framework"))))
