"""A fixture that records the class of arrays of each test, and what the class refuses."""

from __future__ import annotations

import pytest


@pytest.fixture
def record_refusal(record_property):
    """A function ``f(operation, code)`` that records the error for what a class of arrays does not define."""
    return lambda operation, code: record_property("refusal", (operation, code))


@pytest.fixture(autouse=True)
def _record_array_class(request):
    """Record the class of arrays of a test in its properties, for `tests/record.py`."""
    if "cls" in request.fixturenames:
        request.node.user_properties.append(("array_class", str(request.getfixturevalue("cls"))))
