"""When the option ``max_rank`` was first used, after which callables obey it.

The cache keys of operations on one tensor have no options, since reading them would make each call slower. So the first
use of ``max_rank`` in a process empties the caches, and the callables that are built after it choose by the options of
each call (`plait._executor.rank_dispatch`). A process that never uses ``max_rank`` pays nothing.
"""

from __future__ import annotations

from _weakref import ref  # `weakref` would make the first call slower
from typing import Any

from plait._caches import cache_clear
from plait.errors import PlaitError, Span, make_error

_uses: list[None] = []
"""Not empty once the option has been used in this process."""

_callables_by_owner: dict[int, tuple[Any, dict[Any, Any]]] = {}
"""By the ``id`` of a compiled pattern, a weak reference to it, and the dictionary of its callables."""


def forget_when_limited(owner: object, callables: dict[Any, Any]) -> None:
    """Let the first use of ``max_rank`` empty a dictionary, as long as the owner is alive."""
    number = id(owner)
    _callables_by_owner[number] = ref(owner, lambda _: _callables_by_owner.pop(number, None)), callables


def limit_ranks_from_now_on() -> None:
    """Let each callable that is built from now on choose by ``max_rank``; forget those that were built before."""
    if not _uses:
        _uses.append(None)  # before the callables are forgotten, so that no thread adds others that do not choose
        cache_clear()
        for _, callables in [*_callables_by_owner.values()]:
            callables.clear()


def ranks_may_be_limited() -> bool:
    """Whether callables that are built now have to choose by ``max_rank``."""
    return bool(_uses)


def rank_limit_error(tensor: str, rank: int, max_rank: int, text: str, *spans: Span) -> PlaitError:
    """Return the error PLT314 for a tensor of a pattern, which is the subject of its sentence."""
    return make_error("PLT314", f"{tensor} has rank {rank}, but max_rank={max_rank} allows no more", text, spans)
