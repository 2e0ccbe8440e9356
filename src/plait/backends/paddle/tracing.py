"""What Paddle's tracer of bytecode is told beyond the attributes of `plait._executor.tracer_hooks`."""

from __future__ import annotations

from os import sep
from pathlib import Path


def leave_to_python() -> None:
    """Keep it from compiling plait's own frames, where it has left a call to Python.

    They are as much Python as those of Paddle itself, which it leaves alone by the same list of places.
    """
    try:
        from paddle.framework import core

        core.eval_frame_skip_file_prefix((f"{Path(__file__).parents[1]}{sep}",))
    except (ImportError, AttributeError):  # another Paddle may have no such list, and is only slower then
        pass
