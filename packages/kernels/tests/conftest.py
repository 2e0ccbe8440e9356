"""Options and fixtures of the tests of the C library."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("plait", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("plait")


@pytest.fixture(autouse=True)
def _restore_library():
    """Run each test with the instruction set and the number of threads that the library selects."""
    from calls import INSTRUCTION_SETS, LIBRARY

    LIBRARY.set_instruction_set(INSTRUCTION_SETS[-1])
    LIBRARY.set_threads(0)
