"""What all tests share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("weft", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("weft")


@pytest.fixture(autouse=True)
def _a_fresh_cache():
    import weft

    weft.cache_clear()
