"""What `plait.cache_clear` empties: whoever remembers something for later calls adds a function here."""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would take longer than the rest of `import plait`
if TYPE_CHECKING:
    from collections.abc import Callable

FORGET: list[Callable[[], None]] = []
"""Each empties one memory."""
