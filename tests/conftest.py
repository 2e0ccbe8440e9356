"""What all tests share."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("weft", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("weft")


EVERYTHING = ("numpy", "torch", "array_api_strict", "ml_dtypes", "einops", "sklearn", "PIL", "rich", "jinja2", "mypy")


def pytest_configure() -> None:
    """Where all frameworks are promised, none may be missing: a skip would hide it."""
    missing = [name for name in EVERYTHING if importlib.util.find_spec(name) is None]
    if os.environ.get("WEFT_ALL_FRAMEWORKS") and missing:
        raise pytest.UsageError(f"not installed: {', '.join(missing)}")


@pytest.fixture(autouse=True)
def _a_fresh_cache():
    import weft

    weft.cache_clear()
