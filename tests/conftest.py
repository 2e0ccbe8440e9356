"""Options, checks and fixtures of all tests."""

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
    """Fail if a package in ``PLAIT_REQUIRED`` is missing, since its tests would be skipped without notice."""
    required = filter(None, os.environ.get("PLAIT_REQUIRED", "").split(","))
    missing = [name for name in required if importlib.util.find_spec(name) is None]
    if missing:
        raise pytest.UsageError(f"not installed: {', '.join(missing)}")
    if config.getoption("record"):
        from record import ConformanceRecorder

        config.pluginmanager.register(ConformanceRecorder(config.getoption("record")))


@pytest.fixture(autouse=True)
def _clear_caches():
    """Start each test with empty caches of plait, as a process that has not used ``max_rank``."""
    import plait
    from plait._caches import forget_callables
    from plait._executor import options

    plait.cache_clear()
    if options._MAX_RANK_USES:
        options._MAX_RANK_USES.clear()
        forget_callables()


@pytest.fixture
def without_kernels(monkeypatch):
    """Compute without the package plait-kernels: such a test is about schedules, which kernels replace."""
    monkeypatch.setenv("PLAIT_KERNELS", "off")


@pytest.fixture(autouse=True)
def _disable_x64_for_layers(request):
    """Test layers with JAX's default of 32 bits; the tests of the backends switch to 64 bits."""
    jax = sys.modules.get("jax")
    if jax is None or not {"layers", "layers_by_framework", "test_digits.py"} & {*request.path.parts}:
        yield
        return
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", False)
    yield
    jax.config.update("jax_enable_x64", before)
