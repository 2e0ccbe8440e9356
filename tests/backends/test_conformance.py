"""The conformance suite on every framework of the run."""

from __future__ import annotations

import pytest

from backends.frameworks import parameters
from plait.testing import BackendTests


class TestConformance(BackendTests):
    @pytest.fixture(name="framework", params=parameters())
    def framework_under_test(self, request):
        return request.param
