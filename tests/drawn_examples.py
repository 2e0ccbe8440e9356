"""The number of examples that the property tests of hidden kinds of faults draw."""

from __future__ import annotations

import os


def example_count(default: int) -> int:
    """Return ``PLAIT_EXAMPLES`` if it is set, which long runs do, and ``default`` else."""
    return int(os.environ.get("PLAIT_EXAMPLES", default))
