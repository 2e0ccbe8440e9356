"""What all tests share."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("plait", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("plait")


def pytest_addoption(parser) -> None:
    parser.addoption("--record", choices=["write", "check"], help="write or check docs/conformance")


def pytest_configure(config) -> None:
    """What an environment promises, in ``PLAIT_PROMISED``, may not be missing: a skip would hide it."""
    promised = filter(None, os.environ.get("PLAIT_PROMISED", "").split(","))
    missing = [name for name in promised if importlib.util.find_spec(name) is None]
    if missing:
        raise pytest.UsageError(f"not installed: {', '.join(missing)}")
    if config.getoption("record"):
        from record import Record

        config.pluginmanager.register(Record(config.getoption("record")))


@pytest.fixture(autouse=True)
def _a_fresh_cache():
    import plait

    plait.cache_clear()


@pytest.fixture(autouse=True)
def _layers_in_single_precision(request):
    """Layers and models are made as users make them; the suite of the backends has JAX count in 64 bits."""
    jax = sys.modules.get("jax")
    if jax is None or not {"layers", "layers_by_framework", "test_digits.py"} & {*request.path.parts}:
        yield
        return
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", False)
    yield
    jax.config.update("jax_enable_x64", before)
