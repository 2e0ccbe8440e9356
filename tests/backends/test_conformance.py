"""The conformance suite on every framework of the run."""

from __future__ import annotations

import pytest

from backends.frameworks import framework_parameters
from plait.testing import BackendTests


class TestConformance(BackendTests):
    @pytest.fixture(name="framework", params=framework_parameters())
    def framework_under_test(self, request):
        return request.param
